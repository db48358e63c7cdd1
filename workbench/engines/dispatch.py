"""`workbench.reference`: the engine that a structure needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from ase import Atoms

from workbench.engines import Reference
from workbench.engines.pyscf_molecules import reference as of_molecule
from workbench.engines.pyscf_spinors import reference as of_spinors
from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["ENGINES", "again", "check_engine", "pyscf", "reference"]

ENGINES = ("pyscf", "gpaw")


def reference(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    *,
    engine: str = "pyscf",
    **settings: Any,
) -> Reference:
    """The Kohn-Sham or Fock matrix of a structure.

    Args:
        atoms: a molecule, or a crystal (some `atoms.pbc` set).
        basis: any that the engine knows; by default "def2-svp" for molecules, of crystals
            "gth-szv-molopt-sr", with pseudopotentials, from PySCF and "dzp" from GPAW; of
            molecules with spin-orbit coupling as `engines.spinors.BASES` says.
        xc: functional, or "hf" for molecules.
        engine: "pyscf", or for crystals "gpaw", which is far cheaper for layers and has spin-orbit
            coupling; `make crystals` installs it.
        settings: `engines.molecules.reference` (grid, conv_tol, conv_tol_grad, max_cycle,
            density_fitting), with `spin_orbit=True` `engines.spinors.reference` (grid, relativity,
            conv_tol, conv_tol_grad, max_cycle), `engines.crystals.reference` (mesh, pseudo,
            ke_cutoff, smearing, conv_tol, max_cycle) or `engines.lcao.reference` (mesh, spacing,
            smearing, spin_orbit, density, energy, max_cycle) says what they mean.

    Returns:
        H in eV, S, the energy in eV and the method.

    Raises:
        StructureError: a structure that makes no sense or has unpaired electrons.
        ValueError: an unknown engine, basis, functional, grid or pseudopotential.
        SCFError: no convergence.

    >>> reference(load("water")).H.dense().shape  # doctest: +SKIP
    (24, 24)
    """
    check_engine(engine, bool(atoms.pbc.any()), settings)
    if engine == "gpaw":
        from workbench.engines.gpaw_lcao import reference as by_gpaw

        return by_gpaw(atoms, basis or "dzp", xc, **settings)
    if not atoms.pbc.any():
        if settings.pop("spin_orbit", False):
            return of_spinors(atoms, basis, xc, **settings)
        return of_molecule(atoms, basis or "def2-svp", xc, **settings)
    from workbench.engines.pyscf_crystals import reference as of_crystal  # half a second to import

    return of_crystal(atoms, basis or "gth-szv-molopt-sr", xc, **settings)


def pyscf(
    basis: str | None = None,
    xc: str = "pbe",
    grid: int = 4,
    *,
    spin_orbit: bool = False,
    relativity: str = "ecp",
) -> Callable[[Atoms], BlockMatrix]:
    """PySCF as a callable `atoms -> H` (eV) of molecules, to stand beside models in `equivariance`.

    Args:
        basis: by default "def2-svp", with spin-orbit coupling as `engines.spinors.BASES` says.
        xc, grid: as in `engines.molecules.reference`.
        spin_orbit: with spin-orbit coupling; H is then of spinors.
        relativity: how they couple, "ecp" or "x2c"; without coupling it means nothing.
    """

    def hamiltonian(atoms: Atoms) -> BlockMatrix:
        if spin_orbit:
            return of_spinors(atoms, basis, xc, grid, relativity=relativity).H
        return of_molecule(atoms, basis or "def2-svp", xc, grid).H

    return hamiltonian


def check_engine(engine: str, periodic: bool, settings: Mapping[str, Any]) -> None:
    """Refuse an engine that is unknown or not there, or settings that it does not have.

    Raises:
        ValueError: for either.
        RuntimeError: for an engine that is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"There is no engine {engine!r}: choose {' or '.join(ENGINES)}.")
    coupled = settings.get("spin_orbit", False)
    if not isinstance(coupled, bool):
        raise ValueError(f"spin_orbit is {coupled!r}: it must be true or false.")
    function: Callable[..., Reference] = of_spinors if coupled else of_molecule
    if engine == "gpaw":
        from workbench.engines import gpaw_lcao

        gpaw_lcao.require()
        function = gpaw_lcao.reference
    elif periodic:
        from workbench.engines.pyscf_crystals import reference as function
    known = set(signature(function).parameters) - {"atoms", "basis", "xc"}
    if function in (of_molecule, of_spinors):
        known.add("spin_orbit")  # what chooses between the two
    if unknown := settings.keys() - known:
        what = " with spin-orbit coupling" if coupled else ""
        raise ValueError(
            f"{engine} has no setting '{min(unknown)}' for these structures{what}: it has "
            f"{', '.join(sorted(known))}."
        )


def again(atoms: Atoms, made: Reference) -> Reference:
    """The reference of another geometry, computed as `made` was.

    Raises:
        ValueError: for one of unknown making; else as `reference`.
    """
    how = dict(made.method)
    if not how:
        raise ValueError("It is not on record how this reference was made, so not again.")
    if "engine" in how:  # as a label job keeps it
        settings = {k: v for k, v in how.items() if k not in ("functional", "version")}
        return reference(atoms, settings.pop("basis"), how["functional"], **settings)
    if how.get("program") == "GPAW":
        return reference(
            atoms,
            how["basis"].removeprefix("gpaw-"),
            how["functional"],
            engine="gpaw",
            mesh=how["k_mesh"],
            spacing=how["grid_spacing_angstrom"],
            smearing=how["smearing_ev"],
            spin_orbit=how["spin_orbit"],
            density=how["density_tolerance"],
            energy=how["energy_tolerance_ev"],
        )
    if not atoms.pbc.any():
        xc = "hf" if how.get("method") in ("RHF", "GHF") else how["functional"]
        grid = how.get("grid_level", 4)
        if how.get("spin_orbit"):
            return of_spinors(atoms, how["basis"], xc, grid, relativity=how["relativity"])
        fitted = how.get("density_fitting", False)
        return of_molecule(atoms, how["basis"], xc, grid, density_fitting=fitted)
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
