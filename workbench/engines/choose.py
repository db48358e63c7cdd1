"""`workbench.reference`: the engine that a structure needs."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from workbench.engines import Reference
from workbench.engines.molecules import reference as of_molecule

__all__ = ["again", "reference"]


def reference(
    atoms: Atoms, basis: str | None = None, xc: str = "pbe", **settings: Any
) -> Reference:
    """The Kohn-Sham or Fock matrix of a structure by PySCF.

    Args:
        atoms: a molecule, or a crystal (some `atoms.pbc` set).
        basis: any that PySCF knows; by default "def2-svp" for molecules and, with pseudopotentials,
            "gth-szv-molopt-sr" for crystals.
        xc: functional, or "hf" for molecules.
        settings: `engines.molecules.reference` (grid, conv_tol, conv_tol_grad, max_cycle) or
            `engines.crystals.reference` (mesh, pseudo, ke_cutoff, smearing, conv_tol, max_cycle)
            says what they mean.

    Returns:
        H in eV, S, the energy in eV and the method.

    Raises:
        StructureError: a structure that makes no sense or has unpaired electrons.
        ValueError: an unknown basis, functional, grid or pseudopotential.
        SCFError: no convergence.

    >>> reference(load("water")).H.dense().shape  # doctest: +SKIP
    (24, 24)
    """
    if not atoms.pbc.any():
        return of_molecule(atoms, basis or "def2-svp", xc, **settings)
    from workbench.engines.crystals import reference as of_crystal  # half a second to import

    return of_crystal(atoms, basis or "gth-szv-molopt-sr", xc, **settings)


def again(atoms: Atoms, made: Reference) -> Reference:
    """The reference of another geometry, computed as `made` was.

    Raises:
        As `reference`.
    """
    how = made.method
    if not atoms.pbc.any():
        xc = "hf" if how.get("method") == "RHF" else how["functional"]
        return of_molecule(atoms, how["basis"], xc, how.get("grid_level", 4))
    return reference(
        atoms,
        how["basis"],
        how["functional"],
        mesh=how["k_mesh"],
        pseudo=how["pseudopotential"],
        ke_cutoff=how["ke_cutoff_hartree"],
        smearing=how["smearing_ev"],
        conv_tol=how["conv_tol_hartree"],
    )
