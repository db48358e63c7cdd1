"""Local frames: axes that turn with the structure, in which any network is equivariant.

An alternative to stage 2's global frame, for comparison: exactly equivariant under rotations, but
nothing is left to learn from turned data, and where atoms are collinear the axes are not defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workbench.irreps import BlockIrreps
from workbench.models.frames import EdgeFrames, basis_frames
from workbench.models.turns import BlockFrames, BlockTurn

_TINY = 1e-9


class LocalFrames(nn.Module):
    """Wigner matrices from the global frame into axes spanned by two vectors."""

    def __init__(self, features: Sequence[int], irreps: BlockIrreps) -> None:
        """For features of these l, and the irreps of the blocks."""
        super().__init__()
        lmax = max(*features, *irreps.basis.layout, *irreps.spins)
        self.frames = EdgeFrames(lmax)
        self.to_features = basis_frames(features, lmax)
        self.to_basis = BlockFrames(irreps, lmax)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, BlockTurn]:
        """Matrices of the turn that brings ``first`` onto z and ``second`` into the xz plane.

        Args:
            first: (items, 3) vectors along x, y, z; float64.
            second: (items, 3), not parallel to ``first``.

        Returns:
            (items, K, K) for features, and what turns blocks, float64.
        """
        onto_z = self.frames(first)
        turned = (onto_z[:, 1:4, 1:4] @ second[:, [1, 2, 0], None])[:, :, 0]  # y, z, x
        angle = torch.atan2(turned[:, 0], turned[:, 2])[:, None] * self.frames.m(first)
        flipped = onto_z[:, self.frames.flip(first)]
        harmonic = onto_z * angle.cos()[..., None] + flipped * angle.sin()[..., None]
        return self.to_features(harmonic), self.to_basis(harmonic)

    def of_atoms(self, nodes: Tensor) -> tuple[Tensor, BlockTurn]:
        """The same of each atom, in axes spanned by its features (N, K, C)."""
        return self(*_node_axes(nodes))

    def of_pairs(
        self, nodes: Tensor, vectors: Tensor, row: Tensor, column: Tensor
    ) -> tuple[Tensor, BlockTurn]:
        """The same of each pair, along its vector (P, 3) and across it by both atoms' features."""
        first, second = _node_axes(nodes)
        across = (first + second)[row] + (first - second)[column]
        return self(vectors, across)


def _node_axes(nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Two vectors (N, 3) of each atom, from stage 1's polar vectors (N, K, C): y, z, x at 1 to 3.

    The two halves of the channels are summed. A lone atom has no vectors: any axes will do there.
    """
    vectors = nodes[:, [3, 1, 2]].double()
    half = vectors.shape[2] // 2
    first, second = vectors[:, :, :half].sum(2), vectors[:, :, half:].sum(2)
    ahead = first.new_tensor([0.0, 0.0, _TINY]).expand_as(first)
    return first + ahead, second + ahead.roll(1, dims=1)
