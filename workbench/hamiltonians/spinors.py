"""Kramers pairs, and the sign that a spinor takes up when it is turned by 360 degrees.

Time reversal pairs the levels of spinors wherever nothing is magnetic (Kramers 1930). A turn by
theta about n acts on spinors by ``D(theta) = kron(exp(-i theta n.sigma / 2), D(R))``: the rotation
matrix R is back after 360 degrees, where D = -1, and D only after 720. A Hamiltonian,
``D H D^+``, does not see the sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import sqrtm
from scipy.spatial.transform import Rotation

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import solve
from workbench.hamiltonians.rotations import PAULI, spin_half_axis
from workbench.hamiltonians.wigner import wigner_blocks

__all__ = ["SpinorStates", "leading_orbitals", "splitting", "turn", "turn_matrix", "turn_state"]

_DEGENERATE = 1e-6  # eV; levels closer than this are one, whose states may be mixed freely


def splitting(energies: NDArray[np.float64]) -> float:
    """The largest distance inside the pairs (1, 2), (3, 4), ... of ascending levels, in their unit.

    Zero, but for rounding, where time reversal holds: of molecules, and of crystals at k = 0.
    """
    return float((energies[1::2] - energies[::2]).max(initial=0.0))


def turn(basis: Basis, axis: ArrayLike, degrees: ArrayLike) -> NDArray[np.complex128]:
    """D(theta) of the padded frame for turns that remember how often they went round.

    Args:
        basis: of spinors.
        axis: (3,), any length but zero.
        degrees: (...) angles, not reduced to one turn.

    Returns:
        (..., 2M, 2M), unitary; -1 at 360 degrees, 1 at 720.

    Raises:
        ValueError: for a basis without spin, which knows no such sign.
    """
    if not basis.spinor:
        raise ValueError(
            "Orbitals without spin are back after 360 degrees: give spinors, e.g. H.with_spin()."
        )
    angles = np.asarray(degrees, dtype=float)
    direction = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    vectors = np.deg2rad(angles.reshape(-1, 1)) * direction
    D = wigner_blocks(basis.layout, Rotation.from_rotvec(vectors).as_matrix())  # (A, M, M)
    U = np.array([spin_half_axis(direction, a) for a in angles.ravel()])  # (A, 2, 2)
    both = np.einsum("ast,amn->asmtn", U, D)
    return both.reshape(*angles.shape, 2 * basis.dim, 2 * basis.dim)


def turn_matrix(matrix: BlockMatrix, D: NDArray[np.complex128]) -> BlockMatrix:
    """``D H D^+`` block by block, D (2M, 2M) of `turn`."""
    return replace(matrix, values=D @ (matrix.values @ D.conj().T))


def turn_state(
    matrix: BlockMatrix, state: NDArray[np.complex128], D: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """The coefficients (..., n_ao) of a state (n_ao,) turned by each D (..., 2M, 2M).

    They belong to orbitals along the same axes as before, on the turned atoms.
    """
    index = matrix.orbital_index  # (N, 2M)
    padded = np.where(index >= 0, state[index], 0)
    turned = np.einsum("...mk,nk->...nm", D, padded)
    result = np.empty((*D.shape[:-2], len(state)), dtype=np.complex128)
    result[..., index[index >= 0]] = turned[..., index >= 0]
    return result


@dataclass(frozen=True, eq=False)
class SpinorStates:
    """The eigenstates of a Hamiltonian of spinors, in orthogonalised orbitals.

    Löwdin's orbitals ``S^(-1/2) phi`` (1950, doi 10.1063/1.1747632) turn by the same D as the
    basis functions, so that the overlap of a state and the turned one, ``c^+ D c``, is that of unit
    vectors whatever the angle. It compares orbitals that ride along with their atoms.

    Attributes:
        H: eV.
        energies: (n_ao,) eV, ascending.
        vectors: (n_ao, n_ao), state k in column k, orthonormal. Degenerate states are those of
            definite spin along z among themselves, the most upward first, and the largest
            coefficient of each is real and positive.
    """

    H: BlockMatrix
    energies: NDArray[np.float64]
    vectors: NDArray[np.complex128]

    @classmethod
    def of(cls, H: BlockMatrix, S: BlockMatrix) -> SpinorStates:
        """Solve ``H c = eps S c``; of a crystal at k = 0.

        Raises:
            ValueError: for matrices without spin; whatever `physics.solve` raises.
        """
        if not H.basis.spinor:
            raise ValueError(
                "A matrix without spin has no spinors: give one with spin, e.g. H.with_spin()."
            )
        energies, orbitals = solve(H, S)
        root: Any = sqrtm(S.at_gamma())
        vectors = root @ orbitals
        for group in _groups(energies):
            vectors[:, group] = _along_z(vectors[:, group])
        largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
        return cls(H, energies, vectors * (np.abs(largest) / largest))

    def spin_z(self, level: int) -> float:
        """Mean of sigma_z in a state, between -1 and 1."""
        return float(np.real(np.vdot(self.vectors[:, level], _flip_down(self.vectors[:, level]))))

    def overlaps(self, level: int, D: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """``<psi|D psi>`` (...) of a state and the same state turned by each D (..., 2M, 2M)."""
        state = self.vectors[:, level]
        return turn_state(self.H, state, D) @ state.conj()


def leading_orbitals(
    matrix: BlockMatrix, state: NDArray[np.complex128], most: int
) -> NDArray[np.intp]:
    """Orbitals (without spin) of the shells that hold most of a state, in the matrix's order.

    Whole shells, as a turn mixes the orbitals of a shell; at least one.

    Args:
        matrix: with spin; for its atoms and shells.
        state: (n_ao,).
        most: how many orbitals at most, unless the first shell has more.
    """
    weight = (np.abs(state.reshape(2, -1)) ** 2).sum(axis=0)  # (n_ao / 2,)
    shells, at = [], 0
    for z in matrix.numbers:
        for l in matrix.basis.shells[int(z)]:
            shells.append(np.arange(at, at + 2 * l + 1))
            at += 2 * l + 1
    chosen: list[NDArray[np.intp]] = []
    for shell in sorted(shells, key=lambda s: -weight[s].sum()):
        if chosen and sum(map(len, chosen)) + len(shell) > most:
            break
        chosen.append(shell)
    return np.sort(np.concatenate(chosen))


def _groups(energies: NDArray[np.float64]) -> Iterator[slice]:
    """Runs of levels that cannot be told apart."""
    edges = [0, *(np.flatnonzero(np.diff(energies) > _DEGENERATE) + 1), len(energies)]
    yield from (slice(a, b) for a, b in pairwise(edges))


def _flip_down(states: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Sigma_z on states (n_ao, ...): the lower half, spin down, changes its sign."""
    up, down = np.split(states, 2)
    sign = np.real(np.diagonal(PAULI[2]))
    return np.concatenate([sign[0] * up, sign[1] * down])


def _along_z(states: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """The mixtures of degenerate states (n_ao, g) with definite spin along z, upward first."""
    _, mixing = np.linalg.eigh(-(states.conj().T @ _flip_down(states)))
    return states @ mixing
