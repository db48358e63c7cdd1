"""How is stage 2's equivariance error reduced? By averaging its correction over rotated inputs.

With ``g`` the correction as a function of the structure ``r``, the average over rotations ``R_k``
is ``1/n sum_k D_k^T g(R_k r) D_k``. Over all rotations it would be exactly equivariant.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.hamiltonians.rotations import random_rotations
from workbench.models.blocks import Blocks
from workbench.models.graph import Graph
from workbench.models.network import TwoStageNetwork
from workbench.models.tensor_rotations import rotate_blocks
from workbench.models.tokens import Tokens


def averaged(network: TwoStageNetwork, tokens: Tokens, graph: Graph, symmetrise: int = 1) -> Blocks:
    """Stage 2's correction, eV, hermitian, averaged over orientations or over inversion.

    In local frames stage 2 is equivariant under rotations already: then ``symmetrise`` has no
    effect, and the average is over inversion if ``refiner_mirrors`` says so.

    Args:
        network: both stages.
        tokens: tokens of the structures.
        graph: graph of the structures.
        symmetrise: in the global frame, the number of orientations to average over.
    """
    total = _correction(network, tokens, graph)
    if network.averages_inversion:
        everywhere = torch.ones_like(tokens.node_class, dtype=torch.bool)
        inverted = tokens.reflected(network.local.reflection, everywhere)
        return _mean(total + _correction(network, inverted, graph), 2)
    if network.is_local or symmetrise == 1:
        return total
    for matrix in random_rotations(symmetrise - 1, (11,)):
        structures = int(graph.batch[-1]) + 1
        rotations = network.rotations(np.repeat(matrix[None], structures, axis=0), tokens.nodes)
        correction = _correction(network, tokens.rotated(rotations, graph.batch), graph)
        back = rotations.blocks[:1].inverse
        total = total + Blocks(
            rotate_blocks(correction.nodes, back), rotate_blocks(correction.pairs, back)
        )
    return _mean(total, symmetrise)


def _correction(network: TwoStageNetwork, tokens: Tokens, graph: Graph) -> Blocks:
    out: tuple[Tensor, Tensor] = network.refiner(tokens)
    return network.codec.stage2_blocks(out, tokens, graph.reverse)


def _mean(total: Blocks, count: int) -> Blocks:
    return Blocks(total.nodes / count, total.pairs / count)
