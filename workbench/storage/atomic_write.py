"""Files that appear complete or not at all: a job killed while it writes leaves no half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole", "write_whole"]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
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


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a text (as UTF-8) or bytes; returns the path."""
    with whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
