"""Stage 2's correction of a structure, averaged over what the same structure may look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workbench.hamiltonians.rotations import random_rotations
from workbench.models.blocks import Blocks
from workbench.models.graph import Graph
from workbench.models.tensor_rotations import rotate_blocks
from workbench.models.tokens import Tokens

if TYPE_CHECKING:
    from workbench.models.twostage import TwoStageModel


def averaged(model: TwoStageModel, tokens: Tokens, graph: Graph, symmetrise: int = 1) -> Blocks:
    """Stage 2's correction to the baseline, eV, hermitian.

    Args:
        model: in local axes it takes the mean over both images, if it was made to.
        tokens: of the structures.
        graph: of the structures.
        symmetrise: in the global frame, how many orientations to average over.
    """
    total = _correction(model, tokens, graph)
    if model.averages_inversion:
        everywhere = torch.ones_like(tokens.node_class, dtype=torch.bool)
        other = _correction(model, tokens.reflected(model.local.reflection, everywhere), graph)
        return _mean(total + other, 2)
    if model.is_local or symmetrise == 1:
        return total
    for matrix in random_rotations(symmetrise - 1, (11,)):
        structures = int(graph.batch[-1]) + 1
        turns = model.turns(np.repeat(matrix[None], structures, axis=0), tokens.nodes)
        found = _correction(model, tokens.turned(turns, graph.batch), graph)
        back = turns.blocks[:1].inverse
        total = total + Blocks(rotate_blocks(found.nodes, back), rotate_blocks(found.pairs, back))
    return _mean(total, symmetrise)


def _correction(model: TwoStageModel, tokens: Tokens, graph: Graph) -> Blocks:
    out: tuple[Tensor, Tensor] = model.refiner(tokens)
    return model.correction_blocks(out, tokens, graph.reverse)


def _mean(total: Blocks, count: int) -> Blocks:
    return Blocks(total.nodes / count, total.pairs / count)
