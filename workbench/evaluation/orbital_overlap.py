"""The molecular orbitals of a Hamiltonian, compared with those of a reference Hamiltonian.

An orbital is ``phi(x) = sum_a c_a chi_a(x)`` over the atomic orbitals chi; its values are in
A^(-3/2), so that the integral of phi^2 over A^3 is one. The sign of a solution of ``H c = eps S c``
is arbitrary, and so is the rotation among the solutions of a degenerate level. Signs and rotations
are therefore aligned before orbitals are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import DEGENERATE, degenerate_sets, solve

__all__ = ["Orbitals", "aligned", "level_name", "orbitals"]


@dataclass(frozen=True, eq=False)
class Orbitals:
    """All orbitals of one Hamiltonian, and their overlaps with the true orbitals.

    Attributes:
        energies: (n,) eV, ascending.
        coefficients: (n_ao, n), orbital k in column k, ``C^T S C = 1``.
        overlap: (n,) <true k|k> after alignment; one for the true orbitals themselves.
        least: (n,) smallest cosine between the degenerate sets to which k belongs.
        size: (n,) number of levels in that set.
        alike: (n,) number of the orbital with the largest overlap with the true orbital k.
        alike_overlap: (n,) that overlap, |<true k|alike>|.
    """

    energies: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    overlap: NDArray[np.float64]
    least: NDArray[np.float64]
    size: NDArray[np.int64]
    alike: NDArray[np.int64]
    alike_overlap: NDArray[np.float64]


def orbitals(H: BlockMatrix, S: BlockMatrix) -> Orbitals:
    """The orbitals of a Hamiltonian, with the largest coefficient of each positive.

    Args:
        H: eV.
        S: overlap.

    Raises:
        ValueError: as `workbench.hamiltonians.eigenproblem.solve`, and for spinors.

    >>> from workbench.evaluation.orbital_overlap import orbitals
    >>> water = wb.reference(wb.load("water"), "sto-3g", "hf")
    >>> C = orbitals(water.H, water.S).coefficients
    >>> bool(np.allclose(C.T @ water.S.dense() @ C, np.eye(7)))
    True
    """
    if H.basis.spinor:
        raise ValueError("Orbitals of spinors are complex: pass matrices without spin.")
    energies, C = solve(H, S)
    largest = np.take_along_axis(C, np.abs(C).argmax(axis=0)[None], axis=0)
    sizes = np.concatenate([np.full(b - a, b - a) for a, b in degenerate_sets(energies)])
    ones, numbers = np.ones(len(energies)), np.arange(len(energies))
    return Orbitals(energies, C * np.sign(largest), ones, ones, sizes, numbers, ones)


def aligned(
    true: Orbitals, H: BlockMatrix, S: BlockMatrix, degenerate: float = DEGENERATE
) -> Orbitals:
    """The orbitals of another Hamiltonian, aligned with the true orbitals.

    The sign of each orbital is chosen so that its overlap with the true orbital of the same number
    is positive. Levels that are degenerate in either Hamiltonian are rotated among themselves by
    the orthogonal matrix that brings them nearest to the true ones (Schoenemann 1966,
    doi 10.1007/BF02289451). The similarity of two degenerate sets is `least`, the smallest cosine
    between them, which does not depend on rotations within the sets.

    Args:
        true: the true orbitals, from `orbitals`.
        H: eV.
        S: the overlap of both Hamiltonians.
        degenerate: eV; levels closer than this form a set.

    >>> from workbench.evaluation.orbital_overlap import aligned, orbitals
    >>> water = wb.reference(wb.load("water"), "sto-3g", "hf")
    >>> true = orbitals(water.H, water.S)
    >>> bool(np.allclose(aligned(true, 1.1 * water.H, water.S).overlap, 1))  # same orbitals
    True
    """
    energies, C = solve(H, S)
    cross = true.coefficients.T @ S.at_gamma() @ C  # (n, n) <true j|k>
    rotated, least, sizes = C.copy(), np.empty(len(C)), np.empty(len(C), dtype=np.int64)
    for a, b in degenerate_sets(true.energies, energies, within=degenerate):
        left, cosines, right = np.linalg.svd(cross[a:b, a:b])
        rotated[:, a:b] = C[:, a:b] @ (left @ right).T
        least[a:b], sizes[a:b] = min(cosines.min(), 1.0), b - a
    overlap = np.einsum("ak,ab,bk->k", true.coefficients, S.at_gamma(), rotated)
    alike = np.abs(cross).argmax(axis=1)
    return Orbitals(
        energies, rotated, overlap, least, sizes, alike, np.abs(cross)[np.arange(len(C)), alike]
    )


def level_name(index: int, n_occupied: int) -> str:
    """The chemist's name of a level counted from 0: HOMO−1, HOMO, LUMO, LUMO+1, ..."""
    if index < n_occupied:
        below = n_occupied - 1 - index
        return f"HOMO−{below}" if below else "HOMO"
    above = index - n_occupied
    return f"LUMO+{above}" if above else "LUMO"
