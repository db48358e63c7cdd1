"""Atomic writes: a file appears complete or not at all, even if the process is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path", "atomic_write"]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it replaces ``path`` when the block ends without an error.

    The content is written to the disk before the file is renamed: after a crash of the machine
    either the old or the new file exists. A missing folder is created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    yield temporary
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write text (as UTF-8) or bytes as `atomic_path` does; returns the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
