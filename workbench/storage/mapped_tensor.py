"""Rows that come in parts as one tensor: in memory, or in a file where they are many.

A set of large crystals is more than memory holds, and a step of training needs a few of its
structures. A tensor in a file looks like any other: the operating system reads what is touched,
and forgets it again when memory is wanted.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["MappedTensor"]

IN_MEMORY = 1 << 28
"""Bytes from which a tensor lies in a file."""


class MappedTensor:
    """A tensor that is filled from its first row to its last."""

    def __init__(self, rows: int) -> None:
        """Nothing is set aside before the first part says what a row is.

        Args:
            rows: how many will come in all.
        """
        self.rows, self.at = rows, 0
        self._tensor: Tensor | None = None

    def add(self, part: Tensor) -> None:
        """Append rows (some, ...), all of one shape and type.

        Raises:
            OSError: if they are many and the disk is full; the message says what to do.
        """
        if self._tensor is None:
            self._tensor = _empty((self.rows, *part.shape[1:]), part)
        end = self.at + len(part)
        self._tensor[self.at : end] = part
        self.at = end

    @property
    def tensor(self) -> Tensor:
        """(rows, ...) when all have come."""
        if self._tensor is None or self.at != self.rows:
            raise ValueError(
                f"{self.at} of {self.rows} rows have come: all must, and at least one."
            )
        return self._tensor


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """An unfilled tensor; on a GPU and below `IN_MEMORY` an ordinary one."""
    items = int(torch.Size(shape).numel())
    size = items * like.element_size()
    if like.device.type != "cpu" or size < IN_MEMORY:
        return like.new_empty(shape)
    folder = _folder()
    handle, name = tempfile.mkstemp(prefix="workbench-", dir=folder)
    try:
        # Without the space set aside a full disk would end the process in the middle of a write.
        _reserve(handle, size, folder)
        return torch.from_file(name, shared=True, size=items, dtype=like.dtype).view(shape)
    finally:
        os.close(handle)
        Path(name).unlink()  # its space is given back with the tensor, also of a killed process


def _folder() -> str:
    """Where large temporary files go: on Linux /tmp is often a part of memory, /var/tmp is not."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


def _reserve(handle: int, size: int, folder: str) -> None:
    """Set disk space aside for an open file."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, size)
        else:  # macOS
            os.truncate(handle, size)
    except OSError as error:
        raise OSError(
            f"{size / 2**30:.1f} GiB for the training set do not fit into {folder}: make room "
            "there, or name a larger place in the environment variable TMPDIR."
        ) from error
