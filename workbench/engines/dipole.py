"""Dipole moments and core charges of molecules, from PySCF's integrals."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from workbench.engines import pyscf_spinors
from workbench.engines.molecular_orbitals import to_pyscf_order
from workbench.engines.pyscf_library import scf
from workbench.engines.pyscf_molecules import mole
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import BOHR

__all__ = ["core_charges", "dipole_moment", "dipole_origin"]


def core_charges(atoms: Atoms, basis: str) -> NDArray[np.float64]:
    """Charges (N,) of the nuclei in e, less the electrons that effective core potentials replace.

    >>> from workbench.engines.dipole import core_charges
    >>> core_charges(wb.load("water"), "sto-3g")
    array([8., 1., 1.])
    """
    return np.asarray(mole(atoms, basis, electrons=False).atom_charges(), dtype=float)


def dipole_origin(atoms: Atoms) -> NDArray[np.float64]:
    """The origin (3,) of dipole moments, A: the centre of mass of an ion, else zero.

    The dipole moment of a neutral molecule does not depend on it. That of an ion does: PySCF's
    `dip_moment` takes the coordinate origin unless told, other programs the centre of mass.
    """
    return atoms.get_center_of_mass() if atoms.info.get("charge", 0) else np.zeros(3)


def dipole_moment(
    atoms: Atoms, basis: Basis, P: NDArray[Any], relativity: str = "ecp"
) -> NDArray[np.float64]:
    """The dipole moment (3,) of a density matrix, Debye, from the negative to the positive charge.

    Args:
        atoms: a molecule; of an ion, the origin is `dipole_origin`.
        basis: one of PySCF's.
        P: (n_ao, n_ao) density matrix in the workbench's order.
        relativity: of spinors. With "x2c" PySCF transforms the operator as the Hamiltonian.

    Raises:
        ValueError: for a crystal.

    >>> from workbench.engines.dipole import dipole_moment
    >>> from workbench.hamiltonians.populations import density_matrix
    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> P = density_matrix(wb.solve(ref.H, ref.S)[1][:, :5])
    >>> round(float(np.linalg.norm(dipole_moment(ref.atoms, ref.H.basis, P))), 2)
    1.72
    """
    if atoms.pbc.any():
        raise ValueError(
            "A crystal has no dipole moment of its own, as it depends on the choice of the cell: "
            "ask for the dipole moment of a molecule."
        )
    molecule, origin = mole(atoms, basis.name), dipole_origin(atoms)
    back = to_pyscf_order(molecule, basis.spinor)
    density = P[np.ix_(back, back)]
    if not basis.spinor:
        moment = scf.hf.dip_moment(molecule, density, origin=origin / BOHR, verbose=0)
    elif relativity != "x2c":
        moment = scf.ghf.dip_moment(molecule, density, origin=origin / BOHR, verbose=0)
    else:
        field = pyscf_spinors.solver(atoms, basis.name, "hf", relativity=relativity)
        at_zero = field.dip_moment(dm=density, verbose=0)
        moment = at_zero - molecule.charge * origin / units.Debye
    return np.asarray(moment, dtype=float)
