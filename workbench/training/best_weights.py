"""AdamW, the running average of the weights, and the best average, as a snapshot holds them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["OptimiserState"]


class OptimiserState:
    """Everything of a stage's optimisation that a snapshot must hold beside the model's weights.

    Attributes:
        parameters: of the stage's network, changed in place by the optimiser.
        average: their exponential moving average, which is validated.
        best: the average with the lowest validation error so far.
        optimizer: AdamW without weight decay.
    """

    def __init__(self, module: nn.Module, learning_rate: float) -> None:
        self.parameters: list[Tensor] = list(module.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.best = [p.clone() for p in self.average]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the present parameters, by 1 - ``decay`` of the distance."""
        torch._foreach_lerp_(self.average, self.parameters, 1 - decay)

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite numbers."""
        return all(bool(t.isfinite().all()) for t in (*self.parameters, *self.average))

    def keep_average(self) -> None:
        """Make the present average the best one."""
        torch._foreach_copy_(self.best, self.average)

    @torch.no_grad()
    def load(self, weights: list[Tensor]) -> None:
        """Give the parameters these values."""
        torch._foreach_copy_(self.parameters, weights)

    def tensors(self) -> dict[str, Tensor]:
        """Average, best average and the optimiser's moments, by number of the parameter."""
        tensors = {f"average.{k}": t for k, t in enumerate(self.average)}
        tensors |= {f"best.{k}": t for k, t in enumerate(self.best)}
        for k, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{k}.{name}": torch.as_tensor(v) for name, v in moments.items()}
        return tensors

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned; a snapshot written between stages has none of it."""
        if not any(name.startswith("average.") for name in saved):
            return
        with torch.no_grad():
            for k, (average, best) in enumerate(zip(self.average, self.best, strict=True)):
                average.copy_(saved[f"average.{k}"])
                best.copy_(saved[f"best.{k}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in saved.items():
            if name.startswith("adam."):
                _, k, entry = name.split(".")
                moments.setdefault(int(k), {})[entry] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
