"""A one-dimensional array on disk that grows by appending."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.storage.writing_errors import writing

_CHUNK = 1 << 20  # numbers converted at a time


class GrowingArray:
    """A long array of eight-byte numbers that grows on disk, not in memory.

    Args:
        folder: folder of the unnamed temporary file, which is deleted with the object.
        dtype: of the numbers, eight bytes each.

    Attributes:
        sizes: the length of each array that was appended.

    Raises:
        WritingError: here and while it grows, if the folder cannot be written or the disk is full.
    """

    def __init__(self, folder: Path, dtype: str) -> None:
        self._folder = folder
        self._said = f"A temporary file in {folder}"
        with writing(self._said):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as self
        self._dtype = np.dtype(dtype)
        self.sizes: list[int] = []
        self._largest = 0.0

    def append(self, values: NDArray[Any]) -> None:
        """Append values (n,), and their number n to `sizes`."""
        with writing(self._said):
            self._file.write(values.astype(self._dtype).tobytes())
        self.sizes.append(len(values))
        self._largest = max(self._largest, float(np.abs(values).max(initial=0)))

    def array(self) -> NDArray[Any]:
        """All values, memory-mapped; integers as four bytes if all of them fit.

        The upper four bytes would only repeat the sign; without them a file made from the array
        is smaller.
        """
        with writing(self._said):
            self._file.flush()
        if not sum(self.sizes):
            return np.empty(0, self._dtype)
        mapped = np.memmap(self._file, self._dtype, mode="r")
        if self._dtype.kind != "i" or self._largest > np.iinfo("<i4").max:
            return mapped
        with writing(self._said):
            narrow = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            for start in range(0, len(mapped), _CHUNK):
                narrow.write(mapped[start : start + _CHUNK].astype("<i4").tobytes())
            narrow.flush()
        return np.memmap(narrow, np.dtype("<i4"), mode="r")
