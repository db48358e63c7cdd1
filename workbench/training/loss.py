"""The loss, and means of it over structures and datasets."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.hamiltonians.spin_parts import FACTORS
from workbench.models.blocks import Blocks
from workbench.training.batching import Selection
from workbench.training.training_set import TrainingSet


def matrix_mae(error: Blocks, part: Selection) -> Tensor:
    """Mean modulus of the error over the existing elements of a batch, eV.

    The elements are those of `evaluate`: all that are stored or predicted. Stored blocks beyond the
    cutoff are predicted as zero. Padding needs no mask, since prediction and target are both zero
    there.

    Args:
        error: prediction minus target.
        part: the structures of the batch.
    """
    total = _sum_of_moduli(error)
    return (total + part.beyond_ev.sum().to(total)) / part.elements.sum().to(total)


def _sum_of_moduli(blocks: Blocks) -> Tensor:
    return moduli(blocks.nodes).sum() + moduli(blocks.pairs).sum()


def moduli(blocks: Tensor) -> Tensor:
    """Moduli of the elements of blocks; with spin, summed over the four pairs of spins.

    Args:
        blocks: real (items, M, M), or in spin parts (items, Q, M, M).

    Returns:
        (items, M, M).
    """
    if blocks.ndim == 3:
        return blocks.abs()
    factors = torch.as_tensor(FACTORS[: blocks.shape[1]], device=blocks.device).flatten(1)
    parts = torch.view_as_real(factors).flatten(1).to(blocks)  # (Q, 8)
    elements = (blocks.movedim(1, -1) @ parts).unflatten(-1, (4, 2))
    # The modulus of complex numbers is 10x faster than a norm over real and imaginary part, and its
    # gradient at zero is zero.
    return torch.view_as_complex(elements).abs().sum(-1)


def mean_modulus(blocks: Blocks, split: TrainingSet) -> float:
    """Mean modulus of blocks within the cutoff over all existing elements of a split, eV."""
    total = sum(float(_sum_of_moduli(part.blocks(blocks))) for part in split.chunks())
    return total / float(split.store.elements.sum())


def per_structure(error: Blocks, part: Selection) -> Tensor:
    """(B,) mean modulus of the error of each structure, eV, over the elements of `matrix_mae`."""
    batch = part.graph.batch
    nodes, pairs = (moduli(e).sum((1, 2)).double() for e in (error.nodes, error.pairs))
    total = part.beyond_ev.index_add(0, batch, nodes)
    return total.index_add(0, batch[part.graph.edge_index[0]], pairs) / part.elements
