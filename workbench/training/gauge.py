"""Training free of gauge: errors without the shift of each structure's zero of energy.

H and H + mu S describe the same physics, and mu of a crystal depends on its whole electron density,
so a network that reads surroundings cannot learn it. Here mu of each structure is what
`workbench.evaluation.energy_zero` says, from the blocks within the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from workbench.models.blocks import Blocks
from workbench.training.batching import Selection

ALTERNATIONS = 5
"""Most further solutions of the readouts, each for the shifts that the one before leaves."""


def shifts(error: Blocks, overlap: Blocks, part: Selection) -> Tensor:
    """(B,) the shift mu of each structure, eV: the least squares of ``error - mu S``.

    Of a matrix with spin only the part of the unit matrix in spin space contains S.

    Args:
        error: prediction minus target, eV.
        overlap: of the same blocks.
        part: the structures.
    """
    products, norms = (
        _per_structure(Blocks(overlap.nodes * of.nodes, overlap.pairs * of.pairs), part)
        for of in (error, overlap)
    )
    return products / norms


def without_shift(error: Blocks, overlap: Blocks, part: Selection) -> Blocks:
    """The error less mu S of each structure; its gradient has no component along S."""
    return error - multiples(overlap, shifts(error, overlap, part), part)


def multiples(overlap: Blocks, mu: Tensor, part: Selection) -> Blocks:
    """The blocks of mu S, with mu (B,) of each structure in eV."""
    batch = part.graph.batch
    of_pairs = batch[part.graph.edge_index[0]]
    return Blocks(_times(overlap.nodes, mu[batch]), _times(overlap.pairs, mu[of_pairs]))


def alternately(
    readouts: Sequence[nn.Module],
    shifts_left: Callable[[], Sequence[Tensor]],
    solve: Callable[[Sequence[Tensor] | None], float],
) -> float:
    """Alternate between the readouts and the shifts, as long as the validation error falls.

    The first solution is that of the targets as they are: the network learns as much of their zeros
    of energy as it can. Only differences between structures are then removed from the targets.
    Their mean stays, since without it the zero of energy of the predictions would be arbitrary.

    Args:
        readouts: of the stage.
        shifts_left: returns what the present readouts leave, (B,) eV for each chunk of structures.
        solve: refits the readouts to targets with these shifts, and returns the validation error.

    Returns:
        The lowest validation error, that of the readouts.
    """
    error, lowest, states = solve(None), float("inf"), []
    for _ in range(ALTERNATIONS):
        if error >= lowest:
            break
        lowest = error
        states = [{k: t.clone() for k, t in r.state_dict().items()} for r in readouts]
        left = shifts_left()
        mean = torch.cat(list(left)).mean()
        error = solve([mu - mean for mu in left])
    if error < lowest:
        return error
    for readout, state in zip(readouts, states, strict=True):
        readout.load_state_dict(state)
    return lowest


def _times(blocks: Tensor, factors: Tensor) -> Tensor:
    return blocks * factors.to(blocks).reshape(-1, *[1] * (blocks.ndim - 1))


def _per_structure(blocks: Blocks, part: Selection) -> Tensor:
    """(B,) sum over all elements of each structure, float64."""
    batch = part.graph.batch
    nodes, pairs = (b.flatten(1).sum(1).double() for b in (blocks.nodes, blocks.pairs))
    total = torch.zeros_like(part.elements).index_add(0, batch, nodes)
    return total.index_add(0, batch[part.graph.edge_index[0]], pairs)
