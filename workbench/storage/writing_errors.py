"""Errors of the file system while a file is written, as one clear sentence each."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["TargetError", "WritingError", "writing"]

_WHILE_WRITING = {
    errno.ENOSPC: "the disk is full: free space, or choose another folder",
    errno.EDQUOT: "your quota on this disk is used up: free space, or choose another folder",
    errno.EFBIG: "it exceeds the allowed file size (`ulimit -f`): raise it, or make a smaller file",
    errno.EROFS: "the file system is read-only: choose another folder",
}
_BEFORE_AND_AFTER = _WHILE_WRITING | {
    errno.EACCES: "you have no permission to write there: choose another folder",
    errno.EPERM: "you have no permission to write there: choose another folder",
    errno.ENAMETOOLONG: "its name is too long: choose a shorter one",
    errno.ENOTDIR: "a part of its path is a file, not a folder: choose another path",
    errno.EEXIST: "a part of its path is a file, not a folder: choose another path",
}


class WritingError(OSError):
    """The system does not write a file; the message is one sentence: why, and what to do."""


class TargetError(ValueError):
    """A result must not be written there; the message is one sentence: why, and what to do."""


@contextmanager
def writing(path: Path | str, content: bool = False) -> Iterator[None]:
    """Turn an error of the file system into a sentence about ``path``.

    Args:
        path: what is written.
        content: whether the block also computes or reads the content. An error that need not
            concern ``path`` is then raised unchanged.

    Raises:
        WritingError: for a full or a read-only disk, a missing permission, and the like.
    """
    try:
        yield
    except WritingError:
        raise
    except OSError as error:
        reasons = _WHILE_WRITING if content else _BEFORE_AND_AFTER
        reason = reasons.get(error.errno or 0, None if content else f"{error.strerror or error}")
        if reason is None:
            raise
        raise WritingError(f"{path} is not written, since {reason}.") from error
