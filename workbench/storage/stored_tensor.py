"""A tensor that is filled part by part: in memory, or in a file if it is large.

A training set of large crystals exceeds the memory, while one training step needs only a few of
its structures. The rows of these are read from the file; no more memory, nor address space, is
taken than for them. The operating system keeps recently used parts of the file as far as memory is
free.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import IO, Any, cast

import torch
from torch import Tensor

__all__ = ["FileTensor", "StoredTensor"]

IN_MEMORY = 1 << 28
"""Size in bytes from which a tensor is stored in a file."""


class StoredTensor:
    """A tensor that is filled from its first row to its last, in parts of several rows.

    >>> import torch
    >>> from workbench.storage.stored_tensor import StoredTensor
    >>> stored = StoredTensor()
    >>> stored.add(torch.zeros(2, 3))
    >>> stored.add(torch.ones(1, 3))
    >>> stored.tensor[torch.tensor([2, 0])].tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, rows: int | None = None) -> None:
        """Memory is allocated when parts arrive, since only then is the row shape known.

        Args:
            rows: total number of rows; None if it is not known before.
        """
        self.rows, self.filled, self._bytes = rows, 0, 0
        self._parts: list[Tensor] = []
        self._file: FileTensor | None = None

    def add(self, part: Tensor) -> None:
        """Append rows (n, ...); all parts have the same row shape and dtype.

        Raises:
            OSError: if the tensor needs a file and the disk is full; the message says what to do.
        """
        part = part.detach()
        self.filled += len(part)
        self._bytes += part.nbytes
        known = self._bytes if self.rows is None else self.rows * part[:1].nbytes
        if self._file is None and part.device.type == "cpu" and known >= IN_MEMORY and known:
            self._file = FileTensor(part)
            for earlier in self._parts:
                self._file.append(earlier)
            self._parts.clear()
        if self._file is not None:
            self._file.append(part)
        else:
            self._parts.append(part)

    @property
    def tensor(self) -> Tensor:
        """The tensor (rows, ...), or a `FileTensor`, of which rows are taken in the same way.

        Raises:
            ValueError: if rows are missing.
        """
        is_complete = self.rows is None or self.filled == self.rows
        if not is_complete or (self._file is None and not self._parts):
            raise ValueError(
                f"{self.filled} of {self.rows or 'all'} rows were added: add all of them, at least "
                "one part."
            )
        if self._file is not None:
            return cast("Tensor", self._file)
        if len(self._parts) > 1:
            self._parts = [torch.cat(self._parts)]
        return self._parts[0]


class FileTensor:
    """The rows of a tensor on the CPU, in an unnamed temporary file that ends with the object.

    Args:
        like: rows of the same shape and dtype.

    Attributes:
        row: shape of a row.
        dtype: of the elements.
    """

    def __init__(self, like: Tensor) -> None:
        self.row, self.dtype = tuple(like.shape[1:]), like.dtype
        self._row_bytes = like[:1].nbytes
        self._length, self._folder = 0, _folder()
        # Unnamed: the space is free again with the tensor, even if the process is killed.
        self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115 - open as long as self
            prefix="workbench-", dir=self._folder, buffering=0
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Tensor) -> Tensor:
        """The rows (n, ...) with the indices (n,)."""
        rows = torch.empty(len(index), *self.row, dtype=self.dtype)
        place, handle = 0, self._file.fileno()
        for first, count in _runs(index):
            into = _bytes(rows[place : place + count])
            _read(handle, into, first * self._row_bytes)
            place += count
        return rows

    def append(self, part: Tensor) -> None:
        """Append rows (n, ...).

        Raises:
            OSError: if the disk is full; the message says what to do.
        """
        data = _bytes(part.contiguous())
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise OSError(
                f"{(self._length + len(part)) * self._row_bytes / 2**30:.1f} GiB for the training "
                f"set do not fit into {self._folder}: free space there, or set the environment "
                "variable TMPDIR to a folder on a larger disk."
            ) from error
        self._length += len(part)

    def to(self, device: Any, **_: Any) -> Any:
        """Itself on the CPU; on another device a tensor with all rows."""
        device = torch.device(device)
        if device.type == "cpu":
            return self
        whole = torch.empty(len(self), *self.row, dtype=self.dtype, device=device)
        at_once = max(1, IN_MEMORY // (4 * self._row_bytes))
        for part in torch.arange(len(self)).split(at_once):
            whole[part[0] : part[-1] + 1] = self[part].to(device)
        return whole


def _runs(index: Tensor) -> Iterator[tuple[int, int]]:
    """First index and length of each run of consecutive indices."""
    if len(index) == 0:
        return
    breaks = torch.nonzero(index.diff() != 1)[:, 0] + 1
    starts = [0, *breaks.tolist()]
    ends = [*starts[1:], len(index)]
    for first, start, end in zip(index[starts].tolist(), starts, ends, strict=True):
        yield first, end - start


def _bytes(rows: Tensor) -> memoryview:
    """The memory of rows on the CPU, which lie one after another."""
    array: Any = rows.flatten().view(torch.uint8).numpy()
    return memoryview(array)


def _read(handle: int, into: memoryview, offset: int) -> None:
    """Fill a buffer from a place in a file."""
    while into:
        data = os.pread(handle, len(into), offset)
        if not data:
            raise OSError("A temporary file of the training set ends too early: train again.")
        into[: len(data)] = data
        into, offset = into[len(data) :], offset + len(data)


def _folder() -> str:
    """The folder for large temporary files: on Linux /tmp is often in memory, /var/tmp is not."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()
