"""Settings of a training run: budgets, learning rates, seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from workbench.storage.value_checks import Range, Seed, check_fields, from_json

Precision = Literal["32-true", "64-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true"]
"""Fabric's names of precisions."""

_Rate = Annotated[float, Range(0, 1000)]
_Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Budget:
    """How long a stage trains: either gradient steps or CPU seconds of this process.

    The schedule of the learning rate is stretched to the budget. When the budget is used up, the
    stage's linear readouts are refitted by ridge regression, also after 0 steps; the time of the
    refit comes on top.

    Attributes:
        steps: number of gradient steps, or None.
        cpu_seconds: CPU time, or None.

    Raises:
        ValueError: if both or neither are given, or a number is negative or not finite.

    >>> wb.Budget(steps=200).progress(step=50, cpu_seconds=7.0)
    0.25
    >>> wb.Budget(cpu_seconds=60).progress(step=50, cpu_seconds=90.0)
    1.0
    """

    steps: Annotated[int, Range(0, 10**12)] | None = None
    cpu_seconds: Annotated[float, Range(0, 1e9)] | None = None

    def __post_init__(self) -> None:
        """Check that exactly one of the two is given, and that it is a number."""
        check_fields(self)
        if (self.steps is None) == (self.cpu_seconds is None):
            raise ValueError("A Budget is either steps=... or cpu_seconds=..., not both or none.")

    def progress(self, step: int, cpu_seconds: float) -> float:
        """The share of the budget that is used, from 0 to 1."""
        used, total = (cpu_seconds, self.cpu_seconds) if self.steps is None else (step, self.steps)
        return min(used / total, 1.0) if total else 1.0


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Attributes:
        stage1: budget of stage 1.
        stage2: budget of stage 2; None leaves its correction at zero.
        batch_size: structures per step, over all processes.
        learning_rate: peak learning rate of stage 1.
        refiner_learning_rate: peak learning rate of stage 2.
        warmup: share of a stage in which the rate rises linearly; a cosine decay to zero follows.
        ema: decay of the exponential moving average of the weights. The average is validated and
            kept.
        keep_best: whether a stage ends with its best average. That is the one with the lowest
            validation error, possibly the initial weights; otherwise the last average is kept.
        clip: largest norm of the gradient of the loss. The loss is in units of the mean modulus of
            the stage's targets.
        seed: seed of weights, batches and rotations.
        validations: number of validations per stage.
        snapshot_seconds: wall time between snapshots.
        devices: number of processes, each with one GPU or, without GPUs, one CPU core; `python -m
            workbench train --devices` starts them, `wb.train` needs a launcher such as torchrun.
        turning: rotate and invert structures at random in each step of stage 2.
        gauge_free: minimise errors without the shift of each structure's zero of energy; the
            validation error is then also without it. Crystals need stored overlaps.
        precision: Fabric's name of the precision. "bf16-mixed" is faster on a GPU and much less
            accurate.

    Raises:
        ValueError: for a value of another kind, a number outside its range, or more devices than
            structures in a mini-batch.

    >>> settings = wb.TrainConfig(stage1=wb.Budget(steps=1000), stage2=None, batch_size=8)
    >>> wb.TrainConfig.from_json(settings.to_json()) == settings
    True
    """

    stage1: Budget = field(default_factory=lambda: Budget(cpu_seconds=600))
    stage2: Budget | None = field(default_factory=lambda: Budget(cpu_seconds=300))
    batch_size: Annotated[int, Range(1, 10**6)] = 16
    learning_rate: _Rate = 5e-3
    refiner_learning_rate: _Rate = 3e-4
    warmup: _Share = 0.02
    ema: _Share = 0.999
    keep_best: bool = True
    clip: Annotated[float, Range(0, 1e9, above=True)] = 1.0
    seed: Seed = 0
    validations: Annotated[int, Range(0, 10**6)] = 20
    snapshot_seconds: Annotated[float, Range(0, 1e9)] = 60.0
    devices: Annotated[int, Range(1, 1024)] = 1
    turning: bool = True
    precision: Precision = "32-true"
    gauge_free: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        if not self.devices <= self.batch_size:
            raise ValueError(
                f"Each of {self.devices} devices needs a structure of a mini-batch, and batch_size "
                f"is {self.batch_size}: set batch_size to a multiple of devices."
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``from_json`` reads it back.

        The default of `gauge_free` is left out: settings of runs without it stay the same.
        """
        settings = asdict(self)
        if not self.gauge_free:
            del settings["gauge_free"]
        return settings

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainConfig:
        """The settings that ``to_json`` returned.

        Raises:
            ValueError: for an unknown field, or a value that the settings cannot have.
        """
        return from_json(cls, data)


class TrainingError(ValueError):
    """A run cannot start or continue; the message says what to do."""
