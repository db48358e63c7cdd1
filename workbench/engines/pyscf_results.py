"""A calculation of one's own with PySCF becomes a `Reference`: any settings that PySCF has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from workbench.engines import OWN_SCRIPT, Reference, SCFError
from workbench.engines.pyscf_library import PYSCF_VERSION, gto, scf
from workbench.engines.pyscf_molecules import ao_order, has_functions
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.bloch import k_mesh, to_real_space
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import BOHR, HARTREE
from workbench.structures.loading import validate

# isort: split
from pyscf.pbc import gto as pbc_gto  # after pyscf_library, which loads PySCF with its hint
from pyscf.pbc import scf as pbc_scf

__all__ = ["from_pyscf"]

OWN = "own"
"""Name of a basis whose functions are not those that PySCF has under one name."""


def from_pyscf(field: Any) -> Reference:
    """The matrices of a converged mean-field calculation of PySCF, in the workbench's order.

    Use it where `wb.reference` lacks a setting: solvents, dispersion, other grids, density fitting
    with a basis of one's own, a basis from a file.

    Args:
        field: after ``kernel()``: RHF or RKS, GHF or GKS (spinors), or of a crystal KRHF or KRKS on
            a whole Gamma-centred mesh of k-points.

    Returns:
        H in eV, S, the energy, the structure in ``atoms``, and the level of theory in ``method``.
        The basis is named "own" if PySCF has no basis of that name with these functions; a dataset
        then stores the overlap.

    Raises:
        SCFError: if the calculation has not converged.
        ValueError: for an open shell, Cartesian orbitals, ghost atoms, atoms of one element with
            different orbitals, or a mesh that is not whole.

    >>> from pyscf import gto, scf
    >>> mol = gto.M(atom="O 0 0 0; H 0 0.76 0.59; H 0 -0.76 0.59", basis="sto-3g", verbose=0)
    >>> mine = wb.from_pyscf(scf.RHF(mol).run())
    >>> mine.H.basis.name, mine.n_electrons, mine.atoms.get_chemical_formula()
    ('sto-3g', 10, 'H2O')
    >>> (mine.H - wb.reference(mine.atoms, basis="sto-3g", xc="hf").H).max_abs() < 1e-3  # eV
    True
    """
    molecule = _checked(field)
    atoms = _atoms(molecule)
    fock, S = np.asarray(field.get_fock()) * HARTREE, np.asarray(field.get_ovlp())
    if atoms.pbc.any():
        H, S = _crystal(field, atoms, fock, S)
        level = float(field.get_fermi()) * HARTREE
    else:
        H, S = _molecule(field, atoms, fock, S)
        level = None
    return Reference(
        H=H,
        S=S,
        energy=float(field.e_tot) * HARTREE,
        n_electrons=int(molecule.nelectron),
        method=_method(field, H.basis),
        fermi_level=level,
        atoms=atoms,
    )


def _checked(field: Any) -> Any:
    """PySCF's molecule or cell of a calculation that can be used."""
    name = type(field).__name__
    periodic = getattr(field, "cell", None) is not None
    crystals, molecules = (pbc_scf.khf.KRHF,), (scf.hf.RHF, scf.ghf.GHF)
    open_shells = (scf.rohf.ROHF, pbc_scf.krohf.KROHF)
    if not isinstance(field, crystals if periodic else molecules) or isinstance(field, open_shells):
        known = "KRHF or KRKS" if periodic else "RHF, RKS, GHF or GKS"
        raise ValueError(f"{name} is not supported here: use {known}, which treat closed shells.")
    if field.mo_coeff is None or not field.converged:
        raise SCFError(f"The {name} has not converged: call its kernel() first, with more cycles.")
    molecule = field.cell if periodic else field.mol
    if molecule.cart:
        raise ValueError("The orbitals are Cartesian: set cart=False in PySCF's molecule.")
    if molecule.spin:
        raise ValueError(f"The molecule has {molecule.spin} unpaired electrons: use spin 0.")
    return molecule


def _atoms(molecule: Any) -> Atoms:
    symbols = [molecule.atom_pure_symbol(i) for i in range(molecule.natm)]
    if ghosts := [
        molecule.atom_symbol(i) for i, s in enumerate(symbols) if s not in atomic_numbers
    ]:
        raise ValueError(f"{ghosts[0]} is a ghost atom: models know atoms only, so leave it out.")
    atoms = Atoms(symbols, molecule.atom_coords() * BOHR)
    atoms.info = {"charge": int(molecule.charge), "spin": 0}
    if isinstance(molecule, pbc_gto.Cell):
        atoms.cell = molecule.lattice_vectors() * BOHR
        atoms.pbc = [axis < molecule.dimension for axis in range(3)]
    return validate(atoms)


