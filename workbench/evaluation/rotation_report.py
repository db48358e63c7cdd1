"""The results of a rotation test as data, written to JSON and read back without loss of digits."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from workbench.evaluation.errors import Errors
from workbench.evaluation.rotation_errors import RotationErrors
from workbench.hamiltonians.conventions import CONVENTION_VERSION, MEV
from workbench.storage.atomic_write import atomic_write

__all__ = ["FORMAT", "RotationReport", "Series", "programs"]

FORMAT = "hamiltonian-workbench rotation report 1"
_KEYS = {"mean": "mae_mev", "largest": "max_mev"}
_PROGRAMS = ("hamiltonian-workbench", "numpy", "scipy", "torch", "e3nn", "pyscf", "ase")

Numbers = list[Any]  # nested lists of floats, as JSON has them


@dataclass(frozen=True)
class Series:
    """Errors under a list of operations.

    Attributes:
        what: in words, e.g. "30 random turns".
        settings: how the operations were chosen: seed, samples, degrees, axis, improper.
        operations: (n, 3, 3) matrices, or (n, 3) axes of rotations by one angle.
        errors: predictor -> n results of `Errors.to_json`.
    """

    what: str
    settings: dict[str, Any]
    operations: Numbers
    errors: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(
        cls,
        what: str,
        settings: Mapping[str, Any],
        operations: Any,
        errors: Sequence[Mapping[str, Errors]],
    ) -> Series:
        """The series of the errors that `RotationErrors.under` returned for the operations."""
        names = list(errors[0]) if errors else []
        by_name = {name: [by_name[name].to_json() for by_name in errors] for name in names}
        return cls(what, dict(settings), np.asarray(operations).tolist(), by_name)

    def values(self, measure: str) -> dict[str, list[float]]:
        """Predictor -> error at each operation, the mean or the largest over elements, meV."""
        key = _KEYS[measure]
        return {name: [error[key] for error in errors] for name, errors in self.errors.items()}


@dataclass(frozen=True)
class RotationReport:
    """All errors measured on one structure with several predictors.

    Attributes:
        structure: formula, numbers, positions (A), cell (A), pbc, charge, and the source if known.
        predictors: name -> largest matrix element in meV, the scale of rounding.
        measure: "mean" or "largest", the error that the pictures show.
        series: the series that were computed: "picked", "random", "sphere", "scan", "worst ...".
        programs: name -> version.
        inversion: predictor -> result of `Errors.to_json` under x -> -x; empty in older reports.
    """

    structure: dict[str, Any]
    predictors: dict[str, float]
    measure: str
    series: dict[str, Series]
    programs: dict[str, str] = field(default_factory=dict)
    inversion: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, errors: RotationErrors, measure: str, series: Mapping[str, Series], source: str = ""
    ) -> RotationReport:
        """The report on the structure and the predictors of a `RotationErrors`."""
        largest = {name: MEV * H.max_abs() for name, H in errors.upright.items()}
        structure = described(errors.atoms) | {"source": source}
        inversion = {name: each.to_json() for name, each in errors.inversion.items()}
        return cls(structure, largest, measure, dict(series), programs(), inversion)

    def inversion_values(self, measure: str) -> dict[str, float]:
        """Predictor -> error under inversion, the mean or the largest over elements, meV."""
        return {name: error[_KEYS[measure]] for name, error in self.inversion.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON-able; units are in the names of the keys or in this class's documentation."""
        return {"format": FORMAT, "convention_version": CONVENTION_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RotationReport:
        """The report that `to_json` wrote.

        Raises:
            ValueError: for other content.
        """
        if content.get("format") != FORMAT:
            raise ValueError(f"This is no rotation report: its format is {content.get('format')}.")
        series = {name: Series(**fields) for name, fields in content["series"].items()}
        names = ("structure", "predictors", "measure", "programs", "inversion")
        # Older reports have another key for the predictors, and no errors under inversion.
        renamed = {"predictors": content.get("subjects"), "inversion": {}, **content}
        return cls(**{name: renamed[name] for name in names}, series=series)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the JSON file, by an atomic replacement; returns its path."""
        text = json.dumps(self.to_json(), indent=1, allow_nan=False)
        return atomic_write(Path(path), text)


def described(atoms: Atoms) -> dict[str, Any]:
    """A structure, JSON-able."""
    return {
        "formula": atoms.get_chemical_formula("hill"),
        "numbers": atoms.numbers.tolist(),
        "positions_angstrom": atoms.positions.tolist(),
        "cell_angstrom": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
        "charge": int(atoms.info.get("charge", 0)),
    }


def programs() -> dict[str, str]:
    """Versions of Python and of the installed packages on which the numbers depend."""
    versions = {"python": platform.python_version()}
    for name in _PROGRAMS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
