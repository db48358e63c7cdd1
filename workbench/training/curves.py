"""The errors measured during a training run against CPU time, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.storage.atomic_write import atomic_write
from workbench.training.history import STAGES, history_row, is_solved, stage_name
from workbench.training.run import Progress
from workbench.training.stage_loop import StepRecord

__all__ = ["STAGES", "Curves", "Point"]

NAME = "curves.json"


@dataclass(frozen=True)
class Point:
    """A measurement.

    Attributes:
        stage: 0 or 1, the stage that was training.
        step: gradient steps of that stage.
        cpu_seconds: spent in that stage.
        values: meV; one number, or four equivariance errors: under rotations that of stage 1 and
            that of both stages, then the same under inversion. Older files have the first two only.
        solved: whether the readouts had just been refitted by ridge regression.
    """

    stage: int
    step: int
    cpu_seconds: float
    values: tuple[float, ...]
    solved: bool = False


@dataclass
class Curves:
    """Losses, validation errors and equivariance errors of a run.

    Attributes:
        losses: MAE on the mini-batch of each step, meV.
        symmetry: equivariance error (MAE) on one validation structure, meV.
        history: the validation errors in eV, as in ``model.info["history"]``.
    """

    losses: list[Point] = field(default_factory=list)
    symmetry: list[Point] = field(default_factory=list)
    history: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, directory: Path | None, progress: Progress) -> Curves:
        """The curves of a run up to its snapshot.

        Points after the snapshot are dropped: the run repeats these steps when it continues.

        Args:
            directory: of the run; None for a run that keeps nothing on disk.
            progress: as the snapshot has it.
        """
        curves = cls(history=list(progress.history))
        path = directory / NAME if directory is not None else None
        if path is None or not path.is_file():
            return curves
        content = json.loads(path.read_text())
        for name in ("losses", "symmetry"):
            points = [
                Point(stage, step, seconds, tuple(values), solved)
                for stage, step, seconds, values, solved in content[name]
            ]
            reached = (progress.stage, progress.step)
            setattr(curves, name, [p for p in points if (p.stage, p.step) <= reached])
        return curves

    @property
    def validation(self) -> list[Point]:
        """MAE on the validation set with the averaged weights, meV."""
        return [
            Point(
                STAGES.index(stage_name(row)),
                row["step"],
                row["cpu_seconds"],
                (1000 * row["valid_mae_ev"],),
                is_solved(row),
            )
            for row in self.history
        ]

    def add(self, record: StepRecord) -> None:
        """Append the errors of a record."""
        stage, seconds, valid = record.phase, record.cpu_seconds, record.valid_mae_ev
        if record.loss_ev is not None:
            values = (1000 * record.loss_ev,)
            self.losses.append(Point(STAGES.index(stage), record.step, seconds, values))
        if valid is not None:
            row = history_row(stage, record.solved, record.step, seconds, valid)
            self.history.append(row)

    def add_symmetry(
        self, record: StepRecord, rotations: Iterable[float], inversion: Iterable[float]
    ) -> None:
        """Append equivariance errors, meV: each of stage 1 and of both stages."""
        stage = STAGES.index(record.phase)
        values = (*rotations, *inversion)
        self.symmetry.append(Point(stage, record.step, record.cpu_seconds, values, record.solved))

    def offsets(self) -> tuple[float, float]:
        """CPU seconds spent before each stage."""
        points = [*self.losses, *self.validation]
        return 0.0, max((p.cpu_seconds for p in points if p.stage == 0), default=0.0)

    def write(self, directory: Path) -> None:
        """Write losses and equivariance errors; the validation errors are in the snapshot."""
        content = {
            name: [[p.stage, p.step, round(p.cpu_seconds, 3), p.values, p.solved] for p in points]
            for name, points in (("losses", self.losses), ("symmetry", self.symmetry))
        }
        atomic_write(directory / NAME, json.dumps(content))
