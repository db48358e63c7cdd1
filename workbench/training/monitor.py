"""Watching a model while it is trained: the error of its matrices and of its symmetry together.

Both are read on the same few structures. An answer f, turned back from a random orientation,
scatters by its variance v around its mean over all orientations, which is off by the bias b. So

    error^2 = b^2 + v,    symmetry error^2 = 2 v,    both after averaging K of them: v / K

as root mean squares, since the symmetry error compares two answers (`StageErrors.averaged`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.dataset import Dataset
from workbench.evaluation.errors import aligned_rows, matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import random_rotations
from workbench.models.twostage import TwoStageModel
from workbench.structures.loading import rotate
from workbench.training.stage_loop import StepRecord

__all__ = ["ErrorMonitor", "StageErrors", "MonitoredRun", "summary_table", "watch"]


@dataclass(frozen=True)
class StageErrors:
    """Errors of a model on a meter's structures, over all elements of the matrices, meV.

    Attributes:
        symmetry_mev: mean modulus of f(R x) - D f(x) D^T.
        error_mev: mean modulus of f(x) - H(x), the structures lying as they are.
        turned_mev: mean modulus of f(R x) - D H(x) D^T.
        symmetry_rms_mev: root mean square instead of mean modulus.
        error_rms_mev: the same of f(x) - H(x).
    """

    symmetry_mev: float
    error_mev: float
    turned_mev: float
    symmetry_rms_mev: float
    error_rms_mev: float

    def __str__(self) -> str:
        """The three means in a line."""
        return (
            f"error of the matrix {self.error_mev:.4g} meV, turned {self.turned_mev:.4g} meV; "
            f"symmetry error {self.symmetry_mev:.3g} meV"
        )

    def averaged(self, count: int) -> tuple[float, float]:
        """What to expect of the mean over so many orientations, where this reading is of one.

        Returns:
            symmetry error and error of the matrix, root mean squares, meV.
        """
        variance = self.symmetry_rms_mev**2 / 2
        bias = max(self.error_rms_mev**2 - variance, 0.0)
        return (2 * variance / count) ** 0.5, (bias + variance / count) ** 0.5


@dataclass(frozen=True, eq=False)
class ErrorMonitor:
    """Structures with their true Hamiltonians, and rotations to try on each.

    Attributes:
        structures: as they lie.
        references: their Hamiltonians, eV.
        rotations: (n, 3, 3) proper ones.
    """

    structures: Sequence[Atoms]
    references: Sequence[BlockMatrix]
    rotations: NDArray[np.float64]

    @classmethod
    def of(
        cls, dataset: Dataset, split: str = "valid", count: int = 4, turns: int = 4, seed: int = 0
    ) -> ErrorMonitor:
        """The first structures of a split, and uniformly random rotations."""
        chosen = dataset.split(split)[:count]
        structures = [dataset.atoms(int(i)) for i in chosen]
        return cls(structures, dataset.hamiltonians(chosen), random_rotations(turns, seed))

    def read(self, model: TwoStageModel, symmetrise: int = 1) -> StageErrors:
        """The errors of a model now, averaged over ``symmetrise`` orientations."""
        here = [p.refined for p in model.predict(self.structures, symmetrise)]
        pairs = [(k, R) for R in self.rotations for k in range(len(here))]
        moved = [rotate(self.structures[k], R) for k, R in pairs]
        there = [p.refined for p in model.predict(moved, symmetrise)]
        own = [here[k].rotate(R) for k, R in pairs]
        true = [self.references[k].rotate(R) for k, R in pairs]
        return StageErrors(
            _mae(there, own),
            _mae(here, self.references),
            _mae(there, true),
            _rms(there, own),
            _rms(here, self.references),
        )

    def milliseconds(self, model: TwoStageModel, symmetrise: int = 1, times: int = 3) -> float:
        """Wall time of one prediction of the first structure: the median of a few."""
        spent = []
        for _ in range(times):
            start = time.perf_counter()
            model.predict(self.structures[0], symmetrise)
            spent.append(time.perf_counter() - start)
        return 1000 * float(np.median(spent))


@dataclass(frozen=True, eq=False)
class MonitoredRun:
    """A training run and what a meter read on the way.

    Attributes:
        model: as trained.
        steps: at which was read; the last ones are of the model with its readouts solved.
        readings: one for each.
        cpu_seconds: what the training took, with what it was built upon, without the reading.
    """

    model: TwoStageModel
    steps: tuple[int, ...]
    readings: tuple[StageErrors, ...]
    cpu_seconds: float

    @property
    def last(self) -> StageErrors:
        """Of the trained model."""
        return self.readings[-1]


def watch(
    records: Iterable[StepRecord], meter: ErrorMonitor, every: int = 20, before: float = 0.0
) -> MonitoredRun:
    """Train to the end, reading a meter at the first step, then every so many, and at last.

    Args:
        records: of `workbench.train`.
        meter: what to read.
        every: steps between readings.
        before: CPU seconds that a given stage 1 has taken.

    Raises:
        ValueError: for a run that had nothing left to do.
    """
    start, reading_took = time.process_time(), 0.0
    steps: list[int] = []
    readings: list[StageErrors] = []
    model = None
    for record in records:
        model = record.model
        on_the_way = record.loss_ev is not None and not record.finished
        if record.finished or (on_the_way and (record.step == 1 or record.step % every == 0)):
            paused = time.process_time()
            steps.append(record.step)
            readings.append(meter.read(record.model))
            reading_took += time.process_time() - paused
    if model is None:
        raise ValueError("This run was finished before: there is nothing to watch, train anew.")
    spent = before + time.process_time() - start - reading_took
    return MonitoredRun(model, tuple(steps), tuple(readings), spent)


def summary_table(runs: Mapping[str, MonitoredRun]) -> str:
    """A line per run: its CPU seconds and what it ends at, meV."""
    rows = [["", "CPU s", "error, meV", "symmetry error, meV"]]
    for name, run in runs.items():
        errors = (f"{e:.2g}" for e in (run.last.error_mev, run.last.symmetry_mev))
        rows.append([name, f"{run.cpu_seconds:.1f}", *errors])
    return "\n".join(aligned_rows(rows))


def _mae(found: Sequence[BlockMatrix], right: Sequence[BlockMatrix]) -> float:
    return float(np.mean([matrix_errors(a, b).mae_mev for a, b in zip(found, right, strict=True)]))


def _rms(found: Sequence[BlockMatrix], right: Sequence[BlockMatrix]) -> float:
    squares = [_mean_square(a - b) for a, b in zip(found, right, strict=True)]
    return MEV * float(np.mean(squares)) ** 0.5


def _mean_square(difference: BlockMatrix) -> float:
    return float((np.abs(difference.values[difference.mask]) ** 2).mean())
