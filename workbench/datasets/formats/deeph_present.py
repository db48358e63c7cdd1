"""The present folder layout of DeepH, one folder per structure.

| file | content |
|---|---|
| `POSCAR` | the structure, in VASP's format |
| `info.json` | `spinful`, `fermi_energy_eV`, `elements_orbital_map`: symbol -> l of each shell |
| `hamiltonian.h5` | the blocks, eV |
| `overlap.h5` | the overlap's blocks in the same arrays; always real and without spin |

In both HDF5 files, with E blocks:

| array | content |
|---|---|
| `atom_pairs` (E, 5) | cell of the column atom, row atom, column atom; atoms count from 0 |
| `chunk_shapes` (E, 2) | rows and columns of each block |
| `chunk_boundaries` (E + 1,) | block k is `entries[boundaries[k]:boundaries[k + 1]]`, row-major |
| `entries` | the elements of all blocks |

Orbitals of a shell are in the order m = -l..l. With spin, blocks are complex and the up orbitals of
an atom precede its down orbitals.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.io import write as ase_write
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, FormatError
from workbench.datasets.formats.deeph_blocks import from_blocks, to_blocks
from workbench.datasets.formats.deeph_text import each_once, in_a_box
from workbench.hamiltonians.basis import Basis, check_shells
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage import foreign_hdf5
from workbench.storage.atomic_write import atomic_folder
from workbench.storage.foreign_hdf5 import UnsafeFileError
from workbench.storage.hdf5_file import new_hdf5
from workbench.storage.value_checks import check_fields
from workbench.structures.loading import StructureError, load

__all__ = ["FILES", "is_folder", "read", "read_overlap", "structure", "write"]

ORDER = "m"
_LARGEST_KEY = 1_000_000
_MATRIX, _OVERLAP = "hamiltonian.h5", "overlap.h5"
FILES = (_MATRIX, _OVERLAP, "info.json", "POSCAR")
"""All files of a folder. `write` writes the last one at the end, and `read` needs it."""


@dataclass(frozen=True)
class Info:
    """What is read of `info.json`; other programs write more into it.

    Attributes:
        spinful: whether the orbitals have spin.
        shells: atomic number -> the l of each shell.
        fermi_level: eV; None if it is unknown.
    """

    spinful: bool
    shells: dict[int, tuple[int, ...]]
    fermi_level: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for number, of_element in self.shells.items():
            check_shells(number, of_element)


def is_folder(path: Path) -> bool:
    """Whether a folder has this layout."""
    return (path / "POSCAR").is_file() and (path / "info.json").is_file()


def read(folder: str | os.PathLike[str], basis_name: str = "deeph") -> Foreign:
    """Read one structure, periodic as in its file; arguments and errors as of `deeph.read`."""
    path = Path(folder)
    atoms, basis = structure(path, basis_name)
    if not (path / _MATRIX).is_file():
        raise FormatError(f"{path} has no {_MATRIX}: only structures with a Hamiltonian are read.")
    H = _blocks(path / _MATRIX, basis, atoms.numbers)
    S = _overlap(path, atoms, basis) if os.path.lexists(path / _OVERLAP) else None
    level = _info(path).fermi_level
    return Foreign(atoms, H, S, float("nan") if level is None else level)


def read_overlap(
    folder: str | os.PathLike[str], basis_name: str = "deeph"
) -> tuple[Atoms, BlockMatrix]:
    """The structure and the overlap; arguments and errors as of `deeph.read_overlap`."""
    path = Path(folder)
    atoms, basis = structure(path, basis_name)
    if not (path / _OVERLAP).is_file():
        raise FormatError(f"{path} has no {_OVERLAP}: a folder of the DeepH format needs one.")
    return atoms, _overlap(path, atoms, basis)


def _overlap(path: Path, atoms: Atoms, basis: Basis) -> BlockMatrix:
    S = _blocks(path / _OVERLAP, replace(basis, spinor=False), atoms.numbers)
    return S.with_spin() if basis.spinor else S


def structure(folder: str | os.PathLike[str], basis_name: str = "deeph") -> tuple[Atoms, Basis]:
    """The structure and the basis of a folder; arguments and errors as of `deeph.structure`."""
    path, info = Path(folder), _info(Path(folder))
    try:
        atoms = load(path / "POSCAR")
    except StructureError as error:
        raise FormatError(str(error)) from error
    for number in sorted(set(atoms.numbers.tolist()) - set(info.shells)):
        symbol = chemical_symbols[number]
        raise FormatError(f"{path}/info.json has no shells for {symbol} in elements_orbital_map.")
    used = {z: info.shells[z] for z in set(atoms.numbers.tolist())}
    return atoms, Basis(basis_name, used, info.spinful)


def write(
    folder: str | os.PathLike[str],
    atoms: Atoms,
    H: BlockMatrix,
    S: BlockMatrix | None = None,
    fermi_level: float | None = None,
) -> None:
    """Write one structure; arguments and errors as of `deeph.write`.

    >>> import tempfile
    >>> from workbench.datasets.formats import deeph_present
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     deeph_present.write(folder, wb.load("water"), water.H, water.S)
    ...     copy = deeph_present.read(folder, "sto-3g")
    >>> float((copy.H - water.H).max_abs())  # eV
    0.0
    """
    matrices = {_MATRIX: H}
    if S is not None:
        matrices[_OVERLAP] = S.without_spin() if S.basis.spinor else S
    shells = {chemical_symbols[z]: list(H.basis.shells[z]) for z in set(atoms.numbers.tolist())}
    info = {
        "atoms_quantity": len(atoms),
        "orbits_quantity": int(sum(H.basis.n_orbitals(int(z)) for z in atoms.numbers)),
        "orthogonal_basis": False,
        "spinful": H.basis.spinor,
        "fermi_energy_eV": fermi_level,
        "elements_orbital_map": shells,
    }
    with atomic_folder(Path(folder), FILES) as path:
        for name, matrix in matrices.items():
            _save_blocks(path / name, matrix)
        (path / "info.json").write_text(json.dumps(info) + "\n")
        ase_write(path / "POSCAR", in_a_box(atoms), format="vasp", vasp5=True, direct=False)


def _info(path: Path) -> Info:
    """Read `info.json` of a folder."""
    try:
        info: Any = json.loads((path / "info.json").read_text(), object_pairs_hook=each_once)
        table = info["elements_orbital_map"].items()
        shells = {atomic_numbers[symbol]: tuple(of_element) for symbol, of_element in table}
        return Info(info["spinful"], shells, info.get("fermi_energy_eV"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(
            f"{path}/info.json must be a JSON object with spinful (true or false), "
            "elements_orbital_map (symbol -> the l of each shell) and, if known, fermi_energy_eV "
            "(eV), each once."
        ) from error


def _blocks(path: Path, basis: Basis, numbers: NDArray[np.int64]) -> BlockMatrix:
    """All blocks of a file."""
    names = ("atom_pairs", "chunk_shapes", "chunk_boundaries", "entries")
    try:
        with foreign_hdf5.open_file(path) as file:
            found = foreign_hdf5.arrays(file)
            with foreign_hdf5.faults():
                read = [np.asarray(found[name]) for name in names]
    except UnsafeFileError as error:
        raise FormatError(f"{path} is not read, since {error}: copy it again.") from error
    keys, shapes, boundaries, entries = read
    fits = (
        all(array.dtype.kind in "iu" for array in (keys, shapes, boundaries))
        and keys.ndim == 2
        and keys.shape[1] == 5
        and len(keys) > 0
        and shapes.shape == (len(keys), 2)
        and boundaries.shape == (len(keys) + 1,)
        and entries.ndim == 1
        and (shapes > 0).all()
        and (shapes <= len(entries)).all()
        and boundaries[0] == 0
        and boundaries[-1] == len(entries)
        and (np.diff(boundaries.astype(np.int64)) == shapes.astype(np.int64).prod(axis=1)).all()
        and (np.abs(keys.astype(np.int64)) <= _LARGEST_KEY).all()
    )
    if not fits:
        raise FormatError(f"{path} has arrays that do not fit each other: copy it again.")
    if len(np.unique(keys, axis=0)) < len(keys):
        raise FormatError(f"{path} has two blocks of the same atoms and cell: keep the right one.")
    blocks = np.split(entries, boundaries[1:-1].astype(np.int64))
    arrays = [block.reshape(shape) for block, shape in zip(blocks, shapes.tolist(), strict=True)]
    return to_blocks(path, basis, numbers, keys.astype(np.int64), arrays, ORDER)


def _save_blocks(path: Path, matrix: BlockMatrix) -> None:
    """Write the four arrays of a matrix."""
    blocks: list[Any] = [None] * matrix.edges.shape[1]
    for number, block in from_blocks(matrix, ORDER):
        blocks[number] = block
    shapes = np.array([block.shape for block in blocks], dtype=np.int64)
    with new_hdf5(path) as file:
        pairs = np.concatenate([matrix.shifts, matrix.edges.T], axis=1)
        file.create_dataset("atom_pairs", data=pairs.astype(np.int64))
        file.create_dataset("chunk_shapes", data=shapes)
        file.create_dataset("chunk_boundaries", data=np.cumsum([0, *shapes.prod(axis=1)]))
        file.create_dataset("entries", data=np.concatenate([block.ravel() for block in blocks]))
