"""A tensor that is filled part by part: in memory, or in a memory-mapped file if it is large.

A training set of large crystals exceeds the memory, while one training step needs only a few of
its structures. A memory-mapped tensor is used like any other: the operating system reads the pages
that are accessed, and drops them when memory is needed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["MappedTensor"]

IN_MEMORY = 1 << 28
"""Size in bytes from which a tensor is stored in a file."""


class MappedTensor:
    """A tensor that is filled from its first row to its last, in parts of several rows."""

    def __init__(self, rows: int) -> None:
        """Memory is allocated when the first part arrives, since only then is the row shape known.

        Args:
            rows: total number of rows.
        """
        self.rows, self.filled = rows, 0
        self._tensor: Tensor | None = None

    def add(self, part: Tensor) -> None:
        """Append rows (n, ...); all parts have the same row shape and dtype.

        Raises:
            OSError: if the tensor needs a file and the disk is full; the message says what to do.
        """
        if self._tensor is None:
            self._tensor = _empty((self.rows, *part.shape[1:]), part)
        stop = self.filled + len(part)
        self._tensor[self.filled : stop] = part
        self.filled = stop

    @property
    def tensor(self) -> Tensor:
        """The tensor (rows, ...).

        Raises:
            ValueError: if rows are missing.
        """
        if self._tensor is None or self.filled != self.rows:
            raise ValueError(
                f"{self.filled} of {self.rows} rows were added: add all of them, at least one."
            )
        return self._tensor


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """An uninitialised tensor: in a file if it is on the CPU and at least `IN_MEMORY` large."""
    items = int(torch.Size(shape).numel())
    size = items * like.element_size()
    if like.device.type != "cpu" or size < IN_MEMORY:
        return like.new_empty(shape)
    folder = _folder()
    handle, name = tempfile.mkstemp(prefix="workbench-", dir=folder)
    try:
        # Space is reserved first: otherwise a full disk would kill the process during a write.
        _reserve(handle, size, folder)
        return torch.from_file(name, shared=True, size=items, dtype=like.dtype).view(shape)
    finally:
        os.close(handle)
        Path(name).unlink()  # so the space is freed with the tensor, even if the process is killed


def _folder() -> str:
    """The folder for large temporary files: on Linux /tmp is often in memory, /var/tmp is not."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


def _reserve(handle: int, size: int, folder: str) -> None:
    """Reserve disk space for an open file."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, size)
        else:  # macOS
            os.truncate(handle, size)
    except OSError as error:
        raise OSError(
            f"{size / 2**30:.1f} GiB for the training set do not fit into {folder}: free space "
            "there, or set the environment variable TMPDIR to a folder on a larger disk."
        ) from error
