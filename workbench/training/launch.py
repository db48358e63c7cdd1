"""The processes of a training: who started them, and which of them this one is.

A training on several devices is one process per device, all with the same weights: each computes
the gradient of its share of a mini-batch, and Lightning Fabric averages the gradients. Process 0
alone writes files and words, and an interrupt is for it.

`python -m workbench train --devices N` starts the processes itself (`cli/processes.py`); torchrun
and SLURM's srun start them on several computers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.engines.worker_lifetime import end_with
from workbench.training.config import TrainConfig, TrainingError

if TYPE_CHECKING:  # a help page should not wait for PyTorch
    from lightning_fabric import Fabric

__all__ = ["Group", "LAUNCHER", "PeerError", "fabric_of", "group", "is_first", "together"]

LAUNCHER = "WORKBENCH_LAUNCHER"
"""Environment variable of processes that the workbench started: ID of the process that did."""


class PeerError(TrainingError):
    """Another process of the same training has ended."""


@dataclass(frozen=True)
class Group:
    """The processes that a launcher started, of which this is one.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        nodes: number of computers, each with the same number of processes.
        slurm: whether srun started them.
    """

    rank: int
    size: int
    nodes: int
    slurm: bool


def group() -> Group | None:
    """The processes of which this is one, by the variables of its environment; None if alone.

    >>> from workbench.training.launch import group
    >>> group() is None
    True
    """

    def of(name: str, otherwise: int = 1) -> int:
        return int(os.environ.get(name, otherwise))

    if "LOCAL_RANK" in os.environ:  # torchrun, or the workbench
        size = of("WORLD_SIZE")
        return Group(
            of("RANK", of("LOCAL_RANK")), size, size // of("LOCAL_WORLD_SIZE", size), False
        )
    if (size := of("SLURM_STEP_NUM_TASKS")) > 1:
        return Group(of("SLURM_PROCID", 0), size, of("SLURM_STEP_NUM_NODES"), slurm=True)
    return None


def is_first() -> bool:
    """Whether this process writes files and words."""
    found = group()
    return found is None or found.rank == 0


def fabric_of(config: TrainConfig) -> Fabric:
    """What connects the processes of a training; it waits for the others.

    Raises:
        TrainingError: if there are not as many processes as ``config.devices``.
    """
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
    from lightning_fabric.strategies import DDPStrategy

    found = group()
    _check(config.devices, found)
    settings: dict[str, Any] = {
        "accelerator": "auto" if torch.cuda.is_available() else "cpu",
        "precision": config.precision,
    }
    if found is None or found.size == 1:
        fabric = Fabric(devices=1, **settings)
        fabric.launch()
        return fabric
    if LAUNCHER in os.environ:
        end_with(int(os.environ[LAUNCHER]))
    environment = SLURMEnvironment(auto_requeue=False) if found.slurm else LightningEnvironment()
    fabric = Fabric(
        strategy=DDPStrategy(cluster_environment=environment),
        devices=found.size // found.nodes,
        num_nodes=found.nodes,
        **settings,
    )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the processes
    with together():
        fabric.launch()
    return fabric


def _check(devices: int, found: Group | None) -> None:
    """Refuse a training whose processes are not there."""
    if found is None and devices > 1:
        raise TrainingError(
            f"devices={devices} needs {devices} processes: `python -m workbench train --devices "
            f"{devices}` starts them, and so does `torchrun --nproc-per-node={devices}` for a "
            "script."
        )
    if found is not None and found.size != devices:
        raise TrainingError(
            f"{found.size} processes were started for devices={devices}: give both the same number."
        )


@contextmanager
def together() -> Iterator[None]:
    """Say in one sentence that another process of the training has ended.

    Raises:
        PeerError: for an error of the connection between processes.
    """
    try:
        yield
    except RuntimeError as error:
        from torch.distributed import DistError

        if not (isinstance(error, DistError) or "gloo" in str(error)):
            raise
        raise PeerError(
            "Another process of this training has ended, so this one ends as well: the same "
            "command resumes from the last snapshot."
        ) from error
