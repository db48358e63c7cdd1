"""QH9: B3LYP/def2-SVP Hamiltonians of QM9's molecules (doi 10.48550/arXiv.2306.09549).

| file | row of the table `data` |
|---|---|
| `QH9Stable.db` | id, N, Z, pos (A), Ham |
| `QH9Dynamic_*.db` | the same with pos in Bohr, and geo_id, converged, energies and time |

Z is int32 (N,), pos float64 (N, 3) and Ham the whole Fock matrix, float64 (n_ao, n_ao) in Hartree,
in PySCF's order. `id` names the molecule, in the dynamic sets as eight bytes; `geo_id` counts its
geometries. No overlap is stored: PySCF has it. The layout is that of the classes `QH9Stable` and
`QH9Dynamic` in OpenDFT/QHBench/QH9/datasets.py of github.com/divelab/AIRS, and of the scripts in
`dataset_generation_examples` beside it. The lmdb folders that those classes make
are read as well (`qh9_lmdb`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from workbench.datasets.formats import Foreign, Format, FormatError, qh9_lmdb
from workbench.datasets.formats.databases import SETS, array, columns, find, opened, row
from workbench.datasets.formats.molecules import BASIS, atoms_of, basis_of, molecule
from workbench.datasets.formats.qh9_splits import SPLITS
from workbench.engines import PUBLISHED_SET
from workbench.hamiltonians.conventions import BOHR

__all__ = ["FORMAT", "read"]

_TABLE = SETS["qh9"].table
_STABLE = ("N", "Z", "pos", "Ham")
_DYNAMIC = (*_STABLE, "converged")
_MOST_ATOMS = 100  # QM9 has at most 29


def read(source: Path, basis_name: str = BASIS) -> Foreign:
    """Read one structure.

    Args:
        source: `file/row`, e.g. ``Path("QH9Stable.db/0")``, or ``data.mdb/key``.
        basis_name: must be def2-svp, since the set is in that basis.

    Returns:
        The molecule and H; S is computed from the basis where it is needed.

    Raises:
        FormatError: for a row that is missing, damaged, or not what this set contains, and for a
            geometry whose calculation has not converged.
    """
    if basis_name.lower() != BASIS:
        raise FormatError(f"QH9 is in the basis {BASIS}: leave the name of the basis as it is.")
    file = source.parent
    if file.name == qh9_lmdb.FILE:
        values = qh9_lmdb.record(file, source.name)
        names = {"N": "num_nodes", "Z": "atoms", "pos": "pos", "Ham": "Ham"}
        of_columns = {name: values.get(theirs) for name, theirs in names.items()}
        return structure(source, of_columns, BOHR if "geo_id" in values else 1.0)
    with opened(file) as connection:
        dynamic = "geo_id" in columns(connection, _TABLE)
        values = row(file, connection, _TABLE, source.name, _DYNAMIC if dynamic else _STABLE)
    if dynamic and values["converged"] != 1:
        raise FormatError(f"{source}: the calculation has not converged: leave this row out.")
    return structure(source, values, BOHR if dynamic else 1.0)


def structure(source: Path, values: dict[str, Any], unit: float) -> Foreign:
    """A structure from its values by column.

    Args:
        source: `file/row`, for errors.
        values: N, Z, pos and Ham.
        unit: of the positions, A.
    """
    count = values["N"]
    if not (type(count) is int and 0 < count <= _MOST_ATOMS):
        raise FormatError(f"{source}: N is not a number of atoms from 1 to {_MOST_ATOMS}.")
    numbers = array(source, values, "Z", "<i4", count)
    positions = array(source, values, "pos", "<f8", 3 * count) * unit
    atoms = atoms_of(source, numbers, positions)
    basis = basis_of(source, numbers)
    size = sum(basis.n_orbitals(z) for z in atoms.numbers.tolist())
    H = array(source, values, "Ham", "<f8", size**2).reshape(size, size)
    return molecule(source, atoms, basis, H, None, "pyscf")


def _find(sources: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    """The rows of all databases; those of lmdb folders where a path has no database."""
    found: list[tuple[Path, str]] = []
    for source in map(Path, sources):
        files = _lmdb_files(source)
        if not files:
            found += find("qh9", [source])
        for file in files:
            folder = file.parent.name
            found += [(file / str(key), f"{folder}/{key}") for key in qh9_lmdb.keys(file)]
    return found


def _lmdb_files(source: Path) -> list[Path]:
    """The lmdb files at or below a path that has no database."""
    if source.is_file():
        return [source] if source.name == qh9_lmdb.FILE else []
    if any(source.rglob("*.db")):
        return []
    return sorted(source.rglob(qh9_lmdb.FILE))


def _molecules(sources: Sequence[Path]) -> list[str]:
    """The molecule of each row."""
    names: dict[Path, dict[int, str]] = {}
    for file in dict.fromkeys(source.parent for source in sources):
        if file.name == qh9_lmdb.FILE:
            of_file = [int(source.name) for source in sources if source.parent == file]
            names[file] = {number: _name_in_lmdb(file, number) for number in of_file}
            continue
        with opened(file) as connection:
            found = connection.execute(f"SELECT rowid, id FROM {_TABLE}")
            names[file] = {number: _name(file, identity) for number, identity in found}
    return [names[source.parent][int(source.name)] for source in sources]


def _name_in_lmdb(file: Path, number: int) -> str:
    return _name(file, qh9_lmdb.record(file, str(number)).get("id"))


def _name(file: Path, identity: object) -> str:
    """The molecule's number as text: in the dynamic sets it is stored as eight bytes."""
    if isinstance(identity, bytes) and len(identity) == 8:
        return str(int.from_bytes(identity, "little", signed=True))
    if type(identity) is not int:
        raise FormatError(f"{file} has a row whose id is no number: copy the database again.")
    return str(identity)


FORMAT = Format(
    "QH9",
    BASIS,
    "rows",
    _find,
    read,
    molecules=_molecules,
    method={
        "method": "RKS",
        "functional": "b3lyp",
        "basis": BASIS,
        "program": "PySCF",
        PUBLISHED_SET: "QH9",
    },
    splits=SPLITS,
)
