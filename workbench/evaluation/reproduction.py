"""A published benchmark from the download to the table that the literature shows.

A run is one folder with the converted dataset, the training's snapshot and model, and the report.
Complete files are not made again. A run that was stopped therefore continues when it is repeated,
and its test splits are evaluated once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers, chemical_symbols

from workbench.datasets.conversion import Collection
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError, deeph
from workbench.datasets.published_sets import LITERATURE, BenchmarkSystem
from workbench.evaluation.errors import aligned_rows
from workbench.evaluation.model_errors import evaluate
from workbench.evaluation.rotation_errors import STAGE_NAMES
from workbench.hamiltonians.basis import Basis
from workbench.models.checkpoint import load_model
from workbench.models.config import ModelConfig
from workbench.storage.atomic_write import atomic_write

__all__ = ["Reproduction", "default_config", "table"]

TESTED = ("test", "twisted")
"""Splits that are reported, if the dataset has them."""

RAW_COLUMNS = {
    "mae_all_mev": "MAE_all",
    "mae_cha_s_mev": "MAE_cha_s",
    "mae_cha_b_mev": "MAE_cha_b",
    "mae_cha_s_where_baseline_is_worst_mev": "cha_s of stage 1",
    "mae_cha_b_where_baseline_is_worst_mev": "cha_b of stage 1",
    "equivariance_mae_mev": "rotations",
    "inversion_mae_mev": "inversion",
    "band_mae_mev": "bands",
}
"""Keys of `evaluate` that leave the zero of energy as it is, and their columns in `table`.

