"""Molecules of published sets: from arrays to a structure that can be validated.

A set without overlaps leaves little to validate. Three further tests detect what people take for
it: positions in another unit, a core Hamiltonian or another unit of energy, and the orbital order
of another program. The limits were measured on the molecules of ASE's G2 set in def2-SVP.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, FormatError, check_elements
from workbench.datasets.validation import across_the_pair
from workbench.engines.foreign_arrays import in_our_order
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import AO_TO_M, HARTREE
from workbench.structures.loading import StructureError, validate
from workbench.structures.validation import shortest_distance

__all__ = ["BASIS", "atoms_of", "basis_of", "molecule"]

BASIS = "def2-svp"
"""The basis of all sets read here, by its name in PySCF."""

_MOST_ATOMS = 1000
_SAME_OVERLAP = 1e-4
"""Largest difference of two overlaps in the same functions: programs print six digits or more."""
_BOND = (0.6, 1.7)
"""Shortest distance in a molecule with a bond to H, C, N, O or F, A."""
_LEVEL = (0.3, 0.95)
"""Energy of the first orbital of an element beyond He, of -Z^2/2 Hartree.

It is 0.54 (Li) to 0.80 (Br) in Fock matrices and at least 1 in core Hamiltonians.
"""
_ACROSS = 0.12
"""Share of H across the pairs (`across_the_pair`) up to which its order is not doubted."""
_BETTER = 0.8
"""Another order is the right one if its share is less than this part of the stated order's."""


def atoms_of(source: Path, numbers: NDArray[np.integer], positions: NDArray[np.floating]) -> Atoms:
    """A neutral molecule.

    Args:
        source: `file/row`, for errors.
        numbers: (N,) atomic numbers.
        positions: (N, 3) or flat, A.

    Raises:
        FormatError: for a molecule that is not possible.
    """
    if not 0 < len(numbers) <= _MOST_ATOMS:
        raise FormatError(f"{source} has {len(numbers)} atoms: a molecule has 1 to {_MOST_ATOMS}.")
    try:
        return validate(Atoms(numbers.astype(int), positions.astype(float).reshape(-1, 3)))
    except StructureError as error:
        raise FormatError(f"{source}: {error}") from error


def basis_of(source: Path, numbers: NDArray[np.integer]) -> Basis:
    """PySCF's def2-SVP for some elements.

    Raises:
        FormatError: for an element that it lacks.
    """
    from workbench.engines.pyscf_molecules import basis_of as of_pyscf  # a second to import

    try:
        return of_pyscf(BASIS, np.unique(numbers).tolist())
    except ValueError as error:
        raise FormatError(f"{source}: {error}") from error


def molecule(
    source: Path,
    atoms: Atoms,
    basis: Basis,
    H: NDArray[np.floating],
    S: NDArray[np.floating] | None,
    order: str,
) -> Foreign:
    """A molecule with its matrices in our order and units.

    Args:
        source: `file/row`, for errors.
        atoms: from `atoms_of`.
        basis: its shells are in the program's order; with the name `BASIS`, S must be PySCF's.
        H: (n_ao, n_ao) Hartree.
        S: the same; None where the set has no overlap.
        order: a key of `AO_TO_M`.

    Raises:
        FormatError: for matrices that are not those of this molecule, or of another order or unit.
    """
    from workbench.engines.pyscf_molecules import electrons

    hamiltonian = _blocks(source, "H", H, atoms, basis, order) * HARTREE
    check_elements(source, hamiltonian.values)
    _check_level(source, hamiltonian)
    overlap = None if S is None else _blocks(source, "S", S, atoms, basis, order)
    computable = basis.name == BASIS
    if overlap is None:
        _check_bonds(source, atoms)
        _check_order(source, atoms, hamiltonian, H, order)
    elif computable:
        _check_overlap(source, atoms, overlap)
    return Foreign(
        atoms,
        hamiltonian,
        overlap,
        fermi_level=float("nan"),
        n_electrons=electrons(atoms, BASIS),
        computable=computable,
    )


def _blocks(
    source: Path, name: str, matrix: NDArray[np.floating], atoms: Atoms, basis: Basis, order: str
) -> BlockMatrix:
    """One matrix in our order, symmetric where it differs from that by the rounding of its kind."""
    dense = matrix.astype(np.float64)
    largest = np.abs(dense).max(initial=0.0)
    if np.abs(dense - dense.T).max(initial=0.0) <= 4 * np.finfo(matrix.dtype).eps * largest:
        dense = (dense + dense.T) / 2
    try:
        return in_our_order(name, dense, atoms, basis, order)
    except ValueError as error:
        raise FormatError(f"{source}: {error}") from error


def _check_level(source: Path, H: BlockMatrix) -> None:
    """Refuse matrices that are no Fock matrices in Hartree, by the level of the heaviest core."""
    heaviest = int(np.argmax(H.numbers))
    z = int(H.numbers[heaviest])
    if z <= 2:
        return
    level = float(H.block(heaviest, heaviest)[0, 0]) / HARTREE
    share = level / (-(z**2) / 2)
    if not _LEVEL[0] <= share <= _LEVEL[1]:
        raise FormatError(
            f"{source}: the 1s orbital of {chemical_symbols[z]} lies at {level:.4g} Hartree, and "
            f"in a Fock matrix near {-0.32 * z**2:.4g}: this is a core Hamiltonian, or its "
            "unit is not Hartree."
        )


def _check_bonds(source: Path, atoms: Atoms) -> None:
    """Refuse positions in another unit, which no other test of a set without overlaps detects."""
    shortest = shortest_distance(atoms)
    if shortest is not None and not _BOND[0] <= shortest[0] <= _BOND[1]:
        raise FormatError(
            f"{source}: the shortest distance is {shortest[0]:.3g} A, and a bond has {_BOND[0]} to "
            f"{_BOND[1]} A: the positions are in another unit."
        )


def _check_order(
    source: Path, atoms: Atoms, ours: BlockMatrix, H: NDArray[np.floating], order: str
) -> None:
    """Refuse a matrix that rotates better with its pairs of atoms in another program's order."""
    share = across_the_pair(ours, atoms)
    if share <= _ACROSS:
        return
    for other in (name for name in AO_TO_M if max(ours.basis.layout) in AO_TO_M[name]):
        theirs = across_the_pair(in_our_order("H", H, atoms, ours.basis, other), atoms)
        if not theirs >= _BETTER * share:
            raise FormatError(
                f"{source}: {share:.1%} of H does not rotate with its pairs of atoms, and in the "
                f"orbital order of {other} only {theirs:.1%}: the orbitals are not in the order "
                f"of {order}, which is the one of this set."
            )


def _check_overlap(source: Path, atoms: Atoms, S: BlockMatrix) -> None:
    """Refuse an overlap that is not the one of def2-SVP."""
    from workbench.engines.pyscf_molecules import overlap

    difference = (S - overlap(atoms, S.basis)).max_abs()
    if not difference <= _SAME_OVERLAP:
        raise FormatError(
            f"{source}: S differs by {difference:.2g} from the overlap of these atoms in def2-SVP: "
            "the order of orbitals or the unit of positions is not that of this set, or give the "
            "basis another name (--basis)."
        )
