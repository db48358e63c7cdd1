"""What was measured while a model trained, against the CPU time spent, and its file on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.storage.atomic_write import atomic_write
from workbench.training.loop import StepRecord

__all__ = ["Curves", "Point"]

STAGES = ("stage 1", "stage 2")
NAME = "curves.json"


@dataclass(frozen=True)
class Point:
    """A measurement.

    Attributes:
        stage: 0 or 1, the one that was training.
        step: of that stage.
        cpu_seconds: spent in that stage.
        values: meV; one number, or of the symmetry error that of stage 1 and of both stages.
        solved: whether the readouts had just been solved for.
    """

    stage: int
    step: int
    cpu_seconds: float
    values: tuple[float, ...]
    solved: bool = False


@dataclass
class Curves:
    """Losses, validation errors and symmetry errors of a run.

    Attributes:
        losses: MAE over the mini-batch of each step, meV.
        symmetry: mean error of the law of turning on one validation structure, meV.
        history: as ``model.info["history"]``: the validation errors, in eV.
    """

    losses: list[Point] = field(default_factory=list)
    symmetry: list[Point] = field(default_factory=list)
    history: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        directory: Path | None,
        history: Sequence[Mapping[str, Any]],
        stage: int,
        step: int,
    ) -> Curves:
        """Those of a run that stands at a step: what came after it was lost and will come again."""
        found = cls(history=list(history))
        path = directory / NAME if directory is not None else None
        if path is None or not path.is_file():
            return found
        kept = json.loads(path.read_text())
        for name in ("losses", "symmetry"):
            points = [Point(a, b, c, tuple(v), s) for a, b, c, v, s in kept[name]]
            own = [p for p in points if (p.stage, p.step) <= (stage, step)]
            setattr(found, name, own)
        return found

    @property
    def validation(self) -> list[Point]:
        """MAE over the validation set with the averaged weights, meV."""
        return [
            Point(
                _stage(row["phase"]),
                row["step"],
                row["cpu_seconds"],
                (1000 * row["valid_mae_ev"],),
                _solved(row["phase"]),
            )
            for row in self.history
        ]

    def add(self, record: StepRecord) -> None:
        """Keep the errors of a record."""
        at = (_stage(record.phase), record.step, record.cpu_seconds)
        if record.loss_ev is not None:
            self.losses.append(Point(*at, (1000 * record.loss_ev,)))
        if record.valid_mae_ev is not None:
            row = {"phase": record.phase, "step": record.step}
            row |= {"cpu_seconds": record.cpu_seconds, "valid_mae_ev": record.valid_mae_ev}
            self.history.append(row)

    def add_symmetry(self, record: StepRecord, stage1: float, both: float) -> None:
        """Keep symmetry errors, meV."""
        at = (_stage(record.phase), record.step, record.cpu_seconds)
        self.symmetry.append(Point(*at, (stage1, both), _solved(record.phase)))

    def offsets(self) -> tuple[float, float]:
        """CPU seconds spent before each stage."""
        points = [*self.losses, *self.validation]
        return 0.0, max((p.cpu_seconds for p in points if p.stage == 0), default=0.0)

    def write(self, directory: Path) -> None:
        """Keep losses and symmetry beside the snapshot; the validation errors are in it."""
        kept = {
            name: [[p.stage, p.step, round(p.cpu_seconds, 3), p.values, p.solved] for p in points]
            for name, points in (("losses", self.losses), ("symmetry", self.symmetry))
        }
        atomic_write(directory / NAME, json.dumps(kept))


def _stage(phase: str) -> int:
    return STAGES.index(phase.partition(",")[0])


def _solved(phase: str) -> bool:
    return phase.endswith("solved")