def _basis(molecule: Any, numbers: NDArray[np.int64], spinor: bool) -> Basis:
    """The shells of each element, under the name that PySCF was given."""
    name = molecule.basis.lower() if isinstance(molecule.basis, str) else OWN
    rows, shells = molecule._bas, dict[int, tuple[int, ...]]()
    for atom, z in enumerate(numbers.tolist()):
        of_atom = rows[rows[:, gto.ATOM_OF] == atom]
        ls = tuple(np.repeat(of_atom[:, gto.ANG_OF], of_atom[:, gto.NCTR_OF]).tolist())
        if shells.setdefault(z, ls) != ls:
            raise ValueError(
                f"Two atoms of {chemical_symbols[z]} have different orbitals: use one basis for "
                "all atoms of an element."
            )
    return Basis(name, shells, spinor)


def _molecule(
    field: Any, atoms: Atoms, fock: NDArray[Any], S: NDArray[Any]
) -> tuple[BlockMatrix, BlockMatrix]:
    """H and S of a molecule from PySCF's dense matrices."""
    basis = _basis(field.mol, atoms.numbers, isinstance(field, scf.ghf.GHF))
    order = ao_order(field.mol)
    if basis.spinor:
        order = np.concatenate([order, order + len(order)])
    hermitian, overlaps = (((m + m.conj().T) / 2)[np.ix_(order, order)] for m in (fock, S))
    H, S_blocks = (BlockMatrix.from_dense(basis, atoms.numbers, m) for m in (hermitian, overlaps))
    if has_functions(atoms, S_blocks):
        return H, S_blocks
    own = replace(basis, name=OWN)
    return replace(H, basis=own), replace(S_blocks, basis=own)


def _crystal(
    field: Any, atoms: Atoms, fock: NDArray[Any], S: NDArray[Any]
) -> tuple[BlockMatrix, BlockMatrix]:
    """H and S of a crystal from PySCF's matrices (k-points, n_ao, n_ao)."""
    basis = _basis(field.cell, atoms.numbers, spinor=False)
    order = ao_order(field.cell)
    mesh, rank = _mesh(field)
    H, overlaps = (
        to_real_space(basis, atoms, mesh, m[rank][:, order[:, None], order]) for m in (fock, S)
    )
    return H, overlaps


def _mesh(field: Any) -> tuple[tuple[int, ...], NDArray[np.intp]]:
    """The numbers of k-points along the cell vectors, and the order of `k_mesh`."""
    sentence = "The k-points are no whole Gamma-centred mesh: use cell.make_kpts(...)."
    if not isinstance(field.kpts, np.ndarray):
        raise ValueError(f"{sentence[:-1]} without space_group_symmetry.")
    k = np.mod(np.round(field.cell.get_scaled_kpts(field.kpts), 6), 1.0)
    mesh = tuple(len(np.unique(axis)) for axis in k.T)
    if np.prod(mesh) != len(k):
        raise ValueError(sentence)
    rank = np.lexsort(k.T[::-1])
    if not np.abs(k[rank] - k_mesh(mesh)).max() < 1e-5:
        raise ValueError(sentence)
    return mesh, rank


def _method(field: Any, basis: Basis) -> dict[str, Any]:
    """What PySCF's object says about its level of theory."""
    functional = getattr(field, "xc", None)
    kind = "G" if basis.spinor else "R"
    points = "K" if hasattr(field, "cell") else ""
    record = {
        "method": f"{points}{kind}{'KS' if functional else 'HF'}",
        "basis": basis.name,
        "program": "PySCF",
        "version": PYSCF_VERSION,
        "calculation": type(field).__name__,
        OWN_SCRIPT: True,
    }
    if functional:
        record["functional"] = str(functional).lower()
        record["grid_level"] = int(field.grids.level) if hasattr(field.grids, "level") else None
    if basis.spinor:
        record["spin_orbit"] = True
    return {k: v for k, v in (record | _approximations(field)).items() if v is not None}


def _approximations(field: Any) -> dict[str, Any]:
    """Pseudopotentials, cutoff, smearing, density fitting and solvent of a calculation."""
    record: dict[str, Any] = {}
    if getattr(field, "smearing_method", None):
        record |= {"smearing": field.smearing_method, "smearing_ev": field.sigma * HARTREE}
    if hasattr(field, "cell"):
        record |= {
            "pseudopotential": _named(field.cell.pseudo),
            "ke_cutoff_hartree": field.cell.ke_cutoff,
            "plane_wave_mesh": np.asarray(field.cell.mesh).tolist(),
            "k_mesh": list(_mesh(field)[0]),
        }
    elif getattr(field, "with_df", None) is not None:
        record["density_fitting"] = _named(field.with_df.auxbasis) or "default"
    if not hasattr(field, "cell") and field.mol.ecp:
        record["ecp"] = _named(field.mol.ecp)
    if solvent := getattr(field, "with_solvent", None):
        record |= {"solvent": type(solvent).__name__, "dielectric": getattr(solvent, "eps", None)}
    return record


def _named(setting: Any) -> Any:
    """A setting that PySCF takes as a name, or as a name for each element; else "own"."""
    if not setting:
        return None
    if isinstance(setting, Mapping):
        return {str(element): _named(value) for element, value in setting.items()}
    return str(setting).lower() if isinstance(setting, str) else OWN
