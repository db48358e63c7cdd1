"""What can be known before long work: whether its result can be written."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path

from workbench.storage.atomic_write import check_kind, hidden_beside
from workbench.storage.writing_errors import TargetError, writing

__all__ = ["check_writable"]


def check_writable(
    path: Path,
    *,
    sources: Iterable[str | PathLike[str]] = (),
    overwrite: bool = True,
    folder: bool = False,
) -> None:
    """Find out whether a result can be written; leaves nothing behind.

    Args:
        path: of the result.
        sources: files that are read; none of them may be replaced by the result.
        overwrite: whether an existing file may be replaced.
        folder: whether the result is a folder; an existing one is used.

    Raises:
        TargetError: for a source, a file that exists and may not be replaced, or something that is
            no plain file.
        WritingError: for a missing permission, a read-only disk, or a name that is too long. A disk
            that becomes full later is not foreseen.

    >>> from pathlib import Path
    >>> from workbench.storage.output_check import check_writable
    >>> check_writable(Path("pyproject.toml"), overwrite=False)
    Traceback (most recent call last):
    workbench.storage.writing_errors.TargetError: pyproject.toml exists: choose another name, or
    replace the file with --overwrite.
    """
    with writing(path):
        exists = path.exists()
        if exists and any(Path(s).exists() and path.samefile(s) for s in sources):
            raise TargetError(
                f"{path} is read to make the result and cannot be replaced by it: choose another "
                "name."
            )
        check_kind(path, "folder" if folder else "file")
        if exists and not folder and not overwrite:
            raise TargetError(
                f"{path} exists: choose another name, or replace the file with --overwrite."
            )
        _try(path if folder else path.parent, path.name)
        _check_name(path)


def _try(folder: Path, name: str) -> None:
    """Create a file in a folder, or in the folder in which it would be made, and remove it.

    Its name is that of a temporary file of the result: `remove_leftovers` removes it after a kill.
    """
    while not folder.exists():
        _check_name(folder)
        folder = folder.parent
    trial = hidden_beside(folder / name, f".{secrets.token_hex(8)}.part")
    try:
        trial.touch(exist_ok=False)
    finally:
        trial.unlink(missing_ok=True)


def _check_name(path: Path) -> None:
    """Let the file system refuse a name that is too long."""
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()
