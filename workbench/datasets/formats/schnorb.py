"""MD17 of SchNOrb: PBE/def2-SVP (or Hartree-Fock) Hamiltonians along dynamics, from ORCA.

`schnorb_hamiltonian_{water,ethanol_dft,ethanol_hf,malondialdehyde,uracil}.db` are databases of
ASE. Positions are in A. The data of a row contain `hamiltonian` (Hartree) and `overlap`, float32
(n_ao, n_ao) in ORCA's order, either as arrays or, written by an early SchNetPack, as base64 text
beside `_shape_NAME` and `_dtype_NAME`; energy and forces are not read. The metadata contain
`basisdef`: for each atomic number and orbital the numbers (index, kind, n, l, m); rows with n = 0
are empty. The layout is that of src/schnorb/data.py and src/scripts/extract_data.py in
github.com/atomistic-machine-learning/SchNOrb (doi 10.1038/s41467-019-12875-2).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.db import connect
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, Format, FormatError
from workbench.datasets.formats.databases import find, published_set
from workbench.datasets.formats.molecules import BASIS, atoms_of, molecule
from workbench.engines import PUBLISHED_SET
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import AO_TO_M
from workbench.storage.value_checks import brief
from workbench.structures.time_limit import time_limit

__all__ = ["FORMAT", "read"]

READ_SECONDS = 60.0
"""ASE is stopped after this time, s."""

_COLUMNS = 5  # of basisdef
_KINDS = ("float32", "float64")


def read(source: Path, basis_name: str = BASIS) -> Foreign:
    """Read one structure.

    Args:
        source: `file/row`, e.g. ``Path("schnorb_hamiltonian_water.db/1")``.
        basis_name: name of the basis. With "def2-svp" the overlap must be PySCF's, and is not
            stored; with any other name it is stored.

    Raises:
        FormatError: for a row that is missing, damaged, or not what this set contains.
    """
    file = source.parent
    if published_set(file) != "schnorb":  # ASE would write its tables into a file without them
        raise FormatError(f"{file} is no database of ASE: check the file.")
    with _one_sentence(source):
        database: Any = connect(str(file), type="db", use_lock_file=False)
        with database:
            definition = database.metadata.get("basisdef")
            entry = database.get(id=int(source.name))
        numbers, positions = np.array(entry.numbers), np.array(entry.positions)
        data = dict(entry.data)
    known = numbers.dtype.kind == "i" and positions.dtype.kind == "f" and numbers.ndim == 1
    if not known or positions.shape != (len(numbers), 3):
        raise FormatError(f"{source} has no numbers and positions of atoms: copy the database.")
    atoms = atoms_of(source, numbers, positions)
    basis = Basis(basis_name, _shells(source, definition, np.unique(atoms.numbers).tolist()))
    size = sum(basis.n_orbitals(z) for z in atoms.numbers.tolist())
    H, S = (_matrix(source, data, name, size) for name in ("hamiltonian", "overlap"))
    return molecule(source, atoms, basis, H, S, "orca")


@contextmanager
def _one_sentence(source: Path) -> Iterator[None]:
    """Turn any error of ASE into one sentence."""
    try:
        with time_limit(READ_SECONDS):
            yield
    except Exception as error:  # a damaged file raises many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise FormatError(
            f"{source} is missing or damaged (ASE: {reason}): copy the database again."
        ) from error


def _shells(source: Path, definition: object, elements: list[int]) -> dict[int, tuple[int, ...]]:
    """The l of each shell of some elements, whose orbitals must be in ORCA's order.

    Raises:
        FormatError: for a definition that is missing, or has another order of m.
    """
    try:
        table = np.array(definition, dtype=np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{source}: the metadata have no basisdef (n, l, m): copy it.") from error
    if table.ndim != 3 or table.shape[2] != _COLUMNS or len(table) <= max(elements):
        raise FormatError(
            f"{source}: basisdef of the metadata has the shape {table.shape}, and needs {_COLUMNS} "
            f"numbers for each orbital of atomic numbers up to {max(elements)}."
        )
    return {z: _of_element(source, table[z], z) for z in elements}


def _of_element(source: Path, orbitals: NDArray[np.int64], z: int) -> tuple[int, ...]:
    """The l of each shell of one element."""
    used = orbitals[orbitals[:, 2] > 0, 3:]
    shells: list[int] = []
    start = 0
    while start < len(used):
        l = int(used[start, 0])
        ms = np.argsort(AO_TO_M["orca"].get(l, ())) - l
        if not np.array_equal(used[start : start + 2 * l + 1], np.column_stack([l + 0 * ms, ms])):
            raise FormatError(
                f"{source}: basisdef does not give element {z} complete shells in ORCA's order, "
                "m = 0, 1, -1, 2, -2: this set is not read."
            )
        shells.append(l)
        start += 2 * l + 1
    if not shells:
        raise FormatError(f"{source}: basisdef gives element {z} no orbitals: copy the database.")
    return tuple(shells)


def _matrix(source: Path, data: Mapping[str, Any], name: str, size: int) -> NDArray[np.floating]:
    """A matrix of the data, as an array or as text."""
    value, kind = data.get(name), data.get(f"_dtype_{name}")
    if isinstance(value, str) and kind in _KINDS:
        with _one_sentence(source):
            value = np.frombuffer(base64.b64decode(value), np.dtype(str(kind)))
            value = value.reshape(data.get(f"_shape_{name}"))
    if not (isinstance(value, np.ndarray) and value.dtype.name in _KINDS):
        raise FormatError(
            f"{source} has no {name} as an array of {' or '.join(_KINDS)}: {brief(type(value))}."
        )
    if value.shape != (size, size):
        raise FormatError(
            f"{source}: {name} has the shape {value.shape}, and these atoms have {size} orbitals."
        )
    return value


FORMAT = Format(
    "SchNOrb",
    BASIS,
    "rows",
    partial(find, "schnorb"),
    read,
    method={"basis": BASIS, "program": "ORCA", PUBLISHED_SET: "MD17 of SchNOrb"},
)
