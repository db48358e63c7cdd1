"""What does the message layer look like in textbooks? Features x harmonics, by tensor product.

Same interface and same symmetry as ``equivariant_layers.SO2Convolution``, at O(L^6) cost. It is
here for reading and comparison; no model uses it by default.
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
    a harmonic to a feature irrep is a path; a radial network scales the channels of each path.
    e3nn stores its coupling coefficients in torch's default dtype: build the layer under float64
    if errors below 1e-7 matter.
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
        """(P, K, C) update of the pair features in frame order, which is also the message."""
        to_global = pairs.frames.transpose(1, 2)
        flat = self.layout.to_irreps(nodes)
        inputs = (flat[pairs.row], flat[pairs.column], self.layout.to_irreps(to_global @ edges))
        x = sum(source(features) for source, features in zip(self.sources, inputs, strict=True))
        # The z axis of the edge frame is the pair's direction in the global frame, so the row
        # m = 0 of the frame's Wigner matrix is the harmonic Y_l(r_ij), up to its norm.
        harmonics = self.harmonics(pairs.frames)
        message = self.product(x, harmonics, self.radial(pairs.scalars))
        return pairs.frames @ self.mix(self.layout.from_irreps(message, self.channels))

    def harmonics(self, frames: Tensor) -> Tensor:
        """(P, (lmax+1)^2) harmonics of the pairs' directions, each l of norm sqrt(2l+1)."""
        harmonics, start = [], 0
        for row, degree in enumerate(d for d in self.layout.degrees if not d.pseudo):
            width = 2 * degree.l + 1
            harmonics.append(frames[:, row, start : start + width] * width**0.5)
            start += width
        return torch.cat(harmonics, dim=1)
