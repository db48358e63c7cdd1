"""Records of the lmdb folders that QH9's own scripts make of its databases.

A key is four bytes, big-endian: the row's `id` (stable) or its number (dynamic). A record is a
pickled dictionary of plain values: id, num_nodes, atoms, pos, Ham, and in dynamic sets geo_id. The
bytes of atoms, pos and Ham are those of Z, pos and Ham in the database. The layout is that of the
method `process` in OpenDFT/QHBench/QH9/datasets.py of github.com/divelab/AIRS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.datasets.formats import FormatError, lmdb_file
from workbench.datasets.formats.lmdb_file import LmdbError
from workbench.datasets.formats.plain_pickle import UnsafePickleError, plain

__all__ = ["FILE", "keys", "record"]

FILE = "data.mdb"
"""The file of an lmdb folder that holds its records."""

_KEY_BYTES = 4
_MOST_DIGITS = 10


def keys(path: Path) -> list[int]:
    """The keys of all records, ascending.

    Raises:
        FormatError: for a file that is empty, damaged, or no file of lmdb with such keys.
    """
    try:
        found = list(lmdb_file.keys(path))
    except LmdbError as error:
        raise FormatError(f"{path} is not read, since {error}: copy it again.") from error
    if not found:
        raise FormatError(f"{path} has no records.")
    if any(len(key) != _KEY_BYTES for key in found):
        raise FormatError(f"{path} is no lmdb file of QH9, whose keys are four bytes.")
    return [int.from_bytes(key, "big") for key in found]


def record(path: Path, number: str) -> dict[str, Any]:
    """One record, by the names in the dictionary.

    Raises:
        FormatError: for a record that is missing, damaged, or more than plain values.
    """
    key = int(number) if number.isdecimal() and len(number) <= _MOST_DIGITS else -1
    try:
        known = 0 <= key < 1 << 8 * _KEY_BYTES
        data = lmdb_file.value(path, key.to_bytes(_KEY_BYTES, "big")) if known else None
        if data is None:
            raise FormatError(f"{path} has no record {number[:20]}.")
        values = plain(data)
    except (LmdbError, UnsafePickleError) as error:
        raise FormatError(
            f"{path}: record {number} is not read, since {error}: import the .db file instead."
        ) from error
    if not isinstance(values, dict):
        raise FormatError(f"{path}: record {number} is no dictionary: import the .db file instead.")
    return values
