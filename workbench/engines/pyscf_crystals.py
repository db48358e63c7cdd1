"""Kohn-Sham references of crystals with small cells, from PySCF's periodic code.

Pseudopotentials of Goedecker, Teter and Hutter with Gaussian bases made for them; the density is
expanded in plane waves; occupations are smeared, so that metals converge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from ase import Atoms

from workbench.engines import Cycles, Engine, Mesh, Overlap, Reference, SCFError, Threshold, Width
from workbench.engines.pyscf_library import PYSCF_VERSION, BasisNotFoundError, dft, scf
from workbench.engines.pyscf_molecules import ao_order, basis_of, check_known
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.bloch import default_mesh, k_mesh, mesh_for_range, to_real_space
from workbench.hamiltonians.conventions import BOHR, HARTREE
from workbench.storage.value_checks import Range
from workbench.structures.loading import StructureError
from workbench.structures.validation import require_crystal

# isort: split
from pyscf.pbc import dft as pbc_dft  # after pyscf_library, which loads PySCF with its hint
from pyscf.pbc import gto as pbc_gto

__all__ = ["BASIS", "ENGINE", "overlap", "reference"]

BASIS = "gth-szv-molopt-sr"
"""The basis unless another is asked for."""

PSEUDO = "gth-pbe"
"""The pseudopotentials unless others are asked for."""

KE_CUTOFF = 100.0
"""Kinetic-energy cutoff of the density's plane waves unless another is asked for, Hartree."""


_FAMILIES = ("gth", "ccecp", "bfd")
"""Families of pseudopotentials; the names of the bases made for them contain the family."""


def reference(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    *,
    mesh: Mesh | None = None,
    pseudo: str = PSEUDO,
    ke_cutoff: Annotated[float, Range(1, 10_000)] = KE_CUTOFF,
    smearing: Width = 0.1,
    conv_tol: Threshold = 1e-9,
    max_cycle: Cycles = 60,
) -> Reference:
    """H(T) and S(T) of a crystal.

    Args:
        atoms: periodic in one to three directions, with a cell of three vectors; with vacuum along
            the other directions.
        basis: any that PySCF has for the pseudopotentials, by default `BASIS`.
        xc: any local (LDA) or gradient-corrected (GGA) functional of PySCF.
        mesh: number of k-points along each cell vector; by default at most 0.25/A apart, and one
            along directions without periodicity. Blocks reach half as far as the mesh's supercell.
        pseudo: pseudopotentials, made for the functional.
        ke_cutoff: kinetic-energy cutoff of the density's plane waves, Hartree.
        smearing: width of the Fermi distribution, eV.
        conv_tol: largest change of the energy per cell in the last cycle, Hartree.
        max_cycle: largest number of cycles.

    Returns:
        H in eV, S, the energy per cell and the Fermi level in eV, and the method. Energy and
        `n_electrons` are of the valence electrons.

    Raises:
        StructureError: for a molecule, a cell that is not three vectors, or an odd electron count.
        ValueError: for a basis, pseudopotential or functional that PySCF lacks for these atoms, or
            a basis with core orbitals beside a pseudopotential.
        SCFError: no convergence.
    """
    basis = basis or BASIS
    cell = _cell(atoms, basis, pseudo, ke_cutoff)
    points = tuple(mesh) if mesh is not None else default_mesh(atoms)
    k = k_mesh(points)
    k -= np.rint(k)  # the plane-wave cutoff depends on k; this treats k and -k alike
    field: Any = pbc_dft.KRKS(cell, cell.get_abs_kpts(k), xc=_known(xc))
    field = scf.addons.smearing_(field, sigma=smearing / HARTREE, method="fermi")
    field.conv_tol, field.max_cycle = conv_tol, max_cycle
    energy = float(field.kernel())
    if not field.converged:
        raise SCFError(
            f"The self-consistent field of {atoms.get_chemical_formula()} ({xc}/{basis}) did not "
            f"converge in {max_cycle} cycles: check the geometry, raise smearing or max_cycle."
        )
    molecule: Any = cell  # PySCF's cells have the attributes of its molecules
    shells, order = basis_of(basis, atoms.numbers), ao_order(molecule)
    fock, overlap = (
        np.asarray(m)[:, order[:, None], order] for m in (field.get_fock(), field.get_ovlp())
    )
    return Reference(
        atoms=atoms.copy(),
        H=to_real_space(shells, atoms, points, fock * HARTREE),
        S=to_real_space(shells, atoms, points, overlap),
        energy=energy * HARTREE,
        n_electrons=int(cell.nelectron),
        method={
            "method": "KRKS",
            "functional": xc.lower(),
            "basis": basis.lower(),
            "pseudopotential": pseudo.lower(),
            "k_mesh": list(points),
            "ke_cutoff_hartree": ke_cutoff,
            "smearing_ev": smearing,
            "conv_tol_hartree": conv_tol,
            "program": "PySCF",
            "version": PYSCF_VERSION,
        },
        fermi_level=float(field.get_fermi()) * HARTREE,
    )


