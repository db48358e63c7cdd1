"""The untrained model: charges of the initial guess, and means and scales of the targets."""

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
"""Largest number of structures to which the charges of a guess are fitted.

The charges are a few numbers per element, so more structures are not needed."""


def guess_charges(dataset: Dataset, indices: NDArray[np.int64], config: ModelConfig) -> Tensor:
    """The charges of the initial guess, fitted to at most ``FITTED`` of these samples.

    Args:
        dataset: of molecules.
        indices: of the samples.
        config: decides whether there is a guess.

    Returns:
        (elements, exponents) in units of the elementary charge; (elements, 0) without a guess.

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
    """A model with random weights, and with means and scales from a training set."""
    model = TwoStageModel(basis, config, Scaling())
    model = model.to(train.store.elements.device)
    if config.guess == "none":
        model.scaling = replace(
            _statistics(model, train, lambda part: part.blocks(train.blocks)), charges=charges
        )
        return model
    guesses = [
        _statistics(model, train, partial(_guessed, k=k)) for k in range(GUESSES[config.guess])
    ]
    residual = _statistics(
        model, train, lambda part: part.blocks(train.blocks) - _guessed(part, k=0)
    )
    charges = charges.to(train.store.elements)
    model.scaling = model.codec.scaler.fit_guess(residual, guesses, charges)
    return model


def _guessed(part: Selection, k: int) -> Blocks:
    """Matrix ``k`` of the guess."""
    return Blocks(part.graph.node_guess[:, k], part.graph.pair_guess[:, k])


def _statistics(
    model: TwoStageModel, train: TrainingSet, blocks: Callable[[Selection], Blocks]
) -> Scaling:
    """Means and scales of a training set's blocks, pair blocks in their edge frames."""

    def local() -> Iterator[ClassedBlocks]:
        for part in train.chunks():
            geometry, in_global = model.geometry_builder(part.graph), blocks(part)
            in_frame = Blocks(in_global.nodes, rotate_blocks(in_global.pairs, geometry.basis))
            yield ClassedBlocks(in_frame, geometry.node_class, geometry.pair_class)

    return model.codec.scaler.fit(local)
