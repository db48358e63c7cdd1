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

_COARSE = 0.5  # A; step of the coarse grid on which the extent of an orbital is determined
_MARGIN = 0.65  # A; a lobe extends no farther beyond its last point on the coarse grid
_REACH = 6.0  # A; the coarse grid extends this far beyond the atoms
_POINTS = 48_000  # of the fine grid on which the orbital is drawn


@dataclass(frozen=True)
class Grid:
    """Grid points in a box, with the same step in all directions; in flat arrays z runs fastest.

    Attributes:
        origin: (3,) the first point, A.
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
        """Volume per point, A^3."""
        return self.step**3


def grid_for(
    atoms: Atoms, basis: Basis, coefficients: ArrayLike, least: float, n_points: int = _POINTS
) -> Grid:
    """A grid over the region where some orbitals exceed a value, with about `n_points` points.

    Args:
        atoms: a molecule, A.
        basis: known to PySCF.
        coefficients: (n_ao, K), one orbital per column.
        least: A^(-3/2), positive; outside the grid all orbitals stay below it.
        n_points: more points give smoother surfaces and take longer.
    """
    # Not at the top: it loads PySCF, and widgets appear before that.
    from workbench.engines.pyscf_orbitals import atomic_orbitals

    low, high = atoms.positions.min(axis=0), atoms.positions.max(axis=0)
    coarse = Grid.around(low - _REACH, high + _REACH, _COARSE).points()
    # A core orbital may fall between the points of the coarse grid: add points at the nuclei.
    points = np.concatenate([coarse, atoms.positions + 0.05])
    values = atomic_orbitals(atoms, basis, points, coefficients)
    occupied = points[(np.abs(values) > least).any(axis=1)]
    occupied = occupied if len(occupied) else atoms.positions
    low, high = occupied.min(axis=0) - _MARGIN, occupied.max(axis=0) + _MARGIN
    step = float(np.prod(high - low) / n_points) ** (1 / 3)
    return Grid.around(low, high, step)


def on_grid(atoms: Atoms, basis: Basis, coefficients: ArrayLike, grid: Grid) -> NDArray[np.float64]:
    """Values (K, P) of orbitals at the points of a grid, A^(-3/2); coefficients (n_ao, K)."""
    from workbench.engines.pyscf_orbitals import atomic_orbitals

    return atomic_orbitals(atoms, basis, grid.points(), coefficients).T


def inside(values: NDArray[np.float64], level: float, grid: Grid) -> float:
    """The probability (0 to 1) of finding the electron where |phi| exceeds a level.

    Args:
        values: (P,) A^(-3/2).
        level: A^(-3/2).
    """
    return float((values[np.abs(values) > level] ** 2).sum() * grid.cell)
