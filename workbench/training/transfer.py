"""Copying the stage 1 of one model to another, as it is or as a starting point."""

from __future__ import annotations

import hashlib

from torch import nn

from workbench.models.checkpoint import restore
from workbench.models.twostage import TwoStageModel
from workbench.training.config import TrainingError


def weights_hash(module: nn.Module) -> str:
    """sha256 of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def take_over(model: TwoStageModel, source: TwoStageModel) -> None:
    """Copy another model's stage 1 and scaling into an untrained model.

    Args:
        model: receives the weights.
        source: a trained model.

    Raises:
        TrainingError: if the sizes or the basis differ.
    """
    weights = {f"baseline.{k}": t for k, t in source.baseline.state_dict().items()}
    rest = {k: t for k, t in model.state_dict().items() if not k.startswith("baseline.")}
    try:
        restore(model, weights | rest)
    except RuntimeError as error:
        raise TrainingError(
            "The stage 1 passed has other sizes or another basis: set channels, layers, radial, "
            "readout, pair_readout, lmax, pseudo_lmax and guess of ModelConfig to its values."
        ) from error
    model.scaling = source.scaling.to(model.device)


def start_from(model: TwoStageModel, source: TwoStageModel) -> None:
    """As `take_over`, but ready for gradient steps: float32, without the refitted readouts."""
    take_over(model, source)
    for head in (model.baseline.node_head, model.baseline.pair_head):
        head.readout.forget()
    model.baseline.float()
