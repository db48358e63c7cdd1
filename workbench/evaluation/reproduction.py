"""A published benchmark from its download to the literature's table.

A run is one folder: the dataset made of the download, the training's snapshot and model, and the
report. Whatever is complete there is not done again, so a run that was stopped goes on when it is
repeated, and its test splits are evaluated once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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
"""Splits that are reported, where there are any."""

COLUMNS = {
    "mae_all_mev": "MAE_all",
    "mae_cha_s_mev": "MAE_cha_s",
    "mae_cha_b_mev": "MAE_cha_b",
    "mae_cha_s_where_baseline_is_worst_mev": "cha_s of stage 1",
    "mae_cha_b_where_baseline_is_worst_mev": "cha_b of stage 1",
    "equivariance_mae_mev": "symmetry",
    "band_mae_mev": "bands",
}
"""Keys of `evaluate` and what the columns of `table` are called."""

BATCH = 2
"""Structures a step by default: they are large, and DeepH-E3 takes one."""

_LOOKED_AT = 8  # structures from which the reach of the orbitals is read off


@dataclass(frozen=True)
class Reproduction:
    """One run on one published set.

    Attributes:
        system: which of the six.
        folder: of the run; made if need be.
    """

    system: BenchmarkSystem
    folder: Path

    @property
    def dataset(self) -> Path:
        """The dataset that `prepare` makes."""
        return self.folder / "dataset.h5"

    @property
    def checkpoint(self) -> Path:
        """The model, where `workbench.train` leaves it in this folder."""
        return self.folder / "model.safetensors"

    def prepare(
        self,
        data: str | Path,
        twisted: str | Path | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> Path:
        """Make the run's dataset of a download; a killed one goes on, a complete one is kept.

        Args:
            data: holds folders of the DeepH format, one per structure, at any depth.
            twisted: holds those of the twisted cells, which become the split "twisted".
            seed: of the drawing of the published split.
            progress: whether to show a bar.

        Returns:
            The path of the dataset.

        Raises:
            FormatError: for folders that are missing, broken or of another system; all are looked
                at before the first is read.
            ValueError: for too few structures, or a run of another download.
        """
        apart = {} if twisted is None else {"twisted": twisted}
        found = Collection.found(data, self.system.shares, seed, apart)
        empty = [name for name, numbers in found.splits.items() if not len(numbers)]
        if empty:
            count = sum(len(found.splits[name]) for name in self.system.shares)
            raise ValueError(
                f"The {count} structures below {data} are too few to split: none is left for "
                f"{empty[0]}."
            )
        if self.dataset.exists():
            with Dataset(self.dataset) as made:
                if any(made.provenance.get(k) != value for k, value in found.recipe.items()):
                    raise ValueError(
                        f"{self.folder} holds a run of another download or seed: continue it with "
                        "its own, or choose another --out."
                    )
            return self.dataset
        self._check(found)
        return found.convert(self.dataset, progress=progress)

    def _check(self, found: Collection) -> None:
        """Refuse structures that are not the system's."""
        system, first = self.system, None
        for folder in found.sources:
            atoms, basis = deeph.structure(folder)
            if basis.spinor != system.spin_orbit:
                has, needs = ("with", "without") if basis.spinor else ("without", "with")
                raise FormatError(
                    f"{folder} was computed {has} spin (isspinful), and {system.code} "
                    f"({system.name}) is a set {needs} spin-orbit coupling: name its own download."
                )
            expected = {atomic_numbers[symbol] for symbol in system.elements}
            if set(atoms.numbers.tolist()) != expected:
                raise FormatError(
                    f"{folder} holds {_listed(basis)}, and {system.code} ({system.name}) is made "
                    f"of {' and '.join(system.elements)}: name its own download."
                )
            first = first or basis
            if basis != first:
                raise FormatError(
                    f"{folder} has other orbitals than {found.sources[0]}: a set needs one basis."
                )

    def report(self, progress: bool = True) -> dict[str, Any]:
        """Evaluate the trained model on the test splits, or take up the report that was written.

        Returns:
            JSON-able: what was trained on what, under "measured" the results of
            `workbench.evaluate` by split, and the literature's values, marked as such.
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
        """The report but for the hashes of what it reports on."""
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


def default_config(dataset: Dataset, system: BenchmarkSystem) -> ModelConfig:
    """Sizes that suit a download: no guess, and a cutoff beyond the longest pair it stores.

    Args:
        dataset: of crystals; a few of its training structures are looked at.
        system: with spin-orbit coupling, two d shells need axial features up to l = 5.
    """
    longest = 0.0
    for i in dataset.split("train")[:_LOOKED_AT]:
        atoms, H = dataset.atoms(int(i)), dataset.hamiltonians([int(i)])[0]
        ends: Any = atoms.positions[H.edges]  # (2, E, 3)
        vectors = ends[1] - ends[0] + H.shifts @ atoms.cell.array
        longest = max(longest, float(np.linalg.norm(vectors, axis=1).max()))
    # Predictions end at the cutoff smoothly, so it leaves room for other structures' pairs.
    cutoff = float(np.ceil(10.5 * longest)) / 10
    return ModelConfig(guess="none", cutoff=cutoff, pseudo_lmax=5 if system.spin_orbit else 2)


def table(
    system: BenchmarkSystem,
    measured: Mapping[str, Mapping[str, Any]],
    floor: float | None = None,
) -> str:
    """The literature's table: a row per split and stage, and the literature's values under them.

    Args:
        system: which of the six.
        measured: split -> what `workbench.evaluate` returned.
        floor: how far the labels themselves are from turning as they must, meV; None if unknown.
    """
    rows = [["meV", "", *COLUMNS.values()]]
    for split, found in measured.items():
        for stage, name in STAGE_NAMES.items():
            rows.append([split, name, *_cells(found[stage])])
        for method, error in system.literature.get(split, {}).items():
            rows.append([split, f"{method} (literature)", *_cells({"mae_all_mev": error})])
        if floor is not None:
            rows.append([split, "noise of the labels", *_cells({"equivariance_mae_mev": floor})])
    return "\n".join([f"{system.code}, {system.name}", *aligned_rows(rows), LITERATURE])


def _cells(errors: Mapping[str, Any]) -> list[str]:
    """One per column, a dash where nothing is known."""
    found = (errors.get(key) for key in COLUMNS)
    return ["-" if error is None else f"{error:.3g}" for error in found]


def _listed(basis: Basis) -> str:
    return " and ".join(chemical_symbols[z] for z in basis.elements)
