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
"""Half-width in eV of the energy window around the Fermi level in which bands are compared."""

SPARSE = 0.5
"""Largest spacing in 1/A of the k-point mesh on which bands are compared."""


@dataclass(frozen=True, eq=False)
class BandWindow:
    """The reference band energies of a crystal near its Fermi level.

    Energies within `WINDOW` of the Fermi level are compared, on a k-point mesh with a spacing of
    at most `SPARSE`. At each k the bands are numbered from the lowest upwards and compared number
    by number; the energies are not shifted. The literature plots bands without giving a number, so
    the window and the mesh are our choice.

    Attributes:
        S: overlap of the crystal.
        mesh: numbers of k-points along the reciprocal vectors.
        energies: (points, n_ao) eV.
        near: (points, n_ao) whether an energy lies in the window.
    """

    S: BlockMatrix
    mesh: tuple[int, ...]
    energies: NDArray[np.float64]
    near: NDArray[np.bool_]

    @classmethod
    def of(cls, H: BlockMatrix, S: BlockMatrix, atoms: Atoms, level: float) -> BandWindow:
        """The band energies of a reference Hamiltonian.

        Args:
            H: the reference, eV.
            S: overlap, dimensionless.
            atoms: the crystal.
            level: the Fermi level, eV.

        Raises:
            LinAlgError: if the overlap is not positive definite at some k.
        """
        mesh = default_mesh(atoms, SPARSE)
        energies = mesh_energies(H, S, mesh)
        return cls(S, mesh, energies, np.abs(energies - level) <= WINDOW)

    def error(self, H: BlockMatrix) -> float:
        """Mean modulus of the error of a predicted Hamiltonian's bands in the window, eV.

        Eigenvalues of S below `LEAST` are left out. The error is nan if no energy is in the window.
        """
        predicted = mesh_energies(H, self.S, self.mesh, LEAST)
        errors = np.abs(predicted - self.energies)[self.near]
        return float(errors.mean()) if len(errors) else float("nan")
