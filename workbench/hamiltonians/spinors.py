"""Spinor states: Kramers pairs, and rotations by angles beyond 360 degrees.

Without magnetism, time reversal pairs the levels of spinors (Kramers 1930). A rotation by theta
about n acts on spinors by ``D(theta) = kron(exp(-i theta n.sigma / 2), D(R))``. At 360 degrees the
rotation matrix R is the identity again, but D = -1; D returns to 1 at 720 degrees. The sign cancels
in the rotated Hamiltonian ``D H D^+``.
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

_DEGENERATE = 1e-6  # eV; closer levels are degenerate, and their states may be mixed freely


def splitting(energies: NDArray[np.float64]) -> float:
    """Largest splitting of the pairs (1, 2), (3, 4), ... of ascending levels, in their unit.

    With time reversal symmetry it is zero up to rounding, for molecules and for crystals at k = 0.

    >>> from workbench.hamiltonians.spinors import splitting
    >>> sample = wb.Dataset("bb-mini")[0]  # bismuthene with spin-orbit coupling
    >>> splitting(wb.levels(sample.H, sample.S)) < 1e-9  # eV; Kramers pairs
    True
    """
    return float((energies[1::2] - energies[::2]).max(initial=0.0))


def turn(basis: Basis, axis: ArrayLike, degrees: ArrayLike) -> NDArray[np.complex128]:
    """D(theta) of the padded frame, with the sign that spinors acquire beyond 360 degrees.

    Args:
        basis: of spinors.
        axis: (3,), of any non-zero length.
        degrees: (...) angles, not reduced to 360 degrees.

    Returns:
        (..., 2M, 2M), unitary; -1 at 360 degrees, 1 at 720.

    Raises:
        ValueError: for a basis without spin, where this sign does not exist.

    >>> from workbench.hamiltonians.spinors import turn
    >>> once, twice = turn(wb.Basis("sto-3g", {1: (0,)}, spinor=True), (0, 0, 1), [360, 720])
    >>> bool(np.allclose(once, -np.eye(2))), bool(np.allclose(twice, np.eye(2)))
    (True, True)
    """
    if not basis.spinor:
        raise ValueError(
            "Orbitals without spin do not change sign at 360 degrees: give spinors, e.g. "
            "H.with_spin()."
        )
    angles = np.asarray(degrees, dtype=float)
    direction = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    vectors = np.deg2rad(angles.reshape(-1, 1)) * direction
    D = wigner_blocks(basis.layout, Rotation.from_rotvec(vectors).as_matrix())  # (A, M, M)
    U = np.array([spin_half_axis(direction, a) for a in angles.ravel()])  # (A, 2, 2)
    products = np.einsum("ast,amn->asmtn", U, D)
    return products.reshape(*angles.shape, 2 * basis.dim, 2 * basis.dim)


def turn_matrix(matrix: BlockMatrix, D: NDArray[np.complex128]) -> BlockMatrix:
    """``D H D^+`` block by block, with D (2M, 2M) from `turn`."""
    return replace(matrix, values=D @ (matrix.values @ D.conj().T))


def turn_state(
    matrix: BlockMatrix, state: NDArray[np.complex128], D: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """Coefficients (..., n_ao) of a state (n_ao,) after rotation by each D (..., 2M, 2M).

    They refer to orbitals along the original x, y, z axes, centred on the rotated atoms.
    """
    index = matrix.orbital_index  # (N, 2M)
    padded = np.where(index >= 0, state[index], 0)
    rotated = np.einsum("...mk,nk->...nm", D, padded)
    result = np.empty((*D.shape[:-2], len(state)), dtype=np.complex128)
    result[..., index[index >= 0]] = rotated[..., index >= 0]
    return result


@dataclass(frozen=True, eq=False)
class SpinorStates:
    """The eigenstates of a Hamiltonian with spin, in orthogonalised orbitals.

    Löwdin's orbitals ``S^(-1/2) phi`` (1950, doi 10.1063/1.1747632) rotate by the same D as the
    basis functions. The overlap of a state with its rotated copy, ``c^+ D c``, is therefore an
    overlap of unit vectors at every angle. It compares orbitals that move with their atoms.

    Attributes:
        H: eV.
        energies: (n_ao,) eV, ascending.
        vectors: (n_ao, n_ao), state k in column k, orthonormal. Degenerate states diagonalise
            sigma_z in their subspace, the largest spin first; the largest coefficient of each state
            is real and positive.
    """

    H: BlockMatrix
    energies: NDArray[np.float64]
    vectors: NDArray[np.complex128]

    @classmethod
    def of(cls, H: BlockMatrix, S: BlockMatrix) -> SpinorStates:
        """Solve ``H c = eps S c``; of a crystal at k = 0.

        Raises:
            ValueError: for matrices without spin, and as `workbench.solve`.
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
        """Expectation value of sigma_z in a state, between -1 and 1."""
        return float(np.real(np.vdot(self.vectors[:, level], _flip_down(self.vectors[:, level]))))

    def overlaps(self, level: int, D: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """``<psi|D psi>`` (...) of a state and its copy rotated by each D (..., 2M, 2M)."""
        state = self.vectors[:, level]
        return turn_state(self.H, state, D) @ state.conj()


def leading_orbitals(
    matrix: BlockMatrix, state: NDArray[np.complex128], most: int
) -> NDArray[np.intp]:
    """Orbitals (spin not counted) of the shells with the largest weights in a state, in AO order.

    Shells are complete, as a rotation mixes the orbitals of a shell; at least one is returned.

    Args:
        matrix: with spin; gives the atoms and the shells.
        state: (n_ao,).
        most: largest number of orbitals, unless the first shell alone has more.
    """
    weight = (np.abs(state.reshape(2, -1)) ** 2).sum(axis=0)  # (n_ao / 2,)
    shells, start = [], 0
    for z in matrix.numbers:
        for l in matrix.basis.shells[int(z)]:
            shells.append(np.arange(start, start + 2 * l + 1))
            start += 2 * l + 1
    chosen: list[NDArray[np.intp]] = []
    for shell in sorted(shells, key=lambda s: -weight[s].sum()):
        if chosen and sum(map(len, chosen)) + len(shell) > most:
            break
        chosen.append(shell)
    return np.sort(np.concatenate(chosen))


def _groups(energies: NDArray[np.float64]) -> Iterator[slice]:
    """Slices of degenerate levels."""
    edges = [0, *(np.flatnonzero(np.diff(energies) > _DEGENERATE) + 1), len(energies)]
    yield from (slice(a, b) for a, b in pairwise(edges))


def _flip_down(states: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Sigma_z applied to states (n_ao, ...): the lower half, spin down, changes its sign."""
    up, down = np.split(states, 2)
    sign = np.real(np.diagonal(PAULI[2]))
    return np.concatenate([sign[0] * up, sign[1] * down])


def _along_z(states: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Degenerate states (n_ao, g) mixed to diagonalise sigma_z, the largest spin first."""
    _, mixing = np.linalg.eigh(-(states.conj().T @ _flip_down(states)))
    return states @ mixing
