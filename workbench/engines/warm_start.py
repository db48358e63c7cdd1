"""A predicted Hamiltonian as the initial guess of PySCF's self-consistent field.

The occupied orbitals of a Hamiltonian H give a density matrix

    H C = S C eps,    P = 2 sum over occupied k of c_k c_k^T

and any SCF program accepts such a P as its initial guess. If H is close to the self-consistent
Hamiltonian, so is P, and only the last cycles remain. The converged result does not depend on the
guess. A spinor holds one electron: there the factor is 1 instead of 2, and c_k^T is c_k^+.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.engines import pyscf_spinors
from workbench.engines.level_of_theory import mismatch
from workbench.engines.molecular_orbitals import molecular_orbitals, to_pyscf_order
from workbench.engines.pyscf_molecules import BASIS, not_converged, solver
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.populations import density_matrix

__all__ = ["Cycles", "DEFAULT", "WithMethod", "hamiltonian_of", "scf_cycles", "warm_start"]

DEFAULT = "PySCF's default"
"""Name of PySCF's own initial guess, superposed atomic densities in a minimal basis (minao).

For spinors it is this density without spin polarisation: PySCF's own guess would tilt the spins.
"""


class WithMethod(Protocol):
    """A Hamiltonian and its level of theory: a `Prediction` or a `Reference`."""

    @property
    def H(self) -> BlockMatrix:
        """Hamiltonian, eV."""
        ...

    @property
    def method(self) -> Mapping[str, Any]:
        """Functional, basis and program, as in a `Reference`."""
        ...


def hamiltonian_of(H: BlockMatrix | WithMethod) -> BlockMatrix:
    """The Hamiltonian itself, eV."""
    return H if isinstance(H, BlockMatrix) else H.H


def warm_start(atoms: Atoms, H: BlockMatrix | WithMethod, xc: str | None = None) -> NDArray[Any]:
    """The density matrix of a Hamiltonian's orbitals, ready for PySCF's `kernel(dm0=...)`.

    Args:
        atoms: a closed-shell molecule; `info["charge"]` in e.
        H: eV, in the basis of the SCF; a spinor matrix for GHF or GKS. A `Prediction` or a
            `Reference` also says its functional.
        xc: functional of the SCF. A warning says if it is not the functional of `H`.

    Returns:
        (n_ao, n_ao) in PySCF's orbital order; the trace of P S is the number of electrons. For
        spinors (2 n_ao, 2 n_ao) and complex, all up orbitals first.

    Raises:
        ValueError: for a crystal, a basis that is not PySCF's, other atoms, or an odd number of
            electrons.

    >>> water = wb.load("water")
    >>> H = wb.reference(water, basis="sto-3g", xc="hf").H
    >>> P = wb.warm_start(water, H)
    >>> from pyscf import scf
    >>> from workbench.engines.pyscf_molecules import mole
    >>> field = scf.RHF(mole(water, "sto-3g"))
    >>> float(np.trace(P @ field.get_ovlp()))  # electrons
    10.000000
    >>> float(field.kernel(dm0=P))  # Hartree
    -74.9653
    """
    if not isinstance(H, BlockMatrix):
        _compare_functionals(H.method, xc)
        H = H.H
    found = molecular_orbitals(atoms, H)
    back = to_pyscf_order(found.molecule, H.basis.spinor)
    return density_matrix(found.occupied, H.basis.spinor)[np.ix_(back, back)]


def _compare_functionals(method: Mapping[str, Any], xc: str | None) -> None:
    """Warn if a Hamiltonian is of another functional than the SCF that it starts."""
    if xc is not None and (different := mismatch(method, {"functional": xc, "program": "pyscf"})):
        warnings.warn(
            f"The Hamiltonian and the SCF are of different levels of theory, {different}: the "
            "result of the SCF does not change, but it may need more cycles.",
            stacklevel=3,
        )


@dataclass(frozen=True)
class Cycles:
    """The cycles of an SCF from one initial guess.

    Attributes:
        cycles: number of cycles until both thresholds were met, as PySCF counts.
        energy: total energy, eV.
        changes: (cycles,) change of the energy in each cycle, eV.
    """

    cycles: int
    energy: float
    changes: NDArray[np.float64]


def scf_cycles(
    atoms: Atoms,
    starts: Mapping[str, BlockMatrix | WithMethod],
    basis: str | None = None,
    xc: str = "pbe",
    grid: int = 3,
    *,
    spin_orbit: bool = False,
    relativity: str = "ecp",
    density_fitting: bool = False,
    conv_tol: float = 1e-9,
    max_cycle: int = 100,
) -> dict[str, Cycles]:
    """Number of cycles of PySCF's plain SCF from its default guess and from some Hamiltonians.

    The SCF is PySCF's own `RKS` or `RHF` (`GKS` or `GHF` with spin-orbit coupling) with DIIS and
    default settings, without the workbench's faster loop on two grids. Every guess starts the same
    calculation.

    Args:
        atoms: a closed-shell molecule.
        starts: name -> Hamiltonian, eV, in this basis, as `warm_start` takes it.
        basis, xc, grid, spin_orbit, relativity, density_fitting: as in `workbench.pyscf`; 3 is
            PySCF's default grid.
        conv_tol: largest change of the energy in the last cycle, Hartree; 1e-9 is PySCF's default.
        max_cycle: largest number of cycles.

    Returns:
        Name -> cycles and energy; "PySCF's default" first.

    Raises:
        SCFError: no convergence.
        ValueError: as `warm_start`, and for a Hamiltonian in another basis, or with spin where the
            SCF has none or the other way round.

    The self-consistent Hamiltonian itself needs at most two cycles:

    >>> water = wb.load("water")
    >>> H = wb.reference(water, basis="sto-3g", xc="hf").H
    >>> counts = wb.scf_cycles(water, {"self-consistent": H}, basis="sto-3g", xc="hf")
    >>> counts["self-consistent"].cycles <= 2 < counts["PySCF's default"].cycles
    True
    """
    basis = basis or (pyscf_spinors.BASES.get(relativity, "") if spin_orbit else BASIS)

    def problem() -> Any:
        if spin_orbit:
            return pyscf_spinors.solver(atoms, basis, xc, grid, relativity=relativity)
        return solver(atoms, basis, xc, grid, density_fitting=density_fitting)

    first = problem()  # an impossible calculation is refused before the starts are checked
    densities: dict[str, Any] = {DEFAULT: pyscf_spinors.start(first.mol) if spin_orbit else None}
    for name, start in starts.items():
        H = hamiltonian_of(start)
        if H.basis.name != basis.lower():
            raise ValueError(f"The start {name!r} is in {H.basis.name}, and the SCF in {basis}.")
        if H.basis.spinor != spin_orbit:
            has, needs = ("with", "without") if H.basis.spinor else ("without", "with")
            raise ValueError(f"The start {name!r} is {has} spin, and the SCF {needs} it.")
        densities[name] = warm_start(atoms, start, xc)
    results = {}
    for name, density in densities.items():
        field = problem()
        field.conv_tol, field.max_cycle = conv_tol, max_cycle
        energies: list[float] = []

        def note(state: dict[str, Any], energies: list[float] = energies) -> None:
            energies.append(float(state["e_tot"]))

        field.callback = note
        energy = float(field.kernel(dm0=density))
        if not field.converged:
            raise not_converged(atoms, basis, xc, max_cycle)
        changes = np.diff(energies, prepend=energies[0]) * HARTREE
        results[name] = Cycles(len(energies), energy * HARTREE, changes)
    return results
