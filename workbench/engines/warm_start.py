"""A predicted Hamiltonian as the start of PySCF's self-consistent field.

The orbitals of a Hamiltonian H, filled from below, give a density matrix

    H C = S C eps,    P = 2 sum over occupied k of c_k c_k^T

and any SCF program takes such a P for its first guess. If H is close to the self-consistent one, so
is P, and only the last cycles are left to do. The result does not depend on the start. Spinors hold
one electron each: without the 2, and with c_k^+ for c_k^T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.engines import pyscf_spinors
from workbench.engines.pyscf_molecules import ao_order, mole, not_converged, overlap, solver
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import occupied_count, solve
from workbench.structures.loading import require_closed_shell

__all__ = ["Cycles", "DEFAULT", "scf_cycles", "warm_start"]

DEFAULT = "PySCF's default"
"""Name of PySCF's own first guess, superposed atomic densities in a minimal basis (minao).

For spinors it is this density without spin, as PySCF's own guess would tilt them.
"""


def warm_start(atoms: Atoms, H: BlockMatrix) -> NDArray[Any]:
    """The density matrix of a Hamiltonian's orbitals, ready for PySCF's `kernel(dm0=...)`.

    Args:
        atoms: a closed-shell molecule; `info["charge"]` in e.
        H: eV, in the basis in which the SCF will run; of spinors for GHF or GKS.

    Returns:
        (n_ao, n_ao) electrons, in PySCF's order of orbitals; its trace with S counts them. For
        spinors (2 n_ao, 2 n_ao) and complex, all up orbitals first.

    Raises:
        ValueError: for a crystal, a basis that is not PySCF's, other atoms, or an odd number of
            electrons.

    >>> field = pyscf.dft.RKS(molecule, xc="pbe")  # doctest: +SKIP
    >>> field.kernel(dm0=warm_start(atoms, model.predict(atoms).refined))  # doctest: +SKIP
    """
    if not np.array_equal(H.numbers, atoms.numbers):
        raise ValueError("The Hamiltonian belongs to other atoms than those given.")
    molecule = mole(require_closed_shell(atoms), H.basis.name)
    filled = occupied_count(H, int(molecule.nelectron))
    occupied = solve(H, overlap(atoms, H.basis))[1][:, :filled]
    back = np.argsort(ao_order(molecule))
    if H.basis.spinor:
        back = np.concatenate([back, back + len(back)])
    density = (1 if H.basis.spinor else 2) * occupied @ occupied.conj().T
    return density[np.ix_(back, back)]


@dataclass(frozen=True)
class Cycles:
    """What an SCF took from one start.

    Attributes:
        cycles: until both thresholds were met, PySCF's own count.
        energy: total energy, eV.
        changes: (cycles,) change of the energy in each cycle, eV.
    """

    cycles: int
    energy: float
    changes: NDArray[np.float64]


def scf_cycles(
    atoms: Atoms,
    starts: Mapping[str, BlockMatrix],
    basis: str | None = None,
    xc: str = "pbe",
    grid: int = 3,
    *,
    spin_orbit: bool = False,
    relativity: str = "ecp",
    conv_tol: float = 1e-9,
    max_cycle: int = 100,
) -> dict[str, Cycles]:
    """How many cycles PySCF's plain SCF takes from its default guess and from given ones.

    PySCF's own `RKS` or `RHF` (`GKS` or `GHF` with spin-orbit coupling) with its DIIS, as anybody
    would run it; nothing of the workbench's faster loop on two grids. All starts meet the same
    problem.

    Args:
        atoms: a closed-shell molecule.
        starts: name -> Hamiltonian, eV, in this basis.
        basis, xc, grid, spin_orbit, relativity: as in `workbench.pyscf`; 3 is PySCF's own grid.
        conv_tol: largest change of the energy in the last cycle, Hartree; 1e-9 is PySCF's own.
        max_cycle: cycles before giving up.

    Returns:
        Name -> cycles and energy; "PySCF's default" first.

    Raises:
        SCFError: no convergence.
        ValueError: as `warm_start`, and for a start in another basis, or with spin where the SCF is
            without or the other way round.
    """
    used = basis or (pyscf_spinors.BASES.get(relativity, "") if spin_orbit else "def2-svp")

    def problem() -> Any:
        if spin_orbit:
            return pyscf_spinors.solver(atoms, used, xc, grid, relativity=relativity)
        return solver(atoms, used, xc, grid)

    first = problem()  # what cannot be solved is refused before the starts are looked at
    densities: dict[str, Any] = {DEFAULT: pyscf_spinors.start(first.mol) if spin_orbit else None}
    for name, H in starts.items():
        if H.basis.name != used.lower():
            raise ValueError(f"The start {name!r} is in {H.basis.name}, and the SCF in {used}.")
        if H.basis.spinor != spin_orbit:
            has, needs = ("with", "without") if H.basis.spinor else ("without", "with")
            raise ValueError(f"The start {name!r} is {has} spin, and the SCF {needs} it.")
        densities[name] = warm_start(atoms, H)
    found = {}
    for name, density in densities.items():
        field = problem()
        field.conv_tol, field.max_cycle = conv_tol, max_cycle
        energies: list[float] = []

        def note(now: dict[str, Any], energies: list[float] = energies) -> None:
            energies.append(float(now["e_tot"]))

        field.callback = note
        energy = float(field.kernel(dm0=density))
        if not field.converged:
            raise not_converged(atoms, used, xc, max_cycle)
        changes = np.diff(energies, prepend=energies[0]) * HARTREE
        found[name] = Cycles(len(energies), energy * HARTREE, changes)
    return found
