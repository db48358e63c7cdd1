"""Where a training run stands: its settings, its snapshot on disk, and what it takes over.

Everything random in a run is drawn from (seed, phase, step), so a snapshot of weights, averages and
moments is all that going on needs.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from workbench.checkpoint import read_tensors, restore, save_model, write_tensors
from workbench.conventions import CONVENTION_VERSION
from workbench.dataset import Dataset
from workbench.engines.openblas import kernels
from workbench.models.config import ModelConfig
from workbench.models.domain import Domain
from workbench.models.scaling import Scaling
from workbench.models.twostage import TwoStageModel


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


def _rounding() -> str:
    """What decides the last digits of sums: the kernels of PyTorch and of NumPy's OpenBLAS."""
    of_torch = torch.backends.cpu.get_cpu_capability()
    return f"{of_torch} kernels of PyTorch and {kernels('numpy') or 'no'} kernels of OpenBLAS"


def weights_hash(module: nn.Module) -> str:
    """sha256 of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def take_over(model: TwoStageModel, source: TwoStageModel) -> None:
    """Give a fresh model another one's stage 1 and scaling.

    Raises:
        TrainingError: if the sizes or the basis differ.
    """
    weights = {f"baseline.{k}": t for k, t in source.baseline.state_dict().items()}
    rest = {k: t for k, t in model.state_dict().items() if not k.startswith("baseline.")}
    try:
        restore(model, weights | rest)
    except RuntimeError as error:
        raise TrainingError(
            "The given stage 1 has other sizes or another basis: give ModelConfig its channels, "
            "layers, radial, readout, pair_readout, lmax, pseudo_lmax and guess."
        ) from error
    model.scaling = source.scaling.to(model.device)


def start_from(model: TwoStageModel, source: TwoStageModel) -> None:
    """As `take_over`, but ready for gradients: float32, and readouts as these trained them."""
    take_over(model, source)
    for head in (model.baseline.node_head, model.baseline.pair_head):
        head.readout.forget()
    model.baseline.float()


class Run:
    """Where a run stands, and its snapshot on disk."""

    def __init__(
        self,
        config: ModelConfig,
        dataset: Dataset,
        how: TrainConfig,
        directory: Path | None,
        given: Mapping[str, TwoStageModel | None],
    ) -> None:
        self.config, self.how, self.directory = config, how, directory
        self.fabric = Fabric(
            accelerator="auto" if torch.cuda.is_available() else "cpu",
            devices=how.devices,
            precision=how.precision,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        settings = {
            "convention_version": CONVENTION_VERSION,
            "model": config.to_json(),
            "train": how.to_json(),
            "dataset": {"name": dataset.path.name, "sha256": dataset.hash},
        }
        for name, model in given.items():
            if model is not None:
                settings[f"{name}_sha256"] = weights_hash(model.baseline)
        self.settings = settings
        self.phase, self.step, self.cpu_seconds, self.best = 0, 0, 0.0, math.inf
        self.history: list[dict[str, Any]] = []
        self.tensors: dict[str, Tensor] = {}
        if directory is not None and (directory / "snapshot.safetensors").is_file():
            self._open(directory / "snapshot.safetensors")

    def _open(self, path: Path) -> None:
        self.tensors, header = read_tensors(path)
        if header["settings"] != self.settings:
            changed = [k for k, v in self.settings.items() if header["settings"].get(k) != v]
            raise TrainingError(
                f"{path.parent} holds a run with another {' and '.join(changed)} setting: continue "
                "it with its own settings, or train in a new directory."
            )
        if header.get("rounding", _rounding()) != _rounding():
            warnings.warn(
                f"The run in {path.parent} began on {header['rounding']} and continues on "
                f"{_rounding()}: its results differ in the last digits from those of a run that "
                "was not interrupted.",
                stacklevel=4,
            )
        self.phase, self.step = header["phase"], header["step"]
        self.cpu_seconds, self.best = header["cpu_seconds"], header["best"] or math.inf
        self.history = header["history"]

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the directory; the system lets go of it even if the process is killed.

        Raises:
            TrainingError: if it is being trained in already.
        """
        if self.directory is None or not self.fabric.is_global_zero:
            yield
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TrainingError(
                    f"A run in {self.directory} is under way: stop that one first, or wait for it."
                ) from error
            yield

    def restore_model(self, model: TwoStageModel) -> None:
        """Give a fresh model the weights of the snapshot."""
        weights = {k[6:]: t for k, t in self.tensors.items() if k.startswith("model.")}
        if weights:
            restore(model, weights)
            scaling = {k[8:]: t for k, t in self.tensors.items() if k.startswith("scaling.")}
            model.scaling = Scaling(**scaling).to(model.device)

    def snapshot(self, model: TwoStageModel, more: Mapping[str, Tensor]) -> None:
        """Write where the run stands, complete or not at all."""
        if self.directory is None or not self.fabric.is_global_zero:
            return
        tensors = {f"model.{k}": t for k, t in model.state_dict().items()} | dict(more)
        tensors |= {f"scaling.{k}": t for k, t in model.scaling.tensors().items()}
        header = {
            "settings": self.settings,
            "rounding": _rounding(),
            "phase": self.phase,
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
            "best": self.best if math.isfinite(self.best) else None,
            "history": self.history,
        }
        write_tensors(self.directory / "snapshot.safetensors", tensors, header)

    def finish(self, model: TwoStageModel, domain: Domain) -> None:
        """Write the trained model."""
        model.info = {**self.settings, "domain": domain.to_json(), "history": self.history}
        if self.directory is not None and self.fabric.is_global_zero:
            save_model(model, self.directory / "model.safetensors", model.info)
