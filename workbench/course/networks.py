"""Small stage-1 networks: untrained, with solved readouts, and with one wrong layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.datasets.dataset import Dataset
from workbench.evaluation.equivariance import Predictor
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.conventions import E3NN_AXES
from workbench.models.config import ModelConfig
from workbench.models.stage1 import Stage1
from workbench.models.tensor_product import TensorProductConvolution
from workbench.models.twostage import TwoStageModel
from workbench.training.cutoff import with_cutoff
from workbench.training.initial_model import guess_charges, untrained
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.training_set import TrainingSet

__all__ = ["CHANGES", "MISTAKES", "error_mev", "make", "solved"]


class _ComponentSiLU(nn.Module):
    """A mistake: SiLU on every component instead of a gate."""

    def __init__(self, expand: nn.Module) -> None:
        super().__init__()
        self.expand = expand

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, C) -> (N, K, 2C)."""
        return functional.silu(self.expand(x))


class _ComponentLayerNorm(nn.Module):
    """A mistake: ordinary LayerNorm over all components and channels of an atom."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, C) -> (N, K, C)."""
        return functional.layer_norm(x, x.shape[1:])


class _WrongAxes(nn.Module):
    """A mistake: axes of vectors permuted as for e3nn, although the frames are not e3nn's."""

    def __init__(self, frames: nn.Module) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, vectors: Tensor) -> Tensor:
        """(P, 3) -> (P, K, K)."""
        return self.frames(vectors[:, list(E3NN_AXES)])


def _silu_on_components(model: TwoStageModel) -> None:
    for mix in cast("Any", model.baseline.mixes):
        mix.gate = _ComponentSiLU(mix.gate.expand)


def _layer_norm(model: TwoStageModel) -> None:
    for k in range(len(model.baseline.node_norms)):
        model.baseline.node_norms[k] = _ComponentLayerNorm()


def _wrong_axes(model: TwoStageModel) -> None:
    builder = cast("Any", model.geometry_builder)
    builder.frames = _WrongAxes(builder.frames)


def _tensor_products(model: TwoStageModel) -> None:
    model.baseline = Stage1(model.irreps, model.config, convolution=TensorProductConvolution)


MISTAKES: dict[str, Callable[[TwoStageModel], None]] = {
    "SiLU on components": _silu_on_components,
    "LayerNorm": _layer_norm,
    "axes permuted": _wrong_axes,
}
"""Layers that violate equivariance."""

CHANGES = {"tensor products": _tensor_products, **MISTAKES}
"""Possible changes of a stage 1; tensor products keep equivariance."""


def make(
    dataset: Dataset, config: ModelConfig, change: str | None = None, seed: int = 0
) -> TwoStageModel:
    """The initial model of `train` for this seed: random weights, scaled to the training set.

    Args:
        dataset: with a split "train".
        config: sizes of the network.
        change: key of `CHANGES`, applied after the weights were drawn; None for the correct
            network.
        seed: seed of the weights.

    >>> from workbench.course import networks
    >>> small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    >>> with wb.Dataset("uracil") as uracil:
    ...     model, atoms = networks.make(uracil, small), uracil.atoms(0)
    >>> wb.equivariance({"untrained": model.stage1}, atoms)["untrained"].mae_mev < 1e-3
    True
    """
    config = with_cutoff(config, dataset)
    charges = guess_charges(dataset, dataset.split("train"), config)
    training = _labelled(dataset, "train", config, charges)
    torch.manual_seed(seed)
    model = untrained(dataset.basis, config, training, charges)
    if change is not None:
        CHANGES[change](model)
    return model


def solved(
    dataset: Dataset, config: ModelConfig, change: str | None = None, seed: int = 0
) -> TwoStageModel:
    """As `make`, with solved readouts of stage 1: the result of `train` with 0 steps.

    Args:
        dataset: with splits "train" and "valid".
        config, change, seed: as for `make`.

    >>> from workbench.course import networks
    >>> small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    >>> with wb.Dataset("uracil") as data:
    ...     errors = [networks.error_mev(f(data, small).stage1, data)
    ...               for f in (networks.make, networks.solved)]
    >>> errors[1] < errors[0]
    True
    """
    model = make(dataset, config, change, seed)
    charges = model.scaling.charges
    training, valid = (_labelled(dataset, s, model.config, charges) for s in ("train", "valid"))
    Stage1Objective(model, training, valid).solve()
    return model


def error_mev(
    predictor: Predictor, dataset: Dataset, split: str = "valid", limit: int = 100
) -> float:
    """Mean error of a callable atoms -> BlockMatrix on the first structures of a split, meV.

    >>> from workbench.course import networks
    >>> with wb.Dataset("water") as data:
    ...     error = networks.error_mev(wb.load_model("water").stage1, data, limit=2)
    >>> error < 0.1
    True
    """
    errors = [
        matrix_errors(predictor(dataset.atoms(int(i))), dataset.reference(int(i)).H).mae_mev
        for i in dataset.split(split)[:limit]
    ]
    return float(np.mean(errors))


def _labelled(dataset: Dataset, split: str, config: ModelConfig, charges: Tensor) -> TrainingSet:
    return TrainingSet.read(dataset, dataset.split(split), config, dataset.basis, charges)
