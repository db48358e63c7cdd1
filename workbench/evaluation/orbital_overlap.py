"""Molecular orbitals as functions of place, and how those of two Hamiltonians compare.

An orbital is ``phi(x) = sum_a c_a chi_a(x)`` over the atomic orbitals chi; its values are in
A^(-3/2), so that the integral of phi^2 over A^3 is one. A solution of ``H c = eps S c`` has no sign
of its own, and those of one degenerate level may be mixed at will: two Hamiltonians are compared
after that freedom has been used up.
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
    """All orbitals of one Hamiltonian, and how they compare with the true ones.

    Attributes:
        energies: (n,) eV, ascending.
        coefficients: (n_ao, n), orbital k in column k, ``C^T S C = 1``.
        overlap: (n,) <true k|k> after aligning; one for the true ones themselves.
        least: (n,) smallest cosine between the degenerate sets that k belongs to.
        size: (n,) levels in that set.
        alike: (n,) which orbital here is most like the true k.
        alike_overlap: (n,) |<true k|alike>|.
    """

    energies: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    overlap: NDArray[np.float64]
    least: NDArray[np.float64]
    size: NDArray[np.int64]
    alike: NDArray[np.int64]
    alike_overlap: NDArray[np.float64]


def orbitals(H: BlockMatrix, S: BlockMatrix) -> Orbitals:
    """The orbitals of a Hamiltonian, the largest coefficient of each positive.

    Raises:
        ValueError: as `workbench.hamiltonians.eigenproblem.solve`, and for spinors.
    """
    if H.basis.spinor:
        raise ValueError("Orbitals of spinors are complex: give matrices without spin.")
    energies, C = solve(H, S)
    largest = np.take_along_axis(C, np.abs(C).argmax(axis=0)[None], axis=0)
    sizes = np.concatenate([np.full(b - a, b - a) for a, b in degenerate_sets(energies)])
    one, own = np.ones(len(energies)), np.arange(len(energies))
    return Orbitals(energies, C * np.sign(largest), one, one, sizes, own, one)


def aligned(
    true: Orbitals, H: BlockMatrix, S: BlockMatrix, degenerate: float = DEGENERATE
) -> Orbitals:
    """The orbitals of another Hamiltonian, made as like the true ones as their freedom allows.

    Each takes the sign that makes its overlap with the true orbital of the same number positive.
    Levels that are degenerate in either Hamiltonian are turned among themselves by the orthogonal
    matrix that brings them nearest (Schoenemann 1966, doi 10.1007/BF02289451); how like the two
    sets are is then `least`, the smallest cosine between them, which no mixing changes.

    Args:
        true: what to compare with, as `orbitals` gives it.
        H: eV.
        S: the overlap of both.
        degenerate: eV; levels closer than this form a set.
    """
    energies, C = solve(H, S)
    cross = true.coefficients.T @ S.at_gamma() @ C  # (n, n) <true j|k>
    turned, least, sizes = C.copy(), np.empty(len(C)), np.empty(len(C), dtype=np.int64)
    for a, b in degenerate_sets(true.energies, energies, within=degenerate):
        left, cosines, right = np.linalg.svd(cross[a:b, a:b])
        turned[:, a:b] = C[:, a:b] @ (left @ right).T
        least[a:b], sizes[a:b] = min(cosines.min(), 1.0), b - a
    overlap = np.einsum("ak,ab,bk->k", true.coefficients, S.at_gamma(), turned)
    alike = np.abs(cross).argmax(axis=1)
    return Orbitals(
        energies, turned, overlap, least, sizes, alike, np.abs(cross)[np.arange(len(C)), alike]
    )


def level_name(index: int, n_occupied: int) -> str:
    """The chemist's name of a level counted from 0: HOMO−1, HOMO, LUMO, LUMO+1, ..."""
    if index < n_occupied:
        below = n_occupied - 1 - index
        return f"HOMO−{below}" if below else "HOMO"
    above = index - n_occupied
    return f"LUMO+{above}" if above else "LUMO"
