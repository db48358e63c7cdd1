"""What stage 2 reads: stage 1's features and blocks, one row per atom or per pair."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from workbench.models.tensor_rotations import BlockTurn, Mirror, Turns, turn


@dataclass(frozen=True)
class Tokens:
    """What stage 2 reads. In the global frame all of it turns with the structure.

    Attributes:
        nodes: (N, K, C) stage 1's node features.
        edges: (P, K, C) stage 1's pair features, in the global frame.
        node_blocks: (N, B, [Q,] M, M) on-site blocks that it reads, each in units of its scale:
            the baseline's correction, if stage 2 corrects that, and the matrices of the guess.
        pair_blocks: (P, B, [Q,] M, M) the same of pairs.
        direction: (P, 3) unit vectors.
        radial: (P, radial) stage 1's radial functions.
        envelope: (P, 1) smooth cutoff.
        row: (P,) atom i.
        column: (P,) atom j.
        node_class: (N,) species index.
        pair_class: (P,) index of the ordered pair of species.
        node_back: N turns from local axes back to the global frame; None in the global frame.
        pair_back: P turns, the same of pairs.
        node_trust: (N,) how far an atom's own axes can be trusted; None in the global frame.
        pair_trust: (P,) the same of pairs.
    """

    nodes: Tensor
    edges: Tensor
    node_blocks: Tensor
    pair_blocks: Tensor
    direction: Tensor
    radial: Tensor
    envelope: Tensor
    row: Tensor
    column: Tensor
    node_class: Tensor
    pair_class: Tensor
    node_back: BlockTurn | None = None
    pair_back: BlockTurn | None = None
    node_trust: Tensor | None = None
    pair_trust: Tensor | None = None

    def turned(self, turns: Turns, batch: Tensor) -> Tokens:
        """The tokens of the turned structures, without running stage 1 again.

        Args:
            turns: one rotation per structure.
            batch: (N,) structure of each atom.
        """
        pair = batch[self.row]
        return replace(
            self,
            nodes=turns.features[batch] @ self.nodes,
            edges=turns.features[pair] @ self.edges,
            node_blocks=turn(self.node_blocks, turns.blocks[batch]),
            pair_blocks=turn(self.pair_blocks, turns.blocks[pair]),
            direction=torch.einsum("pab,pb->pa", turns.matrix[pair], self.direction),
        )

    def mirrored(self, mirror: Mirror, where: Tensor) -> Tokens:
        """Tokens in local axes as inverted structures have them, to correct the structures still.

        Args:
            mirror: of the local axes.
            where: (N,) whether an atom's structure is inverted.
        """
        return self.mirrored_atoms(mirror, where).mirrored_pairs(mirror, where[self.row])

    def mirrored_atoms(self, mirror: Mirror, where: Tensor) -> Tokens:
        """The same of atoms alone."""
        assert self.node_back is not None
        return replace(
            self,
            nodes=mirror.of_features(self.nodes, where),
            node_blocks=mirror.of_blocks(self.node_blocks, where),
            node_back=mirror.after(self.node_back.inverse, where).inverse,
        )

    def mirrored_pairs(self, mirror: Mirror, where: Tensor) -> Tokens:
        """The same of pairs alone, where (P,) says so."""
        assert self.pair_back is not None
        return replace(
            self,
            edges=mirror.of_features(self.edges, where),
            pair_blocks=mirror.of_blocks(self.pair_blocks, where),
            pair_back=mirror.after(self.pair_back.inverse, where).inverse,
        )
