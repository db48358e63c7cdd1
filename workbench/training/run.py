"""A training run: its settings, its progress, its optimiser, and the snapshot that stores them.

All random numbers of a run depend on (seed, stage, step) alone. The weights, their averages and
the optimiser's moments are therefore enough to continue a run bit for bit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

from workbench.datasets.dataset import Dataset
from workbench.engines.openblas import kernels
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.checkpoint import read_tensors, restore, save_model, write_tensors
from workbench.models.config import ModelConfig
from workbench.models.scaling import Scaling
from workbench.models.twostage import VALIDATED_OVER, TwoStageModel
from workbench.storage.lock import locked_folder
from workbench.storage.value_checks import Range, check_fields, from_json
from workbench.training.best_weights import OptimiserState
from workbench.training.config import TrainConfig, TrainingError
from workbench.training.cutoff import with_cutoff
from workbench.training.launch import fabric_of
from workbench.training.transfer import weights_hash


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        stage: number of the stage that trains, 0 or 1; one more when that stage is trained.
        step: gradient steps done in this stage.
        cpu_seconds: spent in this stage.
        best_ev: lowest validation MAE of the averaged weights in this stage, eV.
        history: a row per validation of all stages, see `workbench.training.history`.
    """

    stage: int = 0
    step: int = 0
    cpu_seconds: float = 0.0
    best_ev: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As the header of a snapshot holds it."""
        return {
            "phase": self.stage,
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
            "best": self.best_ev if math.isfinite(self.best_ev) else None,
            "history": self.history,
        }

    @classmethod
    def from_json(cls, header: Mapping[str, Any]) -> Progress:
        """The progress that the header of a snapshot holds."""
        return cls(
            header["phase"],
            header["step"],
            header["cpu_seconds"],
            header["best"] or math.inf,
            header["history"],
        )


@dataclass(frozen=True)
class _SnapshotHeader:
    """The header of a snapshot: settings, kernels, and the entries of `Progress.to_json`."""

    settings: dict[str, Any]
    phase: Annotated[int, Range(0, 2)]
    step: Annotated[int, Range(0, 10**15)]
    cpu_seconds: Annotated[float, Range(0, 1e15)]
    best: float | None
    history: list[Any]
    rounding: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)


class Run:
    """A training run and its snapshot on disk.

    Args:
        config: sizes of the model; the cutoff "data" becomes a number, see `with_cutoff`.
        dataset: the labelled structures.
        train_config: how to train.
        directory: of the snapshot, which is read if it exists; None keeps nothing on disk.
        sources: the models passed as ``stage1`` or ``start``; their hashes belong to the settings.

    Attributes:
        progress: how far the run has come.
        optimiser: of the stage that trains; None between stages.
        settings: JSON-able; a snapshot is continued only under the same settings.

    Raises:
        TrainingError: if the snapshot belongs to a run with other settings, there is a model
            without a snapshot, or there are not as many processes as devices.
    """

    def __init__(
        self,
        config: ModelConfig,
        dataset: Dataset,
        train_config: TrainConfig,
        directory: Path | None,
        sources: Mapping[str, TwoStageModel | None],
    ) -> None:
        source = next((model for model in sources.values() if model is not None), None)
        self.config = with_cutoff(config, dataset, source)
        self.train_config, self.directory = train_config, directory
        self.fabric = fabric_of(train_config)
        settings = {
            "convention_version": CONVENTION_VERSION,
            "model": self.config.to_json(),
            "train": train_config.to_json(),
            "dataset": {"name": dataset.path.name, "sha256": dataset.hash},
        }
        for name, model in sources.items():
            if model is not None:
                settings[f"{name}_sha256"] = weights_hash(model.baseline)
        self.settings = settings
        self.progress = Progress()
        self.optimiser: OptimiserState | None = None
        self._saved: dict[str, Tensor] = {}
        if directory is not None and (directory / "snapshot.safetensors").is_file():
            self._open(directory / "snapshot.safetensors")
        elif directory is not None and (directory / "model.safetensors").exists():
            raise TrainingError(
                f"{directory} holds a model without the snapshot of its run, which would be "
                "replaced: train in a new directory."
            )

    def _open(self, path: Path) -> None:
        self._saved, header = read_tensors(path)
        try:
            from_json(_SnapshotHeader, header)
        except ValueError as error:
            raise TrainingError(
                f"{path} is no snapshot of a training ({str(error).rstrip('.')}): remove it, and "
                "the run begins again."
            ) from error
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
        self.progress = Progress.from_json(header)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Lock the directory, so that no other run writes into it.

        Raises:
            LockError: if another run holds the lock.
        """
        if self.directory is None or not self.fabric.is_global_zero:
            yield
            return
        with locked_folder(self.directory):
            yield

    def restore_model(self, model: TwoStageModel) -> None:
        """Give an untrained model the weights and the scaling of the snapshot, if there is one."""
        weights, scales = (_with_prefix(self._saved, key) for key in ("model.", "scaling."))
        if not weights:
            return
        try:
            restore(model, weights)
            scaling = Scaling.from_tensors(scales, model.basis, model.config)
        except (RuntimeError, ValueError) as error:
            raise self._misfit() from error
        model.scaling = scaling.to(model.device)

    def begin_stage(self, network: nn.Module, learning_rate: float) -> OptimiserState:
        """The optimiser of a stage, in the state that the snapshot holds, if there is one."""
        self.optimiser = OptimiserState(network, learning_rate)
        try:
            self.optimiser.restore(self._saved)
        except (RuntimeError, KeyError, ValueError) as error:
            raise self._misfit() from error
        return self.optimiser

    def _misfit(self) -> TrainingError:
        return TrainingError(
            f"The tensors of the snapshot in {self.directory} do not fit its settings: remove it, "
            "and the run begins again."
        )

    @property
    def share(self) -> slice:
        """The structures of a mini-batch whose gradient this process computes."""
        return slice(self.fabric.global_rank, None, self.fabric.world_size)

    def mean(self, *numbers: float) -> list[float]:
        """The means of numbers over all processes, so that all of them decide alike."""
        if self.fabric.world_size == 1:
            return list(numbers)
        own = torch.tensor(numbers, dtype=torch.float64, device=self.fabric.device)
        return cast("Tensor", self.fabric.all_reduce(own, reduce_op="mean")).tolist()

    def end_stage(self, stage: int, model: TwoStageModel) -> None:
        """Go on to the stage after this one, which starts with a new optimiser; on disk as well."""
        if self.fabric.world_size > 1:  # other processors may have rounded differently
            for tensor in model.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)
        self.progress = Progress(stage + 1, history=self.progress.history)
        self.optimiser, self._saved = None, {}
        self.snapshot(model)

    def snapshot(self, model: TwoStageModel) -> None:
        """Write model, optimiser, progress and settings to one file, by an atomic replacement."""
        if self.directory is None or not self.fabric.is_global_zero:
            return
        tensors = {f"model.{k}": t for k, t in model.state_dict().items()}
        tensors |= {} if self.optimiser is None else self.optimiser.tensors()
        tensors |= {f"scaling.{k}": t for k, t in model.scaling.tensors().items()}
        header = {"settings": self.settings, "rounding": _rounding(), **self.progress.to_json()}
        write_tensors(self.directory / "snapshot.safetensors", tensors, header)

    def finish(self, model: TwoStageModel, info: Mapping[str, Any]) -> None:
        """Give the model its ``info``, with the history; write ``model.safetensors``."""
        model.info = {**info, "history": self.progress.history}
        if self.directory is not None and self.fabric.is_global_zero:
            save_model(model, self.directory / "model.safetensors", model.info)


def described(settings: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """A model's ``info`` without the history.

    Args:
        settings: of the run.
        dataset: that holds the training and the validation set.
    """
    training, validation = (
        [dataset.atoms(int(i)) for i in dataset.split(split)] for split in ("train", "valid")
    )
    return {
        **settings,
        "method": dataset.method,
        "domain": ApplicabilityDomain.of(training, validation).to_json(),
        VALIDATED_OVER: "all stored or predicted",
    }


@cache
def _rounding() -> str:
    """The kernels of PyTorch and of NumPy's OpenBLAS, on which the last digits of sums depend."""
    of_torch = torch.backends.cpu.get_cpu_capability()
    return f"{of_torch} kernels of PyTorch and {kernels('numpy') or 'no'} kernels of OpenBLAS"


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of the name."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
