"""Atomic writes: a file or folder appears complete or not at all, even if the process is killed.

The content is written under a temporary name in the same folder, which no other process uses. It is
flushed to the disk and then renamed. After a crash of the machine either the old or the new content
exists. An error removes the temporary file; only a killed process leaves it behind.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from workbench.storage.writing_errors import TargetError, writing

__all__ = [
    "atomic_folder",
    "atomic_path",
    "atomic_write",
    "check_kind",
    "flush",
    "hidden_beside",
    "remove_leftovers",
    "write_arrays",
]

_ENDING = ".part"
_LONGEST_NAME = 180  # bytes of a file's name that are repeated in the names beside it


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A new, empty temporary file; it replaces ``path`` when the block ends without an error.

    A missing folder is created.

    Raises:
        WritingError: if the system refuses it, e.g. for a full disk or a missing permission.
        TargetError: if ``path`` is neither absent nor a plain file but e.g. a symbolic link.
    """
    temporary = _temporary(path)
    try:
        with writing(path):
            check_kind(path, "file")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not `tempfile`: its files are readable by their owner only.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        with writing(path, content=True):
            yield temporary
        with writing(path):
            flush(temporary)
            temporary.replace(path)
            flush(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """A new temporary folder, whose files become those of ``path`` when the block ends.

    A missing folder appears complete, in one step. Files in an existing folder are replaced one
    after another; the last of ``names`` is removed before and appears after all others, so that a
    folder without it is incomplete. Files of other names stay.

    Args:
        path: the folder.
        names: of all files that it may have; those that the block does not write are removed.

    Raises:
        WritingError: if the system refuses it, as for `atomic_path`.
    """
    exists = path.is_dir()
    temporary = _temporary(path / "files" if exists else path)
    try:
        with writing(path):
            temporary.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
        with writing(path, content=True):
            yield temporary
        with writing(path):
            for file in temporary.iterdir():
                flush(file)
            flush(temporary)
            if exists:
                _replace_files(temporary, path, names)
            else:
                temporary.rename(path)
            flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_files(new: Path, folder: Path, names: Sequence[str]) -> None:
    """Move files into a folder, the last one at the end."""
    *others, last = names
    (folder / last).unlink(missing_ok=True)
    flush(folder)
    for name in others:
        if (new / name).exists():
            (new / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    flush(folder)
    (new / last).replace(folder / last)
    flush(folder)


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write text (as UTF-8) or bytes as `atomic_path` does; returns the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays by name to an ``.npz`` file, as `atomic_path` does."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def hidden_beside(path: Path, ending: str) -> Path:
    """A path in the same folder, named ``.NAME<ending>``; a long name is shortened by its hash."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        name = f"{name[: _LONGEST_NAME // 8]}-{digest}"
    return path.with_name(f".{name}{ending}")


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove the temporary files that killed processes left in a folder; only under its lock.

    Args:
        folder: that was written to.
        names: of the files that were written; without names, all.
    """
    prefixes = [hidden_beside(folder / name, "").name for name in names]
    for path in folder.iterdir():
        found = re.fullmatch(rf"(\..*)\.[0-9a-f]{{16}}{re.escape(_ENDING)}", path.name)
        if found and (not names or found[1] in prefixes):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return hidden_beside(path, f".{secrets.token_hex(8)}{_ENDING}")


def check_kind(path: Path, wanted: str) -> None:
    """Refuse what is not of the kind that is written: "file", or "folder", which may be a link."""
    try:
        mode = (path.stat() if wanted == "folder" else path.lstat()).st_mode
    except FileNotFoundError:
        return
    kinds = {
        "symbolic link": stat.S_ISLNK,
        "folder": stat.S_ISDIR,
        "device": lambda m: stat.S_ISCHR(m) or stat.S_ISBLK(m),
        "pipe": stat.S_ISFIFO,
        "socket": stat.S_ISSOCK,
    }
    kind = next((name for name, is_kind in kinds.items() if is_kind(mode)), "file")
    if kind != wanted:
        raise TargetError(
            f"{path} is a {kind}, and what is written here is a {wanted}: choose another name."
        )


def flush(path: Path) -> None:
    """Write a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # not every file system can do it for a folder
            raise
    finally:
        os.close(handle)
