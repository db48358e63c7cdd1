"""Matrix error and equivariance error of a model, monitored while it is trained.

Both are measured on the same few structures. Predict a structure in a random orientation and rotate
the prediction back: over all orientations the results have a mean, which differs from the true
matrix by the bias b, and a variance v about that mean. As root mean squares therefore

    error^2 = b^2 + v,    equivariance error^2 = 2 v,

and v becomes v / K if the model is averaged over K orientations (`StageErrors.averaged`). The
factor 2 arises because the equivariance error compares two predictions. The equivariance error
under the inversion, x -> -x, is measured as well: a model may obey all rotations and violate it.
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
from workbench.hamiltonians.rotations import INVERSION, random_rotations
from workbench.models.twostage import TwoStageModel
from workbench.structures.loading import rotate
from workbench.training.stage_loop import StepRecord

__all__ = ["ErrorMonitor", "StageErrors", "MonitoredRun", "summary_table", "watch"]


@dataclass(frozen=True)
class StageErrors:
    """Errors of a model on a monitor's structures, over all elements of the matrices, meV.

    Attributes:
        symmetry_mev: mean modulus of f(R x) - D f(x) D^T, the equivariance error under rotations.
        error_mev: mean modulus of f(x) - H(x), in the orientation of the dataset.
        turned_mev: mean modulus of f(R x) - D H(x) D^T.
        symmetry_rms_mev: root mean square of f(R x) - D f(x) D^T.
        error_rms_mev: root mean square of f(x) - H(x).
        inversion_mev: mean modulus of f(-x) - D f(x) D^T, the equivariance error under inversion.
    """

    symmetry_mev: float
    error_mev: float
    turned_mev: float
    symmetry_rms_mev: float
    error_rms_mev: float
    inversion_mev: float

    def __str__(self) -> str:
        """The four means in a line."""
        return (
            f"error of the matrix {self.error_mev:.4g} meV, turned {self.turned_mev:.4g} meV; "
            f"equivariance error: rotations {self.symmetry_mev:.3g} meV, "
            f"inversion {self.inversion_mev:.3g} meV"
        )

    def averaged(self, count: int) -> tuple[float, float]:
        """The errors expected after averaging predictions over ``count`` orientations.

        Args:
            count: number of orientations; these errors are those of a single one.

        Returns:
            Equivariance error under rotations and error of the matrix, root mean squares, meV.

        >>> from workbench.training.monitor import StageErrors
        >>> single = StageErrors(0, 0, 0, symmetry_rms_mev=2.0, error_rms_mev=2.0, inversion_mev=0)
        >>> single.averaged(4)  # v = 2 and b^2 = 2: sqrt(2 v / 4) and sqrt(b^2 + v / 4)
        (1.0, 1.58)
        """
        variance = self.symmetry_rms_mev**2 / 2
        bias = max(self.error_rms_mev**2 - variance, 0.0)
        return (2 * variance / count) ** 0.5, (bias + variance / count) ** 0.5


@dataclass(frozen=True, eq=False)
class ErrorMonitor:
    """Structures with their true Hamiltonians, and rotations to be applied to each structure.

    Attributes:
        structures: in the orientation of the dataset.
        references: their Hamiltonians, eV.
        rotations: (n, 3, 3) proper rotations.

    Stage 2 is not equivariant, and averaging it over orientations lowers the equivariance error:

    >>> from workbench.training.monitor import ErrorMonitor
    >>> with wb.Dataset("water") as water:
    ...     monitor = ErrorMonitor.of(water, "valid", count=2, turns=2)
    >>> model = wb.load_model("water")
    >>> single, averaged = (monitor.read(model, symmetrise=n) for n in (1, 16))
    >>> averaged.symmetry_mev < single.symmetry_mev
    True
    """

    structures: Sequence[Atoms]
    references: Sequence[BlockMatrix]
    rotations: NDArray[np.float64]

    @classmethod
    def of(
        cls, dataset: Dataset, split: str = "valid", count: int = 4, turns: int = 4, seed: int = 0
    ) -> ErrorMonitor:
        """The first ``count`` structures of a split, and ``turns`` random rotations.

        Args:
            dataset: the labelled structures.
            split: name of the split.
            count: number of structures.
            turns: number of rotations, from the Haar measure.
            seed: of the rotations.
        """
        chosen = dataset.split(split)[:count]
        structures = [dataset.atoms(int(i)) for i in chosen]
        return cls(structures, dataset.hamiltonians(chosen), random_rotations(turns, seed))

    def read(self, model: TwoStageModel, symmetrise: int = 1) -> StageErrors:
        """The errors of a model whose stage 2 is averaged over ``symmetrise`` orientations."""

        def refined(structures: Sequence[Atoms]) -> list[BlockMatrix]:
            return [p.refined for p in model.predict(structures, symmetrise)]

        here = refined(self.structures)
        pairs = [(k, R) for R in self.rotations for k in range(len(here))]
        there = refined([rotate(self.structures[k], R) for k, R in pairs])
        inverted = refined([rotate(atoms, INVERSION) for atoms in self.structures])
        rotated = [here[k].rotate(R) for k, R in pairs]
        true = [self.references[k].rotate(R) for k, R in pairs]
        return StageErrors(
            _mae(there, rotated),
            _mae(here, self.references),
            _mae(there, true),
            _rms(there, rotated),
            _rms(here, self.references),
            _mae(inverted, [H.rotate(INVERSION) for H in here]),
        )

    def milliseconds(self, model: TwoStageModel, symmetrise: int = 1, times: int = 3) -> float:
        """Wall time of a prediction of the first structure, ms, the median of ``times``."""
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            model.predict(self.structures[0], symmetrise)
            seconds.append(time.perf_counter() - start)
        return 1000 * float(np.median(seconds))


@dataclass(frozen=True, eq=False)
class MonitoredRun:
    """A training run and the errors measured during it.

    Attributes:
        model: the trained model.
        steps: at which the errors were measured; the last entry belongs to the trained model, with
            refitted readouts.
        readings: the errors at each of these steps.
        cpu_seconds: of the training and of the stage 1 it builds on, without the measurements.
    """

    model: TwoStageModel
    steps: tuple[int, ...]
    readings: tuple[StageErrors, ...]
    cpu_seconds: float

    @property
    def last(self) -> StageErrors:
        """The errors of the trained model."""
        return self.readings[-1]


def watch(
    records: Iterable[StepRecord], meter: ErrorMonitor, every: int = 20, before: float = 0.0
) -> MonitoredRun:
    """Train to the end and measure errors on the way.

    They are measured at the first step, then at every multiple of ``every``, and at the end.

    Args:
        records: from `workbench.train`.
        meter: the monitor that measures.
        every: number of steps between measurements.
        before: CPU seconds that the training of a given stage 1 took.

    Raises:
        ValueError: if the run was finished before and yields no record.

    >>> from workbench.training.monitor import ErrorMonitor, summary_table, watch
    >>> small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    >>> budgets = wb.TrainConfig(stage1=wb.Budget(steps=2), stage2=None, batch_size=4)
    >>> with wb.Dataset("uracil") as uracil:
    ...     monitor = ErrorMonitor.of(uracil, "valid", count=1, turns=1)
    ...     run = watch(wb.train(small, uracil, budgets), monitor)
    >>> run.steps
    (1, 2)
    >>> print(summary_table({"stage 1 alone": run}))
                   CPU s  error, meV  equivariance error: rotations, meV  inversion, meV
    stage 1 alone    ...
    """
    start, measuring = time.process_time(), 0.0
    steps: list[int] = []
    readings: list[StageErrors] = []
    model = None
    for record in records:
        model = record.model
        is_step = not record.solved
        if record.finished or (is_step and (record.step == 1 or record.step % every == 0)):
            paused = time.process_time()
            steps.append(record.step)
            readings.append(meter.read(record.model))
            measuring += time.process_time() - paused
    if model is None:
        raise ValueError(
            "This run was already finished, so there is nothing to watch: train in a new directory."
        )
    cpu_seconds = before + time.process_time() - start - measuring
    return MonitoredRun(model, tuple(steps), tuple(readings), cpu_seconds)


def summary_table(runs: Mapping[str, MonitoredRun]) -> str:
    """A line per run: its CPU seconds and the errors of the trained model, meV."""
    rows = [["", "CPU s", "error, meV", "equivariance error: rotations, meV", "inversion, meV"]]
    for name, run in runs.items():
        errors = (run.last.error_mev, run.last.symmetry_mev, run.last.inversion_mev)
        rows.append([name, f"{run.cpu_seconds:.1f}", *(f"{e:.2g}" for e in errors)])
    return "\n".join(aligned_rows(rows))


def _mae(a: Sequence[BlockMatrix], b: Sequence[BlockMatrix]) -> float:
    return float(np.mean([matrix_errors(x, y).mae_mev for x, y in zip(a, b, strict=True)]))


def _rms(a: Sequence[BlockMatrix], b: Sequence[BlockMatrix]) -> float:
    squares = [_mean_square(x - y) for x, y in zip(a, b, strict=True)]
    return MEV * float(np.mean(squares)) ** 0.5


def _mean_square(difference: BlockMatrix) -> float:
    return float((np.abs(difference.values[difference.mask]) ** 2).mean())
