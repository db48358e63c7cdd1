"""The overlap of one structure from a file: npz of `predict --out`, a dataset, DeepH, SIESTA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from ase import Atoms

from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError, deeph, sisl
from workbench.engines import Overlap
from workbench.evaluation.prediction_files import read_overlap_arrays
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["read_overlap"]

_SAME = 1e-3  # A; programs write positions with few digits
"""Largest difference of positions and cells of one structure in two files."""


def read_overlap(path: str | os.PathLike[str], atoms: Atoms, basis: Basis) -> Overlap:
    """The overlap of a structure in the orbitals of a basis.

    Args:
        path: an ``.npz`` of `predict --out`, a dataset ``.h5`` that holds the structure, a folder
            of DeepH, or ``.HSX``, ``.nc`` or ``.fdf`` of SIESTA.
        atoms: the structure; the file must hold the same atoms in the same order.
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
    if not _same(atoms, there):
        raise FormatError(
            f"{file} is of another structure than the one to predict: the atoms must be the same, "
            f"in the same order, within {_SAME} A, and so must the cells."
        )
    try:
        return Overlap(found.S.in_basis(basis), found.n_electrons)
    except ValueError as error:
        raise FormatError(
            f"{file} has other orbitals than the basis {basis.name} of the model: compute the "
            "overlap in the model's basis."
        ) from error


def _same(a: Atoms, b: Atoms) -> bool:
    if not np.array_equal(a.numbers, b.numbers) or np.abs(a.positions - b.positions).max() > _SAME:
        return False
    return not a.pbc.any() or bool(np.abs(a.cell.array - b.cell.array).max() <= _SAME)


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
        number = next((k for k in range(len(data)) if _same(atoms, data.atoms(k))), 0)
        sample = data[number]
        if not _same(atoms, sample.atoms):
            return sample.atoms, Overlap(sample.H)
        S = sample.S  # raises a sentence if it is not stored
    return sample.atoms, Overlap(_renamed(S, basis), sample.n_electrons or None)


def _of_arrays(path: Path, _atoms: Atoms, basis: Basis) -> tuple[Atoms, Overlap]:
    there, found = read_overlap_arrays(path)
    return there, Overlap(_renamed(found.S, basis), found.n_electrons)
