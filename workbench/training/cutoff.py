"""The cutoff of a model: as far as the data reach, or shorter and announced with its cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from workbench.datasets.dataset import Dataset
from workbench.hamiltonians.conventions import MEV
from workbench.models.config import ModelConfig
from workbench.models.twostage import TwoStageModel
from workbench.training.training_set import TrainingSet

__all__ = ["announcement", "longest_block", "with_cutoff"]

MARGIN = 1.05
"""Cutoff in units of the longest block: predictions go to zero smoothly at the cutoff."""

OF_MOLECULES = 10.0
"""Shortest cutoff that is chosen for molecules, A; it lets a model be applied to larger ones."""


def with_cutoff(
    config: ModelConfig, dataset: Dataset, source: TwoStageModel | None = None
) -> ModelConfig:
    """The same settings, with a number (or None) in place of the cutoff "data".

    Args:
        config: settings of the model; a cutoff other than "data" is kept.
        dataset: its splits "train" and "valid", as far as it has them, are inspected.
        source: a trained model whose stage 1 is taken over; its cutoff is then taken over, too.

    >>> from workbench.training.cutoff import with_cutoff
    >>> with wb.Dataset("water") as water, wb.Dataset("mg-mini") as graphene:
    ...     [with_cutoff(wb.ModelConfig(), data).cutoff for data in (water, graphene)]  # A
    [10.0, 7.1]
    """
    if config.cutoff != "data":
        return config
    if source is not None:
        return replace(config, cutoff=source.config.cutoff)
    known = OF_MOLECULES if not dataset.periodic else 0.0
    splits = [name for name in ("train", "valid") if name in dataset.splits]
    samples = [int(i) for name in splits for i in dataset.split(name)]
    longest = longest_block(dataset, samples, known)
    if longest == known:  # small molecules, or blocks on the atoms only
        return replace(config, cutoff=OF_MOLECULES)
    return replace(config, cutoff=float(np.ceil(10 * MARGIN * longest)) / 10)


def longest_block(dataset: Dataset, samples: Iterable[int], known: float = 0.0) -> float:
    """Distance of the two atoms of the longest stored block, A.

    Of a molecule all blocks are stored; only those that are not zero count.

    Args:
        dataset: the labelled structures.
        samples: numbers of the samples to inspect.
        known: a distance in A; the result is at least this long.

    >>> from workbench.training.cutoff import longest_block
    >>> with wb.Dataset("graphene") as graphene:
    ...     longest_block(graphene, [0])
    6.52
    """
    longest = known
    for i in samples:
        atoms, pairs = dataset.atoms(i), dataset.pairs(i)
        row, column = atoms.positions[pairs.edges]
        distances = np.linalg.norm(column - row + pairs.shifts @ atoms.cell.array, axis=1)
        if not dataset.periodic and distances.max(initial=0.0) > longest:
            H = dataset.hamiltonians([i])[0]
            distances *= H.over(pairs.edges, pairs.shifts).any(axis=(1, 2))
        longest = max(longest, float(distances.max(initial=0.0)))
    return longest


def announcement(cutoff: float | None, training: TrainingSet, valid: TrainingSet) -> str | None:
    """One sentence about the blocks that a cutoff leaves out; None if there are none.

    Args:
        cutoff: of the model, A.
        training, valid: the structures, read with this cutoff.
    """
    left_out = training.left_out + valid.left_out
    if not left_out:
        return None
    stored = training.stored_blocks + valid.stored_blocks
    return (
        f"The cutoff of {cutoff:g} A leaves out {left_out:,} of {stored:,} stored blocks "
        f"({left_out / stored:.1%}); they alone make {valid.floor_ev * MEV:.3g} meV of the "
        "validation error, which no training lowers."
    )
