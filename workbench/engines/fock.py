"""One Fock matrix from the orbitals of a Hamiltonian: a single step of self-consistency.

The occupied orbitals of a Hamiltonian H give a density matrix P, and P gives a Fock matrix F[P]. If
H is self-consistent, F[P] is H. The step costs one evaluation of the integrals, no iteration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.engines import pyscf_spinors
from workbench.engines.dipole import dipole_moment
from workbench.engines.pyscf_molecules import ao_order, solver
from workbench.engines.warm_start import warm_start
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE

__all__ = ["FockStep", "fock_step", "total_energy"]


@dataclass(frozen=True, eq=False)
class FockStep:
    """The Fock matrix of a density, and what the density itself says.

    Attributes:
        F: Fock matrix F[P], eV.
        S: overlap.
        energy: total energy of P, eV. It is never below the self-consistent energy, apart from the
            noise of a coarse grid.
        dipole: (3,) dipole moment of P, Debye; of an ion, about its centre of mass.
        charges: (N,) Mulliken charges of the atoms, e.
        n_electrons: number of electrons, without those of effective core potentials.
    """

    F: BlockMatrix
    S: BlockMatrix
    energy: float
    dipole: NDArray[np.float64]
    charges: NDArray[np.float64]
    n_electrons: int


def fock_step(
    atoms: Atoms, H: BlockMatrix, xc: str = "pbe", grid: int = 1, *, density_fitting: bool = True
) -> FockStep:
    """The Fock matrix of the density of a Hamiltonian's occupied orbitals.

    Args:
        atoms: a closed-shell molecule; `info["charge"]` in e.
        H: eV, without spin, in one of PySCF's bases.
        xc: functional, or "hf".
        grid: level of PySCF's integration grid. Level 1 changes the mean of |F[P] - H| by less than
            1e-6 Hartree against level 3.
        density_fitting: as of `workbench.reference`; several times faster for large molecules.

    Raises:
        ValueError: for a crystal, a Hamiltonian with spin, or one of other atoms.

    The Fock matrix of the self-consistent density is the Hamiltonian itself:

    >>> from workbench.engines.fock import fock_step
    >>> water = wb.load("water")
    >>> ref = wb.reference(water, basis="sto-3g", xc="hf")
    >>> step = fock_step(water, ref.H, xc="hf", density_fitting=False)
    >>> (step.F - ref.H).max_abs() < 1e-6, abs(step.energy - ref.energy) < 1e-9  # eV
    (True, True)
    """
    if H.basis.spinor:
        raise ValueError("The Hamiltonian has spin: a Fock step is for closed shells without spin.")
    field = solver(atoms, H.basis.name, xc, grid, density_fitting=density_fitting)
    P = warm_start(atoms, H)
    core, potential = field.get_hcore(), field.get_veff(dm=P)
    order = np.ix_(*[ao_order(field.mol)] * 2)
    fock = np.asarray(core + potential)[order] * HARTREE
    energy = field.energy_tot(dm=P, h1e=core, vhf=potential)
    return FockStep(
        F=BlockMatrix.from_dense(H.basis, atoms.numbers, (fock + fock.T) / 2),
        S=BlockMatrix.from_dense(H.basis, atoms.numbers, field.get_ovlp()[order]),
        energy=float(energy) * HARTREE,
        dipole=dipole_moment(atoms, H.basis, P[order]),
        charges=np.asarray(field.mulliken_pop(dm=P, verbose=0)[1]),
        n_electrons=int(field.mol.nelectron),
    )


def total_energy(
    atoms: Atoms,
    H: BlockMatrix,
    xc: str = "pbe",
    grid: int = 4,
    *,
    density_fitting: bool = False,
    relativity: str = "ecp",
) -> float:
    """The total energy, eV, of the density of a Hamiltonian's occupied orbitals, by one Fock step.

    It is variational: an error of H enters squared, and the energy is never below the
    self-consistent one, apart from the noise of a coarse grid.

    Args:
        atoms: a closed-shell molecule; `info["charge"]` in e.
        H: eV, in one of PySCF's bases; with spin-orbit coupling for spinors.
        xc, grid, density_fitting: as of `workbench.reference`.
        relativity: of spinors, as of `workbench.reference`.

    Raises:
        ValueError: as `warm_start`, and for an unknown functional or grid.

    >>> from workbench.engines.fock import total_energy
    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> abs(total_energy(ref.atoms, ref.H, xc="hf") - ref.energy) < 1e-9  # eV
    True
    """
    if H.basis.spinor:
        field = pyscf_spinors.solver(atoms, H.basis.name, xc, grid, relativity=relativity)
    else:
        field = solver(atoms, H.basis.name, xc, grid, density_fitting=density_fitting)
    return float(field.energy_tot(dm=warm_start(atoms, H))) * HARTREE
