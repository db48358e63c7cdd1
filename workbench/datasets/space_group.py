"""Whether the space group of a crystal maps its Hamiltonian onto itself.

Three things may lower the symmetry of H below that of the atoms. Magnetic moments: a map may hold
only together with time reversal, and the part of H that is even under time reversal obeys both
kinds, so only this part is tested. An external field: it shifts the potential of each atom, i.e.
adds ``(v_i + v_j) / 2 S_ij`` to H, and polarises the orbitals a little. A wrong order or sign of
orbitals is no shift of potentials, and a wrong sign of the spin shows in the spin-orbit part of H.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix, aligned
from workbench.hamiltonians.spin_parts import EVEN, MAGNETIC_EV, from_parts, to_parts

__all__ = ["Deviation", "Operation", "even_part", "operations"]

spglib.error.OLD_ERROR_HANDLING = False  # raise errors, which will become spglib's default

PRECISION = 1e-3  # A; tolerance for the position of an atom's image


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a space group: ``R x_i + t = x_image(i) + shift(i).A``.

    Attributes:
        R: (3, 3) orthogonal, Cartesian, proper or improper.
        cells: (3, 3) integers: the same operation on lattice vectors (cell indices).
        image: (N,) the atom onto which each atom is mapped.
        shift: (N, 3) the cell of that image.
    """

    R: NDArray[np.float64]
    cells: NDArray[np.int64]
    image: NDArray[np.intp]
    shift: NDArray[np.int64]


def operations(atoms: Atoms) -> Iterator[Operation]:
    """The operations of a crystal's space group, without translations; none for a molecule."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return
    cell, positions = atoms.cell.array, atoms.cell.scaled_positions(atoms.positions)
    crystal: Any = cell, positions, atoms.numbers
    try:
        group: Any = spglib.get_symmetry(crystal, symprec=PRECISION)
    except spglib.SpglibError:  # no group found, e.g. if two atoms coincide
        return
    for cells, t in zip(group["rotations"], group["translations"], strict=True):
        if np.array_equal(cells, np.eye(3)):
            continue
        difference = (positions @ cells.T + t)[:, None] - positions  # (N, N, 3)
        nearest_cell = np.rint(difference)
        distance = np.linalg.norm((difference - nearest_cell) @ cell, axis=2)
        distance[atoms.numbers[:, None] != atoms.numbers] = np.inf
        image = distance.argmin(axis=1)
        shift = nearest_cell[np.arange(len(positions)), image].astype(np.int64)
        R = cell.T @ cells @ np.linalg.inv(cell.T)
        yield Operation(R, cells.astype(np.int64), image, shift)


@dataclass(frozen=True, eq=False)
class Deviation:
    """The image of H under an operation of the space group, minus H.

    Attributes:
        difference: eV.
        scale: the norm of H's off-site blocks, or that of H if it has none, eV.
    """

    difference: BlockMatrix
    scale: float

    @classmethod
    def of(cls, H: BlockMatrix, operation: Operation) -> Deviation:
        """The deviation of H under one operation."""
        (i, j), shift = H.edges, operation.shift
        moved = replace(
            H.rotate(operation.R),
            edges=operation.image[H.edges],
            shifts=H.shifts @ operation.cells.T + shift[j] - shift[i],
        )
        scale = float(np.linalg.norm(H.values[H.off_site] if H.off_site.any() else H.values))
        return cls(moved - H, max(scale, 1e-300))

    @property
    def share(self) -> float:
        """The norm of the difference over the scale."""
        return float(np.linalg.norm(self.difference.values)) / self.scale

    def spin_orbit_share(self, H: BlockMatrix) -> float | None:
        """The norm of the spin-orbit part of the difference over that of H's own.

        None without spin, and where the coupling is weaker than the noise of an engine.
        """
        if not H.basis.spinor:
            return None
        own, changed = (to_parts(m.values, EVEN)[:, 1:] for m in (H, self.difference))
        if not np.abs(own).max(initial=0.0) > MAGNETIC_EV:
            return None
        return float(np.linalg.norm(changed) / np.linalg.norm(own))

    def beyond_potentials(self, S: BlockMatrix) -> float:
        """The share of off-site blocks that a potential v at each atom does not explain.

        The potentials minimise the norm of ``difference_ij - (v_i + v_j) / 2 S_ij``. On-site blocks
        and spin-orbit coupling are left out: a field polarises atoms, and a wrong order of orbitals
        shows in the off-site blocks.
        """
        D, overlap = aligned(_mean_over_spins(self.difference), _mean_over_spins(S))
        (i, j), n = D.edges, len(D.numbers)
        of_S = (overlap.values**2).sum(axis=(1, 2))  # (E,)
        of_both = (D.values * overlap.values).sum(axis=(1, 2))
        normal, right = np.zeros((n, n)), np.zeros(n)
        for first in (i, j):
            np.add.at(right, first, of_both / 2)
            for second in (i, j):
                np.add.at(normal, (first, second), of_S / 4)
        v = np.linalg.lstsq(normal, right, rcond=None)[0]
        rest = (D.values - ((v[i] + v[j]) / 2)[:, None, None] * overlap.values)[D.off_site]
        spins = np.sqrt(2) if S.basis.spinor else 1.0
        return spins * float(np.linalg.norm(rest)) / self.scale


def even_part(H: BlockMatrix) -> BlockMatrix:
    """The part of H that is even under time reversal; a matrix without spin is returned as it is.

    >>> from workbench.datasets.space_group import even_part
    >>> H = wb.Dataset("bb-mini")[0].H  # Bi with spin-orbit coupling, not magnetic
    >>> (even_part(H) - H).max_abs() < 1e-6  # eV
    True
    """
    return replace(H, values=from_parts(to_parts(H.values, EVEN))) if H.basis.spinor else H


def _mean_over_spins(matrix: BlockMatrix) -> BlockMatrix:
    """The part of a matrix that does not act on spin; one without spin as it is."""
    if not matrix.basis.spinor:
        return matrix
    scalar = replace(matrix.basis, spinor=False)
    return replace(matrix, basis=scalar, values=to_parts(matrix.values, 1)[:, 0])
