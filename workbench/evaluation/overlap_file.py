"""The overlap of one structure from a file: npz of `predict --out`, a dataset, DeepH, SIESTA."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError, deeph, sisl
from workbench.engines import Overlap
from workbench.evaluation.prediction_files import read_overlap_arrays
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix, canonical_order

__all__ = ["read_overlap"]

_ROTATED = 1e-6  # largest element of R - 1 that is no rotation
_SAME = 1e-3  # A; programs write positions with few digits
"""Largest difference of positions and cells of one structure in two files."""


def read_overlap(path: str | os.PathLike[str], atoms: Atoms, basis: Basis) -> Overlap:
    """The overlap of a structure in the orbitals of a basis.

    Args:
        path: an ``.npz`` of `predict --out`, a dataset ``.h5`` that holds the structure, a folder
            of DeepH, or ``.HSX``, ``.nc`` or ``.fdf`` of SIESTA.
        atoms: the structure; the file must hold the same atoms in the same order. They may be
            moved as a whole and, in a crystal, rotated with the cell (as formats that store lengths
            and angles do) and shifted by lattice vectors.
        basis: as that of the model; the shells of the file must be the same.

    Raises:
        FormatError: for a file of another kind, without an overlap, of another structure, or with
            other orbitals.
    """
    file = Path(path)
    if file.is_dir():
        read = _of_deeph
    elif file.suffix.lower() in (".h5", ".hdf5"):
        read = _of_dataset
    elif file.suffix.lower() in (".hsx", ".nc", ".fdf"):
        read = _of_siesta
    else:
        read = _of_arrays
    if not file.exists():
        raise FormatError(f"There is no file {file}: give one that holds the overlap.")
    there, found = read(file, atoms, basis)
    S = _for_these(atoms, there, found.S)
    if S is None:
        raise FormatError(
            f"{file} is of another structure than the one to predict: the atoms must be the same, "
            f"in the same order, within {_SAME} A, and so must the cell."
        )
    try:
        return Overlap(S.in_basis(basis), found.n_electrons)
    except ValueError as error:
        raise FormatError(
            f"{file} has other orbitals than the basis {basis.name} of the model: compute the "
            "overlap in the model's basis."
        ) from error


def _for_these(atoms: Atoms, there: Atoms, S: BlockMatrix) -> BlockMatrix | None:
    """The overlap of some atoms, given that of the same structure elsewhere; None if it differs."""
    if not np.array_equal(atoms.numbers, there.numbers):
        return None
    places, others = (a.positions - a.positions[0] for a in (atoms, there))
    if not atoms.pbc.any():  # the file may have a molecule in a box
        return S if not S.shifts.any() and np.abs(places - others).max() <= _SAME else None
    if atoms.cell.rank < 3 or there.cell.rank < 3:
        return None
    turn = np.linalg.solve(there.cell.array, atoms.cell.array).T  # x' = turn x
    left, _, right = np.linalg.svd(turn)
    R = left @ right  # the nearest rotation
    if not np.abs(there.cell.array @ R.T - atoms.cell.array).max() <= _SAME:
        return None
    between = np.linalg.solve(atoms.cell.array.T, (places - others @ R.T).T).T
    moved = np.rint(between).astype(np.int64)  # (N, 3) lattice vectors
    if not np.abs((between - moved) @ atoms.cell.array).max() <= _SAME:
        return None
    if np.abs(R - np.eye(3)).max() > _ROTATED:
        S = S.rotate(R)
    shifts = S.shifts + moved[S.edges[0]] - moved[S.edges[1]]
    rank = canonical_order(S.edges, shifts)
    return replace(S, edges=S.edges[:, rank], shifts=shifts[rank], values=S.values[rank])


def _renamed(S: BlockMatrix, basis: Basis) -> BlockMatrix:
    """S under the name of the model's basis, with spin if the basis has spin."""
    spinor = S.with_spin() if basis.spinor and not S.basis.spinor else S
    named = Basis(basis.name, spinor.basis.shells, spinor.basis.spinor)
    return BlockMatrix(named, S.numbers, S.edges, S.shifts, spinor.values)


def _of_deeph(path: Path, _atoms: Atoms, basis: Basis) -> tuple[Atoms, Overlap]:
    there, S = deeph.read_overlap(path, basis.name)
    return there, Overlap(_renamed(S, basis))


def _of_siesta(path: Path, _atoms: Atoms, basis: Basis) -> tuple[Atoms, Overlap]:
    foreign = sisl.read(path, basis.name)
    if foreign.S is None:
        raise FormatError(f"{path} holds no overlap.")
    return foreign.atoms, Overlap(_renamed(foreign.S, basis))


def _of_dataset(path: Path, atoms: Atoms, basis: Basis) -> tuple[Atoms, Overlap]:
    """The first sample that is this structure; a sample of another one if there is none."""
    with Dataset(path) as data:
        some = (k for k in range(len(data)) if _may_be(atoms, data.atoms(k)))
        sample = data[next(some, 0)]
        if not _may_be(atoms, sample.atoms):
            return sample.atoms, Overlap(sample.H)
        S = sample.S  # raises a sentence if it is not stored
    return sample.atoms, Overlap(_renamed(S, basis), sample.n_electrons or None)


def _may_be(atoms: Atoms, there: Atoms) -> bool:
    """Whether `_for_these` finds the same structure, with a matrix that has no blocks."""
    if not np.array_equal(atoms.numbers, there.numbers):
        return False
    basis = Basis("any", dict.fromkeys(set(atoms.numbers.tolist()), (0,)))
    nothing = np.zeros((0, 1, 1))
    edges, shifts = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    empty = BlockMatrix(basis, atoms.numbers, edges, shifts, nothing)
    return _for_these(atoms, there, empty) is not None


def _of_arrays(path: Path, _atoms: Atoms, basis: Basis) -> tuple[Atoms, Overlap]:
    there, found = read_overlap_arrays(path)
    return there, Overlap(_renamed(found.S, basis), found.n_electrons)
