"""Molecules with spin-orbit coupling: generalised Hartree-Fock and Kohn-Sham from PySCF.

Spin-orbit coupling is included from the first cycle on. Orbitals are spinors, and the matrices of
closed shells obey time reversal. There are two treatments of relativity:

- ``"ecp"``: effective core potentials with a spin-orbit part (Pitzer and Winter, J. Phys. Chem. 92,
  3061 (1988)), such as those of Christiansen, Ermler and co-workers with the basis "crenbl". They
  were fitted to four-component atoms, so two-electron spin-orbit coupling is included.
- ``"x2c"``: all electrons in the exact two-component Hamiltonian of one electron (Kutzelnigg and
  Liu, J. Chem. Phys. 123, 241102 (2005)). Two-electron spin-orbit coupling is left out, so
  splittings are too large: in the bromide ion that of 4p by 5 %, that of 3d by half.

Kohn-Sham functionals see only the spin component along z (PySCF's "col"). This is exact here: a
closed shell that obeys time reversal has no magnetisation along any axis. There is no density
fitting: PySCF has no auxiliary basis for "crenbl".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.engines import Cycles, Engine, Grid, Reference, SCFError, Threshold
from workbench.engines import pyscf_molecules as scalar
from workbench.engines.pyscf_library import dft, gto, scf
from workbench.engines.pyscf_molecules import (
    ao_order,
    basis_of,
    mean_field,
    mole,
    not_converged,
    xc_of,
)
from workbench.engines.two_grid_scf import converge
from workbench.hamiltonians import spin_parts
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.structures.loading import require_closed_shell, validate

__all__ = ["BASES", "ENGINE", "blocks", "method", "reference", "solver", "start"]

BASES = {"ecp": "crenbl", "x2c": "dyall-v2z"}
"""The treatments of relativity, and the basis of each unless another is asked for."""

_BROKEN = 1e-6  # Hartree; rounding breaks time reversal by 1e-9, in the core of xenon


def reference(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    grid: Grid = 4,
    *,
    relativity: str = "ecp",
    conv_tol: Threshold = 1e-10,
    conv_tol_grad: Threshold = 1e-8,
    max_cycle: Cycles = 100,
) -> Reference:
    """Solve a closed-shell molecule with spin-orbit coupling and return its spinor matrices.

    Args:
        atoms: a molecule, positions in A; `info["charge"]` in e (absent: 0).
        basis: any basis name of PySCF that suits `relativity`; for the defaults see `BASES`.
            "crenbl" covers H, and has spin-orbit potentials for Li to La except Kr, for Hf to Hg,
            and for Po. "dyall-v2z" covers all elements but is uncontracted: large and slow. With
            "x2c", bases contracted without spin-orbit coupling, such as "dzp-dkh", are fair up to
            Kr but lose a third of the splitting in Xe.
        xc: functional by its name in PySCF (libxc), or "hf" for Hartree-Fock.
        grid: PySCF's level 0 to 9 of the integration grid, which is not pruned; unused by "hf".
        relativity: "ecp", spin-orbit effective core potentials, or "x2c", all electrons in the
            exact two-component Hamiltonian of one electron.
        conv_tol: largest change of the energy in the last cycle, Hartree.
        conv_tol_grad: norm of the orbital gradient, Hartree.
        max_cycle: largest number of cycles.

    Returns:
        H in eV and S of spinors, all up orbitals first in `dense()`; the energy in eV; the number
        of electrons outside effective cores; the method.

    Raises:
        StructureError: a structure that makes no sense or has unpaired electrons.
        ValueError: a crystal; an unknown basis, functional, grid or relativity; an element whose
            core potential has no spin-orbit part, or, with "x2c", one that has a core potential.
        SCFError: no convergence, or a converged state without time-reversal symmetry.
    """
    field = solver(atoms, basis, xc, grid, relativity=relativity)
    basis = basis or BASES[relativity]
    field.conv_tol, field.conv_tol_grad, field.max_cycle = conv_tol, conv_tol_grad, max_cycle
    first = start(field.mol)
    solved = converge(field, conv_tol_grad, first) if hasattr(field, "grids") else None
    if solved is None:
        energy = float(field.kernel(dm0=first))
        solved = (field.get_fock(), energy) if field.converged else None
    if solved is None:
        raise not_converged(atoms, basis, xc, max_cycle)
    fock = _paired(solved[0], atoms)
    return Reference(
        atoms=atoms.copy(),
        H=blocks(field.mol, atoms, basis, fock * HARTREE),
        S=blocks(field.mol, atoms, basis, field.get_ovlp()),
        energy=solved[1] * HARTREE,
        n_electrons=int(field.mol.nelectron),
        method=method(basis, xc, grid, conv_tol, conv_tol_grad, relativity=relativity),
    )


def start(molecule: gto.Mole) -> NDArray[np.complex128]:
    """PySCF's superposed atomic densities in a minimal basis, half in each spin, (2 n_ao, 2 n_ao).

    PySCF's own guess for spinors tilts the spins, which breaks time reversal from the start.
    """
    return np.kron(np.eye(2), scf.hf.init_guess_by_minao(molecule) / 2).astype(complex)


def solver(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    grid: int = 4,
    *,
    relativity: str = "ecp",
) -> Any:
    """PySCF's own solver object, GHF or GKS with spin-orbit coupling, checked but not yet run.

    Arguments and errors as of `reference`. Nothing is computed, so this also checks a job in
    advance.
    """
    if relativity not in BASES:
        raise ValueError(f"There is no relativity {relativity!r}: choose {' or '.join(BASES)}.")
    basis = basis or BASES[relativity]
    molecule = mole(require_closed_shell(validate(atoms)), basis)
    _check_cores(molecule, atoms.numbers, basis, relativity)
    field = mean_field(molecule, xc, grid, scf.GHF, dft.GKS)
    if relativity == "x2c":
        return field.x2c1e()
    field.with_soc = True
    return field


def method(
    basis: str | None,
    xc: str,
    grid: int = 4,
    conv_tol: float = 1e-10,
    conv_tol_grad: float = 1e-8,
    *,
    relativity: str = "ecp",
) -> dict[str, Any]:
    """The JSON-able record of the method that `reference` uses with these arguments."""
    without = scalar.method(basis or BASES[relativity], xc, grid, conv_tol, conv_tol_grad)
    generalised = without["method"].replace("R", "G")
    return {**without, "method": generalised, "spin_orbit": True, "relativity": relativity}


def _again(atoms: Atoms, method: Mapping[str, Any]) -> Reference:
    return reference(
        atoms,
        method["basis"],
        xc_of(method),
        method.get("grid_level", 4),
        relativity=method["relativity"],
    )


def _check(
    atoms: Atoms,
    basis: str | None,
    xc: str,
    grid: int = 4,
    relativity: str = "ecp",
    **_thresholds: object,
) -> None:
    solver(atoms, basis, xc, grid, relativity=relativity)


def blocks(
    molecule: gto.Mole, atoms: Atoms, basis: str, dense: NDArray[np.complex128]
) -> BlockMatrix:
    """PySCF's matrix (2 n_ao, 2 n_ao) of spinors in our orbital order, in the same unit."""
    order = ao_order(molecule)
    both = np.concatenate([order, order + molecule.nao])
    spinors = replace(basis_of(basis, atoms.numbers), spinor=True)
    return BlockMatrix.from_dense(spinors, atoms.numbers, dense[np.ix_(both, both)])


