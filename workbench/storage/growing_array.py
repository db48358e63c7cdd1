"""An array on disk that grows row by row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 20


class GrowingArray:
    """A long array of eight-byte numbers that grows on disk, not in memory.

    Args:
        folder: where its nameless file lies; it vanishes with the object.
        dtype: of the numbers, eight bytes each.
    """

    def __init__(self, folder: Path, dtype: str) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as self
        self._dtype = np.dtype(dtype)
        self.sizes: list[int] = []
        self._largest = 0.0

    def append(self, values: NDArray[Any]) -> None:
        """Put values at the end, and their number among `sizes`."""
        self._file.write(values.astype(self._dtype).tobytes())
        self.sizes.append(len(values))
        self._largest = max(self._largest, float(np.abs(values).max(initial=0)))

    def array(self) -> NDArray[Any]:
        """Everything, mapped from disk; integers in four bytes where they fit.

        Fewer bytes that only repeat the sign make a smaller file.
        """
        self._file.flush()
        if not sum(self.sizes):
            return np.empty(0, self._dtype)
        whole = np.memmap(self._file, self._dtype, mode="r")
        if self._dtype.kind != "i" or self._largest > np.iinfo("<i4").max:
            return whole
        narrow = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        for start in range(0, len(whole), _AT_ONCE):
            narrow.write(whole[start : start + _AT_ONCE].astype("<i4").tobytes())
        narrow.flush()
        return np.memmap(narrow, np.dtype("<i4"), mode="r")
