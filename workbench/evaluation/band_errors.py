"""Errors of predicted band energies near the Fermi level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.special import expit

from workbench.hamiltonians.bands import LEAST, mesh_energies
from workbench.hamiltonians.bloch import default_mesh
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import fill_to

WINDOW = 2.0
"""Half-width in eV of the energy window around the Fermi level in which bands are compared."""

SPARSE = 0.5
"""Largest spacing in 1/A of the k-point mesh on which bands are compared."""

ALIGNING = 0.1
"""Width in eV of the Fermi distribution that determines the levels to which bands are aligned.

The level of an insulator lies in its gap, where the tails of the distribution determine it: near
its middle. At 0.02 eV the tails vanish in a gap of 1.7 eV, and the level is anywhere in the gap.
At 0.1 eV it varies smoothly, in metals and in gaps of up to 5 eV, and aligns bands nearly as well
as the best rigid shift (`docs/results/measurements.md` compares the rules).
"""


@dataclass(frozen=True)
class BandErrors:
    """Mean moduli of the errors of a predicted Hamiltonian's bands, eV.

    Attributes:
        raw: of the energies as they are, which contain the zero of energy.
        aligned: of the energies relative to each Hamiltonian's own Fermi level.
    """

    raw: float
    aligned: float


@dataclass(frozen=True, eq=False)
class BandWindow:
    """The reference band energies of a crystal near its Fermi level.

    Energies within `WINDOW` of the Fermi level are compared, on a k-point mesh with a spacing of
    at most `SPARSE`. At each k the bands are numbered from the lowest upwards and compared number
    by number. The literature plots bands without giving a number, so the window and the mesh are
    our choice. The reference alone chooses the compared energies, so that raw and aligned errors
    are means over the same ones.

    Attributes:
        S: overlap of the crystal.
        mesh: numbers of k-points along the reciprocal vectors.
        energies: (points, n_ao) eV.
        near: (points, n_ao) whether an energy lies in the window.
        n_electrons: per cell, to which both Hamiltonians are filled for their own Fermi levels.
    """

    S: BlockMatrix
    mesh: tuple[int, ...]
    energies: NDArray[np.float64]
    near: NDArray[np.bool_]
    n_electrons: int

    @classmethod
    def of(
        cls, H: BlockMatrix, S: BlockMatrix, atoms: Atoms, level: float, n_electrons: int = 0
    ) -> BandWindow:
        """The band energies of a reference Hamiltonian.

        Args:
            H: the reference, eV.
            S: overlap, dimensionless.
            atoms: the crystal.
            level: the Fermi level, eV.
            n_electrons: per cell; 0 if unknown, then as many as the bands hold at this level.

        Raises:
            LinAlgError: if the overlap is not positive definite at some k.
        """
        mesh = default_mesh(atoms, SPARSE)
        energies = mesh_energies(H, S, mesh)
        near = np.abs(energies - level) <= WINDOW
        return cls(S, mesh, energies, near, n_electrons or _held(energies, level, _each(H)))

    def errors(self, H: BlockMatrix) -> BandErrors | None:
        """The errors of a predicted Hamiltonian's bands in the window; None if it has no band.

        Eigenvalues of S below `LEAST` are left out.

        >>> from workbench.evaluation.band_errors import BandWindow
        >>> with wb.Dataset("graphene") as data:
        ...     sheet, atoms = data.reference(0), data.atoms(0)
        >>> H, S = sheet.H, sheet.S
        >>> window = BandWindow.of(H, S, atoms, sheet.fermi_level, sheet.n_electrons)
        >>> errors = window.errors(H + 0.05 * S)
        >>> round(errors.raw, 6), errors.aligned < 1e-6
        (0.05, True)
        """
        if not self.near.any():
            return None
        predicted = mesh_energies(H, self.S, self.mesh, LEAST)
        own, true = (
            fill_to(energies, self.n_electrons, _each(H), ALIGNING)
            for energies in (predicted, self.energies)
        )
        difference = (predicted - self.energies)[self.near]
        raw, aligned = np.abs(difference).mean(), np.abs(difference - (own - true)).mean()
        return BandErrors(float(raw), float(aligned))


def _each(H: BlockMatrix) -> int:
    """Number of electrons that a band holds."""
    return 1 if H.basis.spinor else 2


def _held(energies: NDArray[np.float64], level: float, each: int) -> int:
    """Number of electrons per cell below a level, rounded, at least 1 and less than all."""
    held = each * expit((level - energies) / ALIGNING).sum(axis=1).mean()
    return int(np.clip(np.rint(held), 1, each * energies.shape[1] - 1))
