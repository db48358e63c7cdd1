"""The folder format of DeepH-pack and DeepH-E3, one folder per structure, in its older layout.

| file | content |
|---|---|
| `lat.dat`, `rlat.dat` | 3 x 3, lattice and reciprocal (2 pi) vectors as columns, A and 1/A |
| `site_positions.dat` | 3 x N, Cartesian, one column per atom, A |
| `element.dat` | atomic number of each atom |
| `orbital_types.dat` | one line per atom: the l of each shell |
| `info.json` | `isspinful`, `fermi_level` (eV; null or absent where unknown) |
| `hamiltonians.h5` | one array per block, eV, named `[Rx, Ry, Rz, i, j]`: atoms from 1, j in R |
| `overlaps.h5` | the same names; always real and without spin |

Orbitals follow OpenMX's order (`conventions.AO_TO_M`). With spin, blocks are complex and the up
orbitals of an atom precede its down orbitals. Positions are not wrapped into the cell. Folders in
the present layout (`deeph_present`) are found and read as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, Format, FormatError, deeph_present
from workbench.datasets.formats.boxes import foreign_molecule, without_box
from workbench.datasets.formats.deeph_blocks import from_blocks, to_blocks
from workbench.datasets.formats.deeph_text import PROGRAM, in_a_box, read_atoms, read_info
from workbench.datasets.validation import check
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage import foreign_hdf5
from workbench.storage.atomic_write import atomic_folder
from workbench.storage.foreign_hdf5 import UnsafeFileError
from workbench.storage.hdf5_file import new_hdf5

__all__ = ["FORMAT", "PRESENT", "folders", "read", "read_overlap", "structure", "write"]

_MATRIX, _OVERLAP = "hamiltonians.h5", "overlaps.h5"
_KEY = 5  # numbers in the name of a block
_LARGEST_KEY = 1_000_000
_TEXT = ("lat.dat", "site_positions.dat", "element.dat", "orbital_types.dat", "info.json")
FILES = ("rlat.dat", _MATRIX, _OVERLAP, *_TEXT)
"""All files of a folder. `write` writes the last one at the end, and `read` needs it."""


def folders(root: str | os.PathLike[str]) -> list[Path]:
    """Every folder of this format at or below a folder, sorted by path.

    Raises:
        FormatError: if there is none.
    """
    found = {path.parent for path in Path(root).rglob("orbital_types.dat")}
    found |= {p.parent for p in Path(root).rglob("POSCAR") if deeph_present.is_folder(p.parent)}
    complete = sorted(p for p in found if p.suffix != ".part")  # left by a killed export
    if not complete:
        raise FormatError(
            f"No folder of the DeepH format is below {root}: each holds orbital_types.dat, "
            f"{_MATRIX} and the other files that workbench.datasets.formats.deeph lists."
        )
    return complete


def _find(roots: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    return [(path, str(path.relative_to(root))) for root in roots for path in folders(root)]


def read(folder: str | os.PathLike[str], basis_name: str = "deeph") -> Foreign:
    """Read one structure.

    Args:
        folder: of the files listed above, or in the present layout; the overlap may be missing.
        basis_name: name of the basis; the format gives its shells only.

    Returns:
        The structure with H and, if stored, S (for spinors ``kron(1_2, S)``) in the workbench's
        orbital order. It is periodic in three directions, or a molecule where the cell is only a
        box around it (`boxes`).

    Raises:
        FormatError: for a missing, truncated or inconsistent file.

    What `write` stores, `read` returns:

    >>> import tempfile
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder, wb.load("water"), water.H, water.S)
    ...     copy = read(folder, "sto-3g")
    >>> float((copy.H - water.H).max_abs())  # eV
    0.0
    """
    path = Path(folder)
    if deeph_present.is_folder(path):
        return foreign_molecule(deeph_present.read(path, basis_name))
    atoms, basis = structure(path, basis_name)
    H = _blocks(path / _MATRIX, basis, atoms.numbers)
    S = None
    if os.path.lexists(path / _OVERLAP):
        if not (path / _OVERLAP).is_file():
            raise FormatError(f"{path / _OVERLAP} is not a file: without it S would go unchecked.")
        S = _blocks(path / _OVERLAP, replace(basis, spinor=False), atoms.numbers)
        if basis.spinor:
            S = S.with_spin()
    level = read_info(path).fermi_level
    found = Foreign(atoms, H, S, float("nan") if level is None else level)
    return foreign_molecule(found)


def structure(folder: str | os.PathLike[str], basis_name: str = "deeph") -> tuple[Atoms, Basis]:
    """The structure and the basis of a folder, from its small files alone.

    Args:
        folder: as for `read`, and complete.
        basis_name: name of the basis.

    Raises:
        FormatError: for a missing file, or an inconsistent small file.
    """
    path = Path(folder)
    if deeph_present.is_folder(path):
        return deeph_present.structure(path, basis_name)
    return _structure(path, basis_name, _MATRIX)


def _structure(path: Path, basis_name: str, *also: str) -> tuple[Atoms, Basis]:
    """The structure and the basis of a folder in the older layout, which also has these files."""
    for name in (*_TEXT, *also):
        if not (path / name).is_file():
            raise FormatError(f"{path} has no {name}: a folder of the DeepH format needs one.")
    atoms, shells = read_atoms(path)
    return atoms, Basis(basis_name, shells, read_info(path).isspinful)


def read_overlap(
    folder: str | os.PathLike[str], basis_name: str = "deeph"
) -> tuple[Atoms, BlockMatrix]:
    """The structure and the overlap of a folder, which needs no Hamiltonian.

    Args:
        folder: in either layout.
        basis_name: name of the basis.

    Returns:
        The structure, as of `read`, and S; for spinors ``kron(1_2, S)``.

    Raises:
        FormatError: for a missing, truncated or inconsistent file, and an overlap that does not
            rotate with its pairs of atoms.
    """
    path = Path(folder)
    if deeph_present.is_folder(path):
        atoms, S = deeph_present.read_overlap(path, basis_name)
    else:
        atoms, basis = _structure(path, basis_name, _OVERLAP)
        S = _blocks(path / _OVERLAP, replace(basis, spinor=False), atoms.numbers)
        S = S.with_spin() if basis.spinor else S
    complaint = check(atoms, S, S).complaint  # the laws of an overlap hold for it in place of H
    if complaint is not None:
        raise FormatError(f"{path}: {complaint}")
    return without_box(atoms, S), S


def write(
    folder: str | os.PathLike[str],
    atoms: Atoms,
    H: BlockMatrix,
    S: BlockMatrix | None = None,
    fermi_level: float | None = None,
) -> None:
    """Write one structure; both blocks of each hermitian pair are stored, as DeepH expects.

    Args:
        folder: made if need be, and then it appears complete or not at all. In an existing folder
            the files of the format are replaced; `read` refuses it until the last one is there.
        atoms: with a cell; a molecule without a cell gets a box that leaves 20 A between images.
        H: eV.
        S: dimensionless, for spinors ``kron(1_2, S)``; not written if None.
        fermi_level: eV; None if it is unknown.

    Raises:
        ValueError: for shells whose order the format does not define (l > 3).
        WritingError: if the folder cannot be written, e.g. for a full disk.
    """
    boxed = in_a_box(atoms)
    cell = boxed.cell.array
    shells = [" ".join(str(l) for l in H.basis.shells[int(z)]) for z in boxed.numbers]
    info = {"isspinful": H.basis.spinor, "fermi_level": fermi_level}
    with atomic_folder(Path(folder), FILES) as path:
        _save(path / "lat.dat", cell.T)
        _save(path / "rlat.dat", 2 * np.pi * np.linalg.inv(cell))
        _save(path / "site_positions.dat", boxed.positions.T)
        (path / "element.dat").write_text("\n".join(str(z) for z in boxed.numbers) + "\n")
        (path / "orbital_types.dat").write_text("\n".join(shells) + "\n")
        (path / "info.json").write_text(json.dumps(info) + "\n")
        _save_blocks(path / _MATRIX, H)
        if S is not None:
            _save_blocks(path / _OVERLAP, S.without_spin() if S.basis.spinor else S)


def _save(path: Path, table: NDArray[np.float64]) -> None:
    """Write a table with seventeen digits, so that exactly the same numbers are read back."""
    rows = [" ".join(f"{value:.17g}" for value in row) for row in table]
    path.write_text("\n".join(rows) + "\n")


# ---- blocks -----------------------------------------------------------------------------------


def _blocks(path: Path, basis: Basis, numbers: NDArray[np.int64]) -> BlockMatrix:
    """All blocks of a file."""
    keys, arrays = _stored(path)
    return to_blocks(path, basis, numbers, keys - [0, 0, 0, 1, 1], arrays, PROGRAM)


def _stored(path: Path) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
    """Names of all blocks as numbers (E, 5), and their arrays."""
    try:
        with foreign_hdf5.open_file(path) as file:
            found = foreign_hdf5.arrays(file)
            keys = [_key(path, name) for name in found]
            with foreign_hdf5.faults():
                arrays = [np.asarray(array) for array in found.values()]
    except UnsafeFileError as error:
        raise FormatError(f"{path} is not read, since {error}: copy it again.") from error
    if not keys:
        raise FormatError(f"{path} holds no block.")
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise FormatError(
            f"{path} has two blocks named {list(twice)}, with different spaces: keep the right one."
        )
    return np.array(keys, dtype=np.int64), arrays


def _key(path: Path, name: str) -> tuple[int, ...]:
    """The numbers in the name of a block."""
    key: Any = None
    with suppress(ValueError, RecursionError):
        key = json.loads(name)
    known = isinstance(key, list) and len(key) == _KEY
    if not known or not all(type(k) is int and abs(k) <= _LARGEST_KEY for k in key):
        raise FormatError(
            f"{path}: blocks are named [Rx, Ry, Rz, i, j], with atoms from 1; one is {name[:80]}."
        )
    return tuple(key)


def _save_blocks(path: Path, matrix: BlockMatrix) -> None:
    """Write one array per block."""
    names = np.concatenate([matrix.shifts, matrix.edges.T + 1], axis=1).tolist()
    with new_hdf5(path) as file:
        for number, block in from_blocks(matrix, PROGRAM):
            file.create_dataset(json.dumps(names[number]), data=block)


FORMAT = Format("DeepH", "deeph", "folders", _find, read, write, FILES[-1])
PRESENT = replace(FORMAT, write=deeph_present.write, last_file=deeph_present.FILES[-1])
"""Reads both layouts as `FORMAT` does, and writes the present one."""
