"""The level of theory of a label: functional, basis and program, and whether two of them agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["differing_setting", "level_of_theory", "mismatch"]

_OF_ONE_STRUCTURE = ("mesh", "k_mesh")  # may differ within one dataset, as cells do
_DECIDE_NO_LABEL = ("version", "calculation", "engine", "program", "by_states", "max_cycle")
_TOLERANCES = ("conv_tol", "density", "energy")  # and names that begin so


def level_of_theory(method: Mapping[str, Any]) -> str:
    """The `method` of a `Reference` in a few words; empty if nothing is recorded.

    >>> from workbench.engines.level_of_theory import level_of_theory
    >>> with wb.Dataset("water") as water, wb.Dataset("bt-mini") as crystals:
    ...     for data in (water, crystals):
    ...         print(level_of_theory(data.reference(0).method))
    PBE/def2-svp, PySCF
    PBE/szp with spin-orbit coupling, GPAW
    """
    parts = [_functional(method), method.get("basis") or ""]
    spin = " with spin-orbit coupling" if method.get("spin_orbit") else ""
    return ", ".join(filter(None, ["/".join(filter(None, parts)) + spin, _program(method)]))


def mismatch(trained: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """What differs between two methods, e.g. "PBE (PySCF) and PBE0 (PySCF)"; None if nothing does.

    Functional and program are compared. A value that one of them does not record is not compared;
    bases are compared orbital by orbital elsewhere.

    >>> from workbench.engines.level_of_theory import mismatch
    >>> pbe = wb.reference(wb.load("H2"), basis="sto-3g", grid=1).method
    >>> mismatch(pbe, pbe | {"functional": "pbe0"})
    'PBE (PySCF) and PBE0 (PySCF)'
    """
    for of in (_functional, _program):
        a, b = of(trained), of(other)
        if a and b and a != b:
            return " and ".join(
                f"{_functional(m)} ({_program(m) or '?'})" for m in (trained, other)
            )
    return None


def differing_setting(method: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first setting that decides a label and differs between two methods; None if none does.

    A setting that one of them does not record is not compared. Meshes of k-points, which depend on
    the cell, convergence thresholds and versions may differ.

    >>> from workbench.engines.level_of_theory import differing_setting
    >>> coarse, fine = ({"grid_level": n, "version": str(n)} for n in (1, 4))
    >>> differing_setting(coarse, fine)
    'grid_level 1 and 4'
    """
    for name in sorted(method.keys() & other.keys()):
        free = name in (*_OF_ONE_STRUCTURE, *_DECIDE_NO_LABEL) or (
            name.startswith(_TOLERANCES) and not name.startswith("density_fitting")
        )
        if not free and None not in (method[name], other[name]) and method[name] != other[name]:
            return f"{name} {method[name]} and {other[name]}"
    return None


def _functional(method: Mapping[str, Any]) -> str:
    name = method.get("functional", "")
    if not name and method.get("method") in ("RHF", "GHF"):
        name = "hf"
    return str(name).upper()


def _program(method: Mapping[str, Any]) -> str:
    names = {"pyscf": "PySCF", "gpaw": "GPAW"}
    name = str(method.get("program") or method.get("engine") or "")
    return names.get(name.lower(), name)
