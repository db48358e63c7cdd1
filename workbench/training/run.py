"""Where a training run stands: its settings, its snapshot on disk, and what it takes over.

Everything random in a run is drawn from (seed, phase, step), so a snapshot of weights, averages and
moments is all that going on needs.
"""

from __future__ import annotations

import fcntl
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from workbench.datasets.dataset import Dataset
from workbench.engines.openblas import kernels
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.checkpoint import read_tensors, restore, save_model, write_tensors
from workbench.models.config import ModelConfig
from workbench.models.scaling import Scaling
from workbench.models.twostage import TwoStageModel
from workbench.training.config import TrainConfig, TrainingError
from workbench.training.transfer import weights_hash


def _rounding() -> str:
    """What decides the last digits of sums: the kernels of PyTorch and of NumPy's OpenBLAS."""
    of_torch = torch.backends.cpu.get_cpu_capability()
    return f"{of_torch} kernels of PyTorch and {kernels('numpy') or 'no'} kernels of OpenBLAS"


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

    def finish(self, model: TwoStageModel, domain: ApplicabilityDomain) -> None:
        """Write the trained model."""
        model.info = {**self.settings, "domain": domain.to_json(), "history": self.history}
        if self.directory is not None and self.fabric.is_global_zero:
            save_model(model, self.directory / "model.safetensors", model.info)
