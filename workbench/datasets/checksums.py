"""Checksums of a dataset file, which are verified whenever something is read from it.

The text `checksums` in the file is JSON: the name of each array -> the CRC-32 of each `ROWS` rows
of it, and of the texts `header` and `sha256`. A CRC-32 starts from the array's name, type and
shape. It finds every single wrong bit, and 1,000 MB take 0.2 s. The hash `sha256` of the content is
stronger and takes three times as long; `Dataset.verify` recomputes it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS", "CheckedArray", "DamagedFileError", "checksums", "verify_texts"]

ROWS = 1 << 15
"""Rows of an array that share a checksum: those of a chunk of a large array."""


class DamagedFileError(ValueError):
    """The content of a file is not what was written."""


def checksums(arrays: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """The JSON text of all checksums.

    Args:
        arrays: by path; anything with dtype, shape and rows.
        texts: by name.
    """
    found = {name: [_of_text(name, text)] for name, text in texts.items()}
    for name, array in arrays.items():
        starts, first = range(0, len(array), ROWS), _start(name, array.dtype, array.shape)
        found[name] = [_of_rows(array[k : k + ROWS], first) for k in starts]
    return json.dumps(found, sort_keys=True)


class CheckedArray:
    """An array in a file; rows are verified when they are read for the first time.

    Args:
        name: its path in the file.
        array: open.
        known: the checksum of each `ROWS` rows; None for a file without checksums.

    Raises:
        DamagedFileError: for a wrong number of checksums.
    """

    def __init__(self, name: str, array: h5py.Dataset, known: list[int] | None) -> None:
        self._array, self._known = array, known
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        if known is None:
            return
        self._first = _start(name, self.dtype, self.shape)
        self._verified = np.zeros(-(-self.shape[0] // ROWS), dtype=bool)
        if len(known) != len(self._verified):
            raise DamagedFileError

    def rows(self, low: int = 0, high: int | None = None) -> NDArray[Any]:
        """Rows ``low`` to ``high`` (not included), by default to the last.

        Raises:
            DamagedFileError: if these rows, or rows that share a checksum with them, are damaged.
        """
        high = self.shape[0] if high is None else high
        try:
            if self._known is None or self._verified[low // ROWS : -(-high // ROWS)].all():
                return self._array[low:high]
            start = low - low % ROWS
            rows = self._array[start : -(-high // ROWS) * ROWS]
        except (OSError, ValueError, TypeError, RuntimeError) as error:  # as HDF5 reports damage
            raise DamagedFileError from error
        for k in range(start // ROWS, -(-high // ROWS)):
            block = rows[k * ROWS - start : (k + 1) * ROWS - start]
            if _of_rows(block, self._first) != self._known[k]:
                raise DamagedFileError
            self._verified[k] = True
        return rows[low - start : high - start]


def verify_texts(known: Mapping[str, list[int]], texts: Mapping[str, str]) -> None:
    """Verify texts.

    Raises:
        DamagedFileError: if one of them is not the one whose checksum is known.
    """
    for name, text in texts.items():
        if known.get(name) != [_of_text(name, text)]:
            raise DamagedFileError


def _of_text(name: str, text: str) -> int:
    return zlib.crc32(text.encode(), zlib.crc32(name.encode()))


def _start(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return zlib.crc32(f"{name} {dtype.str} {shape}".encode())


def _of_rows(rows: NDArray[Any], first: int) -> int:
    return zlib.crc32(np.ascontiguousarray(rows).data, first)
