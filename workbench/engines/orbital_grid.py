"""Molecular orbitals on grids of points in space.

An orbital is ``phi(x) = sum_a c_a chi_a(x)`` over the atomic orbitals chi; its values are in
A^(-3/2), so that the integral of phi^2 over A^3 is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.basis import Basis

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
    from workbench.engines.pyscf_orbitals import (
        atomic_orbitals,
    )  # PySCF: widgets appear before it loads

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
    from workbench.engines.pyscf_orbitals import atomic_orbitals

    return atomic_orbitals(atoms, basis, grid.points(), coefficients).T


def inside(values: NDArray[np.float64], level: float, grid: Grid) -> float:
    """The probability to find an electron where |phi| exceeds a level, a number up to one.

    Args:
        values: (P,) A^(-3/2).
        level: A^(-3/2).
    """
    return float((values[np.abs(values) > level] ** 2).sum() * grid.cell)
