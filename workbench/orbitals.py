"""Molecular orbitals as functions of place, and how those of two Hamiltonians compare.

An orbital is ``phi(x) = sum_a c_a chi_a(x)`` over the atomic orbitals chi; its values are in
A^(-3/2), so that the integral of phi^2 over A^3 is one. A solution of ``H c = eps S c`` has no sign
of its own, and those of one degenerate level may be mixed at will: two Hamiltonians are compared
after that freedom has been used up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.basis import Basis
from workbench.matrices import BlockMatrix
from workbench.physics import DEGENERATE, degenerate_sets, solve

__all__ = ["Grid", "Orbitals", "aligned", "grid_for", "inside", "level_name", "on_grid", "orbitals"]

_COARSE = 0.5  # A; of the grid on which an orbital is looked for
_MARGIN = 0.65  # A; a lobe reaches no farther beyond the last of its points on that grid
_REACH = 6.0  # A; how far from the atoms it is looked for
_POINTS = 48_000  # of the grid on which it is drawn


@dataclass(frozen=True)
class Grid:
    """Points of a box with one step in all directions; in flat arrays z runs fastest.

    Attributes:
        origin: (3,) its first point, A.
        step: A.
        shape: points along x, y and z.
    """

    origin: tuple[float, float, float]
    step: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, low: ArrayLike, high: ArrayLike, step: float) -> Grid:
        """The smallest grid from the corner `low` (3,) that reaches the corner `high` (3,), A."""
        start, end = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        nx, ny, nz = (int(n) + 1 for n in np.ceil((end - start) / step))
        x, y, z = start.tolist()
        return cls((x, y, z), float(step), (nx, ny, nz))

    def points(self) -> NDArray[np.float64]:
        """(P, 3) A."""
        axes = [
            first + self.step * np.arange(n, dtype=np.float64)
            for first, n in zip(self.origin, self.shape, strict=True)
        ]
        mesh = np.meshgrid(*axes, indexing="ij")
        return np.stack(mesh, axis=-1, dtype=np.float64).reshape(-1, 3)

    @property
    def cell(self) -> float:
        """Volume that belongs to a point, A^3."""
        return self.step**3


def grid_for(
    atoms: Atoms, basis: Basis, coefficients: ArrayLike, least: float, n_points: int = _POINTS
) -> Grid:
    """The box outside of which some orbitals stay below a value, with about so many points.

    Args:
        atoms: a molecule, A.
        basis: known to PySCF.
        coefficients: (n_ao, K).
        least: A^(-3/2), positive.
        n_points: more of them draw smoother surfaces, and take longer.
    """
    from workbench.engines.orbitals import atomic_orbitals  # PySCF: widgets appear before it loads

    low, high = atoms.positions.min(axis=0), atoms.positions.max(axis=0)
    coarse = Grid.around(low - _REACH, high + _REACH, _COARSE).points()
    # A core orbital may lie between the points of a coarse grid, but not beside its nucleus.
    places = np.concatenate([coarse, atoms.positions + 0.05])
    values = atomic_orbitals(atoms, basis, places, coefficients)
    there = places[(np.abs(values) > least).any(axis=1)]
    there = there if len(there) else atoms.positions
    low, high = there.min(axis=0) - _MARGIN, there.max(axis=0) + _MARGIN
    step = float(np.prod(high - low) / n_points) ** (1 / 3)
    return Grid.around(low, high, step)


def on_grid(atoms: Atoms, basis: Basis, coefficients: ArrayLike, grid: Grid) -> NDArray[np.float64]:
    """Values (K, P) of orbitals at the points of a grid, A^(-3/2); coefficients (n_ao, K)."""
    from workbench.engines.orbitals import atomic_orbitals

    return atomic_orbitals(atoms, basis, grid.points(), coefficients).T


def inside(values: NDArray[np.float64], level: float, grid: Grid) -> float:
    """The probability to find an electron where |phi| exceeds a level, a number up to one.

    Args:
        values: (P,) A^(-3/2).
        level: A^(-3/2).
    """
    return float((values[np.abs(values) > level] ** 2).sum() * grid.cell)


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
        ValueError: as `workbench.physics.solve`, and for spinors.
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
