"""The interface between the training loop and the objective of a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor, nn

from workbench.models.twostage import TwoStageModel
from workbench.training.training_set import TrainingSet

__all__ = ["Objective"]


class Objective(Protocol):
    """What one stage minimises.

    `Stage1Objective` and `Stage2Objective` fulfil it; the loop uses nothing else of them.
    """

    @property
    def name(self) -> str:
        """The name of the stage, as records and the history give it."""
        ...

    @property
    def model(self) -> TwoStageModel:
        """The model of which one stage is trained."""
        ...

    @property
    def module(self) -> nn.Module:
        """The stage's network, whose parameters the optimiser changes."""
        ...

    @property
    def train(self) -> TrainingSet:
        """The structures from which mini-batches are drawn."""
        ...

    @property
    def unit_ev(self) -> float:
        """Mean modulus of the targets in eV; gradients are those of the loss in this unit."""
        ...

    def loss(
        self,
        network: Callable[..., object],
        indices: Tensor,
        seed: Sequence[int],
        share: slice = slice(None),
    ) -> Tensor:
        """The training loss of a mini-batch, eV.

        Args:
            network: `module`, possibly wrapped for mixed precision or several devices.
            indices: (B,) structures of the training set.
            seed: of everything random in this loss.
            share: the structures among them that enter the loss, those of one of several processes.
        """
        ...

    def validate(self) -> float:
        """MAE of the present weights on the validation set, eV, mean over structures."""
        ...

    def solve(self) -> float:
        """Refit the stage's linear readouts by ridge regression; the validation MAE, eV."""
        ...
