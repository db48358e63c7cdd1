"""SIESTA's binary files are checked before sisl's compiled readers see them.

A Fortran file is a sequence of records, each between two copies of its length. A reader that
believes a wrong count reads beyond a record, and then allocates what it finds there. The records of
an HSX file (versions 1 and 2, SIESTA 5) are:

| record | content |
|---|---|
| 0, 1 | version; whether H and S are in double precision |
| 2 | atoms, orbitals n, spin components, species, cells along the three lattice vectors |
| 3, 4 | lattice and Fermi level; cells, positions, species and last orbital of each atom |
| 5 and one per species | label, charge and number of orbitals; quantum numbers of each orbital |
| one, in version 2 | k-points |
| one | number of elements in each of n rows |
| n, then n per spin component, then n | columns, H and S of each row |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError

__all__ = ["check_records", "with_usual_logicals"]

_MARKER = 4  # bytes
_INT = np.dtype("<i4")
_MOST = 10**7  # atoms, orbitals or cells


class _WrongError(ValueError):
    """A record that is not as the format says."""


def check_records(path: Path) -> None:
    """Check the records of a `.HSX` or `.TSHS` file, and in an HSX file that counts fit each other.

    Raises:
        FormatError: for a file that no program wrote so.
    """
    data = np.fromfile(path, np.uint8)
    try:
        records = _records(data)
        if path.suffix.lower() == ".hsx" and int(_ints(records[0])[0]) in (1, 2):
            _check_hsx(records)
    except (_WrongError, IndexError) as error:
        raise FormatError(
            f"{path} is truncated or not what its name says: its records do not fit each other; "
            "copy it again."
        ) from error


@contextmanager
def with_usual_logicals(path: Path) -> Iterator[Path]:
    """The path of an HSX file in which true is 1; of a copy where a compiler has written -1.

    SIESTA built with Intel's compiler writes -1, which sisl does not take for true.
    """
    data = np.fromfile(path, np.uint8)
    start = 3 * _MARKER + int(_ints(data[:_MARKER])[0])  # of the second record, after its length
    logical = _ints(data[start : start + _MARKER])
    if len(logical) != 1 or logical[0] >= 0:
        yield path
        return
    data[start : start + _MARKER] = np.array([1], _INT).view(np.uint8)
    with TemporaryDirectory(prefix="workbench-") as folder:
        copy = Path(folder, path.name)
        data.tofile(copy)
        yield copy


def _records(data: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The records of a file, without their lengths."""
    records, at = [], 0
    while at < len(data):
        length = int(_ints(data[at : at + _MARKER])[0])
        stop = at + _MARKER + length
        if not length >= 0 or not stop + _MARKER <= len(data):
            raise _WrongError
        if int(_ints(data[stop : stop + _MARKER])[0]) != length:
            raise _WrongError
        records.append(data[at + _MARKER : stop])
        at = stop + _MARKER
    return records


def _check_hsx(records: list[NDArray[np.uint8]]) -> None:
    version, double = int(_ints(records[0])[0]), int(_ints(records[1])[0])
    atoms, n, spins, species, *cells = (int(k) for k in _ints(records[2]))
    n_cells = int(np.prod(np.array(cells, dtype=float)))
    if not all(1 <= k <= _MOST for k in (atoms, n, species, *cells, n_cells)) or len(cells) != 3:
        raise _WrongError
    if not 1 <= spins <= 8 or not len(records[4]) == 12 * n_cells + 32 * atoms:
        raise _WrongError
    kinds, last = _ints(records[4][-8 * atoms :]).reshape(2, atoms)
    _check_species(records, kinds, last, species, n)
    first = 6 + species + (version == 2)
    per_row = _ints(records[first])
    rows = [len(record) for record in records[first + 1 :]]
    if len(per_row) != n or len(rows) != n * (spins + 2) or (per_row < 0).any():
        raise _WrongError
    size = 8 if double else 4
    wanted = [4 * per_row, *([size * per_row] * (spins + 1))]
    if not np.array_equal(rows, np.concatenate(wanted)):
        raise _WrongError
    columns = [_ints(record) for record in records[first + 1 : first + 1 + n]]
    every = np.concatenate(columns)
    if not ((every >= 1) & (every <= n * n_cells)).all():
        raise _WrongError


def _check_species(
    records: list[NDArray[np.uint8]],
    kinds: NDArray[np.int32],
    last: NDArray[np.int32],
    species: int,
    n: int,
) -> None:
    """Check that the orbitals of the atoms are those of their species."""
    if len(records[5]) != 32 * species or not ((kinds >= 1) & (kinds <= species)).all():
        raise _WrongError
    orbitals = _ints(records[5].reshape(species, 32)[:, 28:].ravel())
    lengths = [len(record) for record in records[6 : 6 + species]]
    if not (orbitals >= 1).all() or not np.array_equal(lengths, 12 * orbitals.astype(np.int64)):
        raise _WrongError
    if not orbitals[kinds - 1].sum() == n or not ((last >= 0) & (last <= n)).all():
        raise _WrongError


def _ints(record: NDArray[np.uint8]) -> NDArray[np.int32]:
    """A record as integers."""
    if len(record) % _INT.itemsize:
        raise _WrongError
    return np.ascontiguousarray(record).view(_INT)