The columns "rotations" and "inversion" are the equivariance errors.
"""

COLUMNS = RAW_COLUMNS | {
    "aligned_band_mae_mev": "aligned bands",
    "gauge_free_mae_mev": "MAE without gauge",
    "shift_mev": "shift",
}
"""The same with the errors that do not depend on the zero of energy, and the shift of this zero."""

BATCH = 2
"""Default batch size: the structures are large, and DeepH-E3 uses one per step."""


@dataclass(frozen=True)
class Reproduction:
    """One run on one published set.

    Attributes:
        system: one of the six published sets.
        folder: of the run; created when needed.
    """

    system: BenchmarkSystem
    folder: Path

    @property
    def dataset(self) -> Path:
        """Path of the dataset that `prepare` writes."""
        return self.folder / "dataset.h5"

    @property
    def checkpoint(self) -> Path:
        """Path of the model that `workbench.train` writes into this folder."""
        return self.folder / "model.safetensors"

    def prepare(
        self,
        data: str | Path,
        twisted: str | Path | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> Path:
        """Convert a download into the run's dataset; an interrupted conversion is continued.

        Args:
            data: contains folders in the DeepH format, one per structure, at any depth.
            twisted: contains the folders of the twisted cells, which become the split "twisted".
            seed: with which the published split is drawn.
            progress: show a progress bar.

        Returns:
            The path of the dataset.

        Raises:
            FormatError: for folders that are missing, damaged or of another system; all folders
                are checked before the first is read.
            ValueError: for too few structures, or if the folder has a run of another download.
        """
        apart = {} if twisted is None else {"twisted": twisted}
        collection = Collection.found(data, self.system.shares, seed, apart)
        empty = [name for name, numbers in collection.splits.items() if not len(numbers)]
        if empty:
            count = sum(len(collection.splits[name]) for name in self.system.shares)
            raise ValueError(
                f"The {count} structures below {data} are too few to split: none is left for "
                f"{empty[0]}."
            )
        if self.dataset.exists():
            with Dataset(self.dataset) as dataset:
                recipe = collection.recipe.items()
                if any(dataset.provenance.get(key) != value for key, value in recipe):
                    raise ValueError(
                        f"{self.folder} holds a run of another download or seed: continue it with "
                        "its own download and seed, or choose another --out."
                    )
            return self.dataset
        self._check(collection)
        return collection.convert(self.dataset, progress=progress)

    def _check(self, collection: Collection) -> None:
        """Refuse structures that do not belong to the system."""
        system, first = self.system, None
        for folder in collection.sources:
            atoms, basis = deeph.structure(folder)
            if basis.spinor != system.spin_orbit:
                has, needs = ("with", "without") if basis.spinor else ("without", "with")
                raise FormatError(
                    f"{folder} was computed {has} spin (isspinful), and {system.code} "
                    f"({system.name}) is a set {needs} spin-orbit coupling: name the download of "
                    f"{system.code}."
                )
            expected = {atomic_numbers[symbol] for symbol in system.elements}
            if set(atoms.numbers.tolist()) != expected:
                raise FormatError(
                    f"{folder} holds {_listed(basis)}, and {system.code} ({system.name}) is made "
                    f"of {' and '.join(system.elements)}: name the download of {system.code}."
                )
            first = first or basis
            if basis != first:
                raise FormatError(
                    f"{folder} has other orbitals than {collection.sources[0]}: all structures of "
                    "a set need the same basis."
                )

    def report(self, progress: bool = True) -> dict[str, Any]:
        """Evaluate the trained model on the test splits, or return the report on disk.

        A report of an older version may lack columns: delete ``report.json`` to evaluate again.

        Returns:
            JSON-able: system, splits and hashes of model and dataset; under "measured" the results
            of `workbench.evaluate` for each split; under "literature" the published values.
        """
        digest = hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()
        path = self.folder / "report.json"
        report = json.loads(path.read_text()) if path.is_file() else {}
        with Dataset(self.dataset) as dataset:
            origin = {"checkpoint_sha256": digest, "dataset_sha256": dataset.hash}
            if all(report.get(key) == value for key, value in origin.items()):
                return report
            report = origin | self._measured(dataset, progress)
        atomic_write(path, json.dumps(report, indent=1))
        return report

    def _measured(self, dataset: Dataset, progress: bool) -> dict[str, Any]:
        """The report without the hashes."""
        model, system = load_model(self.checkpoint), self.system
        tested = [split for split in TESTED if split in dataset.splits]
        return {
            "system": system.code,
            "name": system.name,
            "spin_orbit": system.spin_orbit,
            "splits": {name: len(dataset.split(name)) for name in dataset.splits},
            "split_seed": dataset.provenance["split_seed"],
            "published_structures": system.structures,
            "measured": {s: evaluate(model, dataset, s, progress=progress) for s in tested},
            "literature": {"note": LITERATURE, "mae_all_mev": dict(system.literature)},
        }


def default_config(system: BenchmarkSystem) -> ModelConfig:
    """Settings for a published set: no guess.

    Args:
        system: with spin-orbit coupling, two d shells need axial features up to l = 5.
    """
    return ModelConfig(guess="none", pseudo_lmax=5 if system.spin_orbit else 2)


def table(
    system: BenchmarkSystem,
    measured: Mapping[str, Mapping[str, Any]],
    floor: float | None = None,
    columns: Mapping[str, str] = COLUMNS,
) -> str:
    """The literature's table: for each split a row per stage, then the published values.

    The literature's columns contain errors of the zero of energy. "MAE without gauge" and "aligned
    bands" do not: see `workbench.evaluation.energy_zero` and `BandWindow.errors`.

    Args:
        system: one of the six published sets.
        measured: split -> result of `workbench.evaluate`.
        floor: equivariance error of the labels themselves under rotations, meV; None if unknown.
        columns: key of `evaluate` -> heading; `RAW_COLUMNS` makes the table of the raw errors.
    """

    def cells(errors: Mapping[str, Any]) -> list[str]:
        """A cell per column, with a dash for an unknown value."""
        values = (errors.get(key) for key in columns)
        return ["-" if value is None else f"{value:.3g}" for value in values]

    rows = [["meV", "", *columns.values()]]
    for split, errors in measured.items():
        for stage, name in STAGE_NAMES.items():
            rows.append([split, name, *cells(errors[stage])])
        for method, error in system.literature.get(split, {}).items():
            rows.append([split, f"{method} (literature)", *cells({"mae_all_mev": error})])
        if floor is not None:
            rows.append([split, "noise of the labels", *cells({"equivariance_mae_mev": floor})])
    return "\n".join([f"{system.code}, {system.name}", *aligned_rows(rows), LITERATURE])


def _listed(basis: Basis) -> str:
    return " and ".join(chemical_symbols[z] for z in basis.elements)