def _check_cores(
    molecule: gto.Mole, numbers: NDArray[np.int64], basis: str, relativity: str
) -> None:
    """Refuse core potentials without a spin-orbit part, which PySCF would silently accept."""
    rows = np.asarray(molecule._ecpbas, dtype=np.intp).reshape(-1, gto.mole.BAS_SLOTS)
    if relativity == "x2c":
        if len(rows):
            raise ValueError(
                f"X2C needs all electrons, but {basis} has effective cores for "
                f"{_names(numbers[rows[:, gto.mole.ATOM_OF]])}: use e.g. {BASES['x2c']!r}."
            )
        return
    spin_orbit = rows[rows[:, gto.mole.SO_TYPE_OF] == 1]
    # For Kr, PySCF's crenbl assigns the spin-orbit part of d to s, where it has no effect.
    misassigned = spin_orbit[spin_orbit[:, gto.mole.ANG_OF] == 0, gto.mole.ATOM_OF]
    coupled = np.setdiff1d(spin_orbit[:, gto.mole.ATOM_OF], misassigned)
    missing = np.delete(numbers, coupled)
    if len(coupled):
        missing = missing[missing > 2]  # H and He have no core and negligible coupling
    if len(missing):
        raise ValueError(
            f"The basis {basis} has no effective core potential with a spin-orbit part for "
            f"{_names(missing)}: use {BASES['ecp']!r} if it has one, or relativity='x2c' with an "
            f"all-electron basis such as {BASES['x2c']!r}."
        )


def _names(numbers: NDArray[np.int64]) -> str:
    return ", ".join(chemical_symbols[z] for z in np.unique(numbers))


def _paired(fock: NDArray[Any], atoms: Atoms) -> NDArray[np.complex128]:
    """The hermitian part that obeys time reversal, if the remainder is only rounding.

    Raises:
        SCFError: for a larger remainder: the state is not the closed shell that was asked for.
    """
    if not spin_parts.odd_part(fock) <= _BROKEN:
        raise SCFError(
            f"The self-consistent field of {atoms.get_chemical_formula()} became magnetic, but a "
            "closed shell has no magnetisation: check the geometry and the charge."
        )
    even = spin_parts.from_parts(spin_parts.to_parts(fock, spin_parts.EVEN))
    return (even + even.conj().T) / 2


ENGINE = Engine("pyscf", reference, _again, _check, method)
