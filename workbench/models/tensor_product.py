"""The textbook message layer: features times harmonics of the pair, by e3nn's tensor product.

Same interface and same symmetry as ``layers.SO2Convolution``, at O(L^6) cost. It is here to be
read and compared; nothing is trained with it by default.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from e3nn import o3
from torch import Tensor, nn

from workbench.models.edge_frames import Layout
from workbench.models.equivariant_layers import NodeMix, Pairs


class TensorProductConvolution(nn.Module):
    """Message = [v_i + v_j + e_ij] x Y(r_ij) with weights from the pair's invariants.

    As in NequIP (Batzner et al. 2022, eq. 6) and DeepH-E3: every coupling of a feature irrep with
    a harmonic to a feature irrep is a path; each path's channels are scaled by a radial network.
    e3nn keeps its coupling coefficients in torch's default type: build it under float64 where
    more than 1e-7 is wanted.
    """

    def __init__(self, layout: Layout, channels: int, context: int) -> None:
        super().__init__()
        self.layout, self.channels = layout, channels
        features = layout.irreps(channels)
        self.sources = nn.ModuleList(o3.Linear(features, features, biases=False) for _ in range(3))
        harmonics = o3.Irreps.spherical_harmonics(layout.lmax)
        paths = [
            (i, j, k, "uvu", True)
            for i, (_, a) in enumerate(features)
            for j, (_, b) in enumerate(harmonics)
            for k, (_, c) in enumerate(features)
            if c in a * b
        ]
        self.product = o3.TensorProduct(
            features, harmonics, features, paths, shared_weights=False, internal_weights=False
        )
        self.radial = nn.Linear(context, int(cast("Any", self.product.weight_numel)))
        self.mix = NodeMix(layout, channels)

    def forward(self, nodes: Tensor, edges: Tensor, pairs: Pairs) -> Tensor:
        """The pairs' update (P, K, C) in frame order, which is also their message."""
        back = pairs.frames.transpose(1, 2)
        flat = self.layout.to_irreps(nodes)
        both = (flat[pairs.row], flat[pairs.column], self.layout.to_irreps(back @ edges))
        x = sum(source(part) for source, part in zip(self.sources, both, strict=True))
        # The z axis of a pair's frame, seen from outside, is the pair's direction: a harmonic's
        # m = 0 row of the frame matrix is the harmonic itself, up to its norm.
        harmonics = self.harmonics(pairs.frames)
        message = self.product(x, harmonics, self.radial(pairs.scalars))
        return pairs.frames @ self.mix(self.layout.from_irreps(message, self.channels))

    def harmonics(self, frames: Tensor) -> Tensor:
        """(P, (lmax+1)^2) harmonics of the pairs' directions, each l of norm sqrt(2l+1)."""
        parts, at = [], 0
        for row, degree in enumerate(d for d in self.layout.degrees if not d.pseudo):
            width = 2 * degree.l + 1
            parts.append(frames[:, row, at : at + width] * width**0.5)
            at += width
        return torch.cat(parts, dim=1)
