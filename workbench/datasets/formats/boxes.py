"""Molecules in a box: formats of crystals give every structure a cell, also where it is only room.

A molecule has levels and a gap, and a crystal has bands. The two are told apart by the matrices:
no block of a molecule reaches another cell, although the program would have written one for each
pair of atoms with a matrix element.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell

from workbench.datasets.formats import Foreign
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import levels
from workbench.structures.loading import pair_vectors, validate
from workbench.structures.validation import ElectronsError

__all__ = ["foreign_molecule", "without_box"]

_ELEMENT = 1e-3
"""Pairs of atoms overlap if an element of S (or of H, eV) is at least so large."""

_LEAST_ROOM = 5.0
"""Least distance of a molecule to its images, A; orbitals of two atoms that far apart overlap."""

_IMAGES = np.array([t for t in np.ndindex(3, 3, 3) if t != (1, 1, 1)]) - 1


def foreign_molecule(found: Foreign, zero_is_known: bool = False) -> Foreign:
    """A structure of a file, as a molecule if its cell is only a box.

    The Fermi level of a molecule gives its number of electrons, with the overlap: twice the number
    of levels up to it (of spinors, once).

    Args:
        found: periodic in three directions.
        zero_is_known: whether a Fermi level of exactly zero is one. Programs also write it where
            they know none.
    """
    atoms = without_box(found.atoms, found.H if found.S is None else found.S)
    level = found.fermi_level
    unknown = not np.isfinite(level) or (level == 0 and not zero_is_known)
    if atoms is found.atoms or found.S is None or unknown:
        return replace(found, atoms=atoms)
    below = int((levels(found.H, found.S) <= level + _ELEMENT).sum())
    electrons = below * (1 if found.H.basis.spinor else 2)
    possible = 0 < electrons <= int(atoms.numbers.sum())
    return replace(found, atoms=atoms, n_electrons=electrons if possible else 0)


def without_box(atoms: Atoms, matrix: BlockMatrix) -> Atoms:
    """The same atoms without a cell if that is only a box around a molecule, else as they are.

    It is if no block couples two cells, and the images of the molecule are farther away than 5 A
    and than the farthest pair of its atoms that overlap. A molecule with an odd number of electrons
    keeps its cell, since its charge is unknown.

    Args:
        atoms: periodic in three directions.
        matrix: S, or H in eV.

    >>> from workbench.datasets.formats.boxes import without_box
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> boxed = wb.load("water")
    >>> boxed.center(vacuum=6.0)
    >>> boxed.pbc = True
    >>> without_box(boxed, water.S).pbc.any(), boxed.pbc.any()
    (np.False_, np.True_)
    """
    if matrix.shifts.any() or not _room(atoms) > max(_LEAST_ROOM, _range(atoms, matrix)):
        return atoms
    molecule = Atoms(atoms.numbers, atoms.positions, info={"charge": 0, "spin": 0})
    try:
        return validate(molecule)
    except ElectronsError:
        return atoms


def _room(atoms: Atoms) -> float:
    """The smallest distance of an atom to an image of any atom, A."""
    between = atoms.positions[None] - atoms.positions[:, None]  # (N, N, 3)
    shifts = _IMAGES @ complete_cell(atoms.cell.array)  # (26, 3)
    return min(float(np.linalg.norm(between + shift, axis=2).min()) for shift in shifts)


def _range(atoms: Atoms, matrix: BlockMatrix) -> float:
    """The largest distance of two atoms that overlap, A."""
    overlapping = np.abs(matrix.values).max(axis=(1, 2)) >= _ELEMENT
    distances = np.linalg.norm(pair_vectors(matrix, atoms), axis=1)
    return float(distances[overlapping].max(initial=0.0))
