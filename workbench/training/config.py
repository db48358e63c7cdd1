"""How to train: budgets, learning rates, seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Budget:
    """How long a phase trains: steps, or CPU seconds of this process; exactly one of the two.

    The learning rate follows the budget, so its whole schedule fits whatever is given. The
    readouts are solved afterwards, also after 0 steps, and come on top.
    """

    steps: int | None = None
    cpu_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if (self.steps is None) == (self.cpu_seconds is None):
            raise ValueError("A Budget is either steps=... or cpu_seconds=..., not both or none.")

    def progress(self, step: int, cpu_seconds: float) -> float:
        """Share of the budget that is used, from 0 to 1."""
        used, given = (cpu_seconds, self.cpu_seconds) if self.steps is None else (step, self.steps)
        return min(used / given, 1.0) if given else 1.0


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        stage1: budget of the baseline.
        stage2: budget of the refiner; None leaves stage 2 at zero correction.
        batch_size: structures a step, over all processes.
        learning_rate: peak for stage 1.
        refiner_learning_rate: peak for stage 2.
        warmup: share of a phase over which the rate rises, before its cosine fall to zero.
        ema: decay of the running average of the weights, which is what is validated and kept.
        keep_best: whether a phase ends with the averages that validated best, be it those it began
            with, and not with its last ones.
        clip: largest norm of the gradient of the loss, in units of what a phase has to learn.
        seed: of weights, batches and rotations.
        validations: how often each phase looks at the validation set.
        snapshot_seconds: wall time between snapshots.
        devices: processes or GPUs; more than one needs a launcher such as torchrun.
        turning: whether stage 2 sees each structure turned and inverted at random at every step.
        precision: Fabric's name of it. "bf16-mixed" is faster on a GPU and much less exact.
    """

    stage1: Budget = field(default_factory=lambda: Budget(cpu_seconds=600))
    stage2: Budget | None = field(default_factory=lambda: Budget(cpu_seconds=300))
    batch_size: int = 16
    learning_rate: float = 5e-3
    refiner_learning_rate: float = 3e-4
    warmup: float = 0.02
    ema: float = 0.999
    keep_best: bool = True
    clip: float = 1.0
    seed: int = 0
    validations: int = 20
    snapshot_seconds: float = 60.0
    devices: int = 1
    turning: bool = True
    precision: str = "32-true"

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``from_json`` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainConfig:
        """The configuration that ``to_json`` described."""
        budgets = {n: Budget(**data[n]) for n in ("stage1", "stage2") if data.get(n)}
        return cls(**{**data, **budgets})


class TrainingError(ValueError):
    """A run that cannot start or go on as asked; the message says what to do."""
