"""Errors of predicted band energies near the Fermi level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.hamiltonians.bands import LEAST, mesh_energies
from workbench.hamiltonians.bloch import default_mesh
from workbench.hamiltonians.block_matrix import BlockMatrix

WINDOW = 2.0
"""Bands this near to the Fermi level, eV, are those that `BandWindow` compares."""


SPARSE = 0.5
"""Largest distance, 1/A, of the k-points at which it compares them."""


@dataclass(frozen=True, eq=False)
class BandWindow:
    """The band energies of a crystal near its Fermi level, for other matrices to be held against.

    Those within `WINDOW` of the level, at the points of a mesh no wider than `SPARSE`. Bands are
    matched by their number from below at each k, and the zero of energy is that of the matrices.
    The literature draws bands and gives no number: window and mesh are ours.

    Attributes:
        S: overlap of the crystal.
        mesh: numbers of k-points.
        energies: (points, n_ao) eV.
        near: (points, n_ao) which of them lie in the window.
    """

    S: BlockMatrix
    mesh: tuple[int, ...]
    energies: NDArray[np.float64]
    near: NDArray[np.bool_]

    @classmethod
    def of(cls, H: BlockMatrix, S: BlockMatrix, atoms: Atoms, level: float) -> BandWindow:
        """The window of a crystal.

        Args:
            H: eV, the reference.
            S: dimensionless.
            atoms: the crystal.
            level: the Fermi level, eV.

        Raises:
            LinAlgError: for an overlap that is not positive at some k.
        """
        mesh = default_mesh(atoms, SPARSE)
        energies = mesh_energies(H, S, mesh)
        return cls(S, mesh, energies, np.abs(energies - level) <= WINDOW)

    def error(self, H: BlockMatrix) -> float:
        """Mean modulus of the error in eV of predicted bands, see `LEAST`; nan if none is near."""
        predicted = mesh_energies(H, self.S, self.mesh, LEAST)
        errors = np.abs(predicted - self.energies)[self.near]
        return float(errors.mean()) if len(errors) else float("nan")
