"""`workbench.reference`: the table of engines, and the engine that a structure needs.

Beside the `method` of a `Reference` there is one more form of record: a label job of crystals
records its arguments (key "engine"), since the default k-mesh differs between structures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from ase import Atoms

from workbench.engines import OWN_SCRIPT, PUBLISHED_SET, Engine, Overlap, Reference
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.structures.loading import pair_vectors

__all__ = [
    "ENGINES",
    "again",
    "by_method",
    "engine_for",
    "overlap",
    "overlap_of",
    "program",
    "pyscf",
    "recorded",
    "reference",
]

# Modules by name, imported on first use: PySCF's periodic code takes half a second.
_TABLE = {
    # engine: (program, and the modules for molecules, molecules with spin-orbit coupling, crystals)
    "pyscf": ("PySCF", "pyscf_molecules", "pyscf_spinors", "pyscf_crystals"),
    "gpaw": ("GPAW", "gpaw_lcao", "gpaw_lcao", "gpaw_lcao"),  # it refuses molecules itself
}

ENGINES = tuple(_TABLE)
"""Names of the engines."""

_PROGRAMS = {row[0]: name for name, row in _TABLE.items()}


def reference(
    atoms: Atoms,
    basis: str | None = None,
    xc: str = "pbe",
    *,
    engine: str = "pyscf",
    **settings: Any,
) -> Reference:
    """The self-consistent Kohn-Sham or Fock matrix of a structure.

    Args:
        atoms: a molecule, or a crystal (some `atoms.pbc` set).
        basis: any that the engine knows. Defaults: "def2-svp" for molecules;
            `pyscf_spinors.BASES` for molecules with spin-orbit coupling; for crystals
            "gth-szv-molopt-sr" with pseudopotentials (PySCF) or "dzp" (GPAW).
        xc: functional, or "hf" for molecules.
        engine: "pyscf", or for crystals "gpaw", which is far cheaper for layers and has spin-orbit
            coupling; `make crystals` installs it.
        settings: those of the engine's own function, which documents them:
            `pyscf_molecules.reference` (grid, conv_tol, conv_tol_grad, max_cycle, density_fitting);
            with `spin_orbit=True` `pyscf_spinors.reference` (grid, relativity, conv_tol,
            conv_tol_grad, max_cycle); for crystals `pyscf_crystals.reference` (mesh, pseudo,
            ke_cutoff, smearing, conv_tol, max_cycle) or `gpaw_lcao.reference` (mesh, spacing,
            smearing, spin_orbit, longest, by_states, density, energy, max_cycle).

    Returns:
        H in eV, S, the energy in eV and the method.

    Raises:
        StructureError: a structure that makes no sense or has unpaired electrons.
        ValueError: an unknown engine, setting, basis, functional, grid or pseudopotential.
        RuntimeError: the engine is not installed.
        SCFError: no convergence.

    Rotating a molecule rotates its Hamiltonian, ``H' = D H D^T``:

    >>> water, R = wb.load("water"), wb.rotation((1, 1, 0), 30)
    >>> H = wb.reference(water, basis="sto-3g", xc="hf").H
    >>> rotated = wb.reference(wb.rotate(water, R), basis="sto-3g", xc="hf").H
    >>> (rotated - H.rotate(R)).max_abs() < 1e-6  # eV
    True
    """
    chosen = engine_for(engine, bool(atoms.pbc.any()), settings)
    return chosen.reference(atoms, basis, xc, **chosen.accepted(settings))


def pyscf(
    basis: str | None = None,
    xc: str = "pbe",
    grid: int = 4,
    *,
    spin_orbit: bool = False,
    relativity: str = "ecp",
) -> Callable[[Atoms], BlockMatrix]:
    """PySCF as a callable `atoms -> H` (eV) for molecules, e.g. for `equivariance`.

    Args:
        basis: by default "def2-svp"; with spin-orbit coupling see `pyscf_spinors.BASES`.
        xc, grid: as in `pyscf_molecules.reference`.
        spin_orbit: with spin-orbit coupling; H is then a spinor matrix.
        relativity: the kind of spin-orbit coupling, "ecp" or "x2c"; ignored without coupling.

    >>> predictor = wb.pyscf("sto-3g", "hf")
    >>> predictor(wb.load("water")).dense().shape
    (7, 7)
    """

    def hamiltonian(atoms: Atoms) -> BlockMatrix:
        chosen = _engine("pyscf", periodic=False, spin_orbit=spin_orbit)
        coupling = {"relativity": relativity} if spin_orbit else {}
        return chosen.reference(atoms, basis, xc, grid=grid, **coupling).H

    return hamiltonian


def engine_for(name: str, periodic: bool, settings: Mapping[str, Any]) -> Engine:
    """The engine for some structures, after a check of the choice and of the settings' names.

    Args:
        name: of the engine.
        periodic: whether the structures are crystals.
        settings: of `workbench.reference`. Of molecules, "spin_orbit" chooses the engine and may
            not be among the `settings` of that engine.

    Raises:
        ValueError: for an unknown engine, or a setting that the engine does not have.
        RuntimeError: for an engine that is not installed.
    """
    _check_name(name)
    coupled = settings.get("spin_orbit", False)
    if not isinstance(coupled, bool):
        raise ValueError(f"spin_orbit is {coupled!r}: it must be true or false.")
    engine = _engine(name, periodic, coupled)
    engine.require()
    known = engine.settings | (frozenset() if periodic else {"spin_orbit"})
    if unknown := settings.keys() - known:
        coupling = " with spin-orbit coupling" if coupled else ""
        raise ValueError(
            f"{name} has no setting '{min(unknown)}' for these structures{coupling}: it has "
            f"{', '.join(sorted(known))}."
        )
    return engine


def again(atoms: Atoms, made: Reference) -> Reference:
    """The reference of another geometry, computed with the method that `made` records.

    Raises:
        ValueError: if `made` has no record of its method, or one of an unknown program; otherwise
            as `reference`.
    """
    return by_method(atoms, made.method)


def by_method(atoms: Atoms, method: Mapping[str, Any]) -> Reference:
    """The reference of a structure, computed with a recorded method: of a reference, or a model's.

    Raises:
        ValueError: for no method, or one of an unknown program; otherwise as `reference`.

    >>> from workbench.engines.dispatch import by_method
    >>> method = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").method
    >>> by_method(wb.load("water"), method).H.n_ao
    7
    """
    method = dict(method)
    if not method:
        raise ValueError(
            "The method of this reference is not on record, so it cannot be computed again: make "
            "it with workbench.reference."
        )
    if method.get(OWN_SCRIPT):
        raise ValueError(
            "This reference comes from a script of your own, so it cannot be computed again here: "
            "make one with workbench.reference to compare after a rotation."
        )
    if PUBLISHED_SET in method:
        raise ValueError(
            f"This reference comes from {method[PUBLISHED_SET]}, whose program and version cannot "
            "be run here: make one with workbench.reference to compare after a rotation."
        )
    if "engine" in method:
        settings = {k: v for k, v in method.items() if k not in ("functional", "version")}
        return reference(atoms, settings.pop("basis"), method["functional"], **settings)
    periodic, coupled = bool(atoms.pbc.any()), bool(method.get("spin_orbit"))
    return _engine(_name_in(method), periodic, coupled).again(atoms, method)


def recorded(
    name: str, periodic: bool, basis: str | None, xc: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The method that a label job records: JSON-able, and read by `again`.

    Args:
        name: of the engine.
        periodic: whether the structures are crystals.
        basis, xc, settings: the job's, JSON-able; basis None for the engine's default.
    """
    engine = _engine(name, periodic, settings.get("spin_orbit", False))
    if engine.method is not None:
        return engine.method(basis, xc, **engine.accepted(settings))
    return {
        "engine": name,
        "basis": basis,
        "functional": xc,
        **settings,
        "version": version(name),
    }


