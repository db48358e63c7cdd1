"""Files that appear complete or not at all: a job killed while it writes leaves no half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path", "atomic_write"]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` when the block ends without an error.

    The content is on the disk before the name is: a crash of the machine leaves the old file or the
    new one. The folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    yield part
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write a text (as UTF-8) or bytes; returns the path."""
    with atomic_path(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
