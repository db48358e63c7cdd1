"""Stage 1 of one model for another: to build on, or to start from."""

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