def _again(atoms: Atoms, method: Mapping[str, Any]) -> Reference:
    return reference(
        atoms,
        method["basis"],
        method["functional"],
        mesh=method["k_mesh"],
        pseudo=method["pseudopotential"],
        ke_cutoff=method["ke_cutoff_hartree"],
        smearing=method["smearing_ev"],
        conv_tol=method["conv_tol_hartree"],
    )


def overlap(atoms: Atoms, basis: Basis, method: Mapping[str, Any], reach: float) -> Overlap:
    """The overlap of a crystal and its number of valence electrons.

    Args:
        atoms: as of `reference`.
        basis: one of PySCF's: its name, and the shells that PySCF has for it.
        method: of a reference in this basis, or the record of a label job; for its pseudopotential.
        reach: largest distance of two atoms whose overlap is kept, A.

    Raises:
        StructureError, ValueError: as of `reference`, and for a basis with other shells.
    """
    check_known(basis, atoms.numbers)
    pseudo = str(method.get("pseudopotential") or method.get("pseudo") or PSEUDO)
    cell: Any = _cell(atoms, basis.name, pseudo, KE_CUTOFF)
    mesh = mesh_for_range(atoms, reach)
    k = k_mesh(mesh)
    order = ao_order(cell)
    at_k = np.array(cell.pbc_intor("int1e_ovlp", hermi=1, kpts=cell.get_abs_kpts(k - np.rint(k))))
    scalar = replace(basis, spinor=False)
    S = to_real_space(scalar, atoms, mesh, at_k[:, order[:, None], order])
    return Overlap(S.with_spin() if basis.spinor else S, int(cell.nelectron))


def _check(
    atoms: Atoms,
    basis: str | None,
    xc: str,
    pseudo: str = PSEUDO,
    ke_cutoff: float = KE_CUTOFF,
    **_settings: object,
) -> None:
    _cell(atoms, basis or BASIS, pseudo, ke_cutoff)
    _known(xc)


def _cell(atoms: Atoms, basis: str, pseudo: str, ke_cutoff: float) -> pbc_gto.Cell:
    """PySCF's cell, after a check of the structure, the basis and the pseudopotential."""
    require_crystal(atoms)
    cell = pbc_gto.Cell(
        atom=list(zip(atoms.symbols, (atoms.positions / BOHR).tolist(), strict=True)),
        a=atoms.cell.array / BOHR,
        unit="Bohr",
        basis=basis,
        pseudo=pseudo,
        ke_cutoff=ke_cutoff,
        spin=None,
        verbose=0,
    )
    try:
        cell.build(dump_input=False, parse_arg=False)
    except (BasisNotFoundError, KeyError, OSError) as error:
        raise ValueError(
            f"PySCF lacks {basis!r} or {pseudo!r} for an element of "
            f"{atoms.get_chemical_formula()}: use e.g. 'gth-szv-molopt-sr' with 'gth-pbe'."
        ) from error
    _check_core(basis, pseudo)
    if cell.nelectron % 2:
        raise StructureError(
            f"The cell holds {cell.nelectron} valence electrons; closed shells need an even "
            "number: double the cell."
        )
    return cell


def _check_core(basis: str, pseudo: str) -> None:
    """Refuse orbitals of the core electrons that a pseudopotential has replaced."""
    family = next((name for name in _FAMILIES if name in pseudo.lower()), None)
    if family is not None and family not in basis.lower():
        raise ValueError(
            f"{pseudo} replaces the core electrons, and {basis} was made with them: use a basis "
            f"that was made for this pseudopotential, e.g. {BASIS!r} with 'gth-pbe'."
        )


def _known(xc: str) -> str:
    """The functional, if libxc knows it and it has no exact exchange."""
    try:
        known = any(dft.libxc.parse_xc(xc)[1]) and not dft.libxc.is_hybrid_xc(xc)
    except (KeyError, ValueError):
        known = False
    if not known:
        raise ValueError(f"{xc!r} is no local or gradient functional of libxc: use e.g. 'pbe'.")
    return xc


ENGINE = Engine("pyscf", reference, _again, _check, overlap=overlap, basis=BASIS)
