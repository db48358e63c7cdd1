"""nablaDFT: wB97X-D/def2-SVP Hamiltonians of drug-like molecules, computed with Psi4.

A database has the tables `data` and, in version 2, `dataset_ids`:

| column of `data` | content |
|---|---|
| Z | int32 (N,) |
| R | float32 (N, 3), Bohr |
| H, S | float32 (n_ao, n_ao): Fock matrix in Hartree, and overlap, in Psi4's order |
| E, F, C | energy, forces and core Hamiltonian; not read |

`dataset_ids` (id, MOSES_ID, CONFORMER_ID) names the molecule of each row. The layout is that of the
class `HamiltonianDatabase` in nablaDFT/dataset/hamiltonian_dataset.py of
github.com/AIRI-Institute/nablaDFT; the order of orbitals is the entry "psi4" in its
nablaDFT/phisnet/transform_hamiltonians.py (doi 10.1039/D2CP03966D, 10.48550/arXiv.2406.14347).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from workbench.datasets.formats import Foreign, Format, FormatError
from workbench.datasets.formats.databases import SETS, array, columns, find, opened, row
from workbench.datasets.formats.molecules import BASIS, atoms_of, basis_of, molecule
from workbench.engines import PUBLISHED_SET
from workbench.hamiltonians.conventions import BOHR

__all__ = ["FORMAT", "read"]

_TABLE = SETS["nabladft"].table
_NAMES = frozenset({"id", "MOSES_ID"})


def read(source: Path, basis_name: str = BASIS) -> Foreign:
    """Read one structure.

    Args:
        source: `file/row`, e.g. ``Path("train_2k.db/0")``.
        basis_name: name of the basis. With "def2-svp" the overlap must be PySCF's, and is not
            stored; with any other name it is stored.

    Raises:
        FormatError: for a row that is missing, damaged, or not what this set contains.
    """
    file = source.parent
    with opened(file) as connection:
        values = row(file, connection, _TABLE, source.name, ("Z", "R", "H", "S"))
    numbers = array(source, values, "Z", "<i4")
    positions = array(source, values, "R", "<f4", 3 * len(numbers))
    atoms = atoms_of(source, numbers, positions.astype(float) * BOHR)
    basis = replace(basis_of(source, numbers), name=basis_name)
    size = sum(basis.n_orbitals(z) for z in atoms.numbers.tolist())
    H, S = (array(source, values, key, "<f4", size**2).reshape(size, size) for key in "HS")
    return molecule(source, atoms, basis, H, S, "psi4")


def _molecules(sources: Sequence[Path]) -> list[str]:
    """The molecule of each row; without `dataset_ids` rows of the same atoms count as one."""
    names: dict[Path, dict[int, str]] = {}
    for file in dict.fromkeys(source.parent for source in sources):
        with opened(file) as connection:
            if columns(connection, "dataset_ids") >= _NAMES:
                found = connection.execute("SELECT id, MOSES_ID FROM dataset_ids")
                names[file] = {number: f"MOSES {identity}" for number, identity in found}
            else:
                found = connection.execute(f"SELECT rowid, Z FROM {_TABLE}")
                names[file] = {number: _formula(blob) for number, blob in found}
    try:
        return [names[source.parent][int(source.name)] for source in sources]
    except KeyError as error:
        raise FormatError(
            f"{sources[0].parent} names no molecule for its row {error}: copy it again."
        ) from error


def _formula(blob: object) -> str:
    return hashlib.sha256(blob if isinstance(blob, bytes) else b"").hexdigest()


FORMAT = Format(
    "nablaDFT",
    BASIS,
    "rows",
    partial(find, "nabladft"),
    read,
    molecules=_molecules,
    method={
        "method": "RKS",
        "functional": "wb97x-d",
        "basis": BASIS,
        "program": "Psi4",
        PUBLISHED_SET: "nablaDFT",
    },
)