def defaults(name: str, periodic: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a job leaves at their defaults and its `recorded` method does not name.

    Args:
        name: of the engine.
        periodic: whether the structures are crystals.
        settings: those of the job.
    """
    engine = _engine(name, periodic, settings.get("spin_orbit", False))
    if engine.method is not None:  # it records all settings
        return {}
    return {key: value for key, value in engine.defaults.items() if key not in settings}


def overlap(atoms: Atoms, basis: Basis, method: Mapping[str, Any], reach: float) -> Overlap:
    """The overlap of a structure in the basis of references, without a self-consistent field.

    Args:
        atoms: a molecule, or a crystal.
        basis: of the references.
        method: theirs, or the record of a label job. Where it names no engine, PySCF is asked: a
            basis by the name of one of PySCF's has the same functions.
        reach: of a crystal: largest distance of two atoms whose overlap is kept, A.

    Raises:
        StructureError: for a structure that the engine does not treat.
        ValueError: if no engine has such orbitals.
        RuntimeError: if the engine is not installed.

    >>> from workbench.engines import dispatch
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> found = dispatch.overlap(water.atoms, water.H.basis, water.method, 10.0)
    >>> (found.S - water.S).max_abs() < 1e-12, found.n_electrons
    (True, 10)
    """
    foreign = "engine" not in method and method.get("program") not in _PROGRAMS
    name = "pyscf" if foreign else _name_in(method)
    engine = _engine(name, bool(atoms.pbc.any()), basis.spinor)
    if engine.overlap is None:
        from workbench.engines import pyscf_molecules

        S = pyscf_molecules.overlap(atoms, basis)
        return Overlap(S, pyscf_molecules.electrons(atoms, basis.name))
    engine.require()
    return engine.overlap(atoms, basis, method, reach)


def overlap_of(atoms: Atoms, H: BlockMatrix, method: Mapping[str, Any]) -> Overlap:
    """The overlap beside a Hamiltonian: in its basis, as far as its blocks reach; see `overlap`."""
    reach = float(np.linalg.norm(pair_vectors(H, atoms), axis=1).max())
    return overlap(atoms, H.basis, method, reach)


def program(method: Mapping[str, Any]) -> str:
    """The program that made a reference with this `method`, e.g. "PySCF"."""
    return str(method.get("program") or _TABLE[_name_in(method)][0])


def _name_in(method: Mapping[str, Any]) -> str:
    """The engine of a recorded method; PySCF where the record does not say."""
    made_by = method.get("program", "PySCF")
    name = str(method.get("engine", _PROGRAMS.get(made_by, made_by)))
    _check_name(name)
    return name


def _check_name(name: str) -> None:
    if name not in _TABLE:
        raise ValueError(f"There is no engine {name!r}: choose {' or '.join(ENGINES)}.")


def _engine(name: str, periodic: bool, spin_orbit: bool) -> Engine:
    _, molecules, spinors, crystals = _TABLE[name]
    module = crystals if periodic else spinors if spin_orbit else molecules
    return import_module(f"workbench.engines.{module}").ENGINE
