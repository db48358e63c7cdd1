"""The model before any gradient step: charges of the initial guess, and scales of the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.datasets.dataset import Dataset
from workbench.hamiltonians.basis import Basis
from workbench.models.blocks import Blocks
from workbench.models.config import GUESSES, ModelConfig
from workbench.models.scaling import ClassedBlocks, Scaling
from workbench.models.tensor_rotations import rotate_blocks
from workbench.models.twostage import TwoStageModel
from workbench.training.batching import Selection
from workbench.training.training_set import TrainingSet

FITTED = 200
"""Structures from which the charges of a guess are fitted: a few numbers per element."""


def guess_charges(dataset: Dataset, indices: NDArray[np.int64], config: ModelConfig) -> Tensor:
    """(elements, exponents) charges of the guess, fitted to at most ``FITTED`` of these samples.

    Raises:
        ValueError: if PySCF does not know the basis, or the samples are crystals.
    """
    if config.guess == "none":
        return torch.zeros(len(dataset.basis.elements), 0, dtype=torch.float64)
    if dataset.periodic:
        raise ValueError(
            f"{dataset.path} holds crystals, and a guess is for molecules: set guess='none'."
        )
    from workbench.engines.initial_guess import fit  # PySCF takes a second to import

    some = [int(i) for i in indices[:: -(-len(indices) // FITTED)]]
    samples = ((dataset.atoms(i), dataset.hamiltonians([i])[0]) for i in some)
    return torch.from_numpy(fit(samples, dataset.basis))


def untrained(
    basis: Basis, config: ModelConfig, train: TrainingSet, charges: Tensor
) -> TwoStageModel:
    """A model with fresh weights, scaled to a training set."""
    model = TwoStageModel(basis, config, Scaling())
    model = model.to(train.store.elements.device)
    if config.guess == "none":
        model.scaling = replace(
            _statistics(model, train, lambda part: part.blocks(train.blocks)), charges=charges
        )
        return model
    of_guesses = [
        _statistics(model, train, partial(_guessed, k=k)) for k in range(GUESSES[config.guess])
    ]
    of_rest = _statistics(
        model, train, lambda part: part.blocks(train.blocks) - _guessed(part, k=0)
    )
    charges = charges.to(train.blocks.nodes)
    model.scaling = model.codec.scaler.fit_guess(of_rest, of_guesses, charges)
    return model


def _guessed(part: Selection, k: int) -> Blocks:
    """Matrix ``k`` of the guess."""
    return Blocks(part.graph.node_guess[:, k], part.graph.pair_guess[:, k])


def _statistics(
    model: TwoStageModel, train: TrainingSet, blocks: Callable[[Selection], Blocks]
) -> Scaling:
    """Means and scales of blocks of a training set, each pair's in its edge frame."""

    def local() -> Iterator[ClassedBlocks]:
        for part in train.chunks():
            geometry, own = model.geometry_builder(part.graph), blocks(part)
            own = Blocks(own.nodes, rotate_blocks(own.pairs, geometry.basis))
            yield ClassedBlocks(own, geometry.node_class, geometry.pair_class)

    return model.codec.scaler.fit(local)
