"""Stage 1: an equivariant message-passing network that predicts the baseline Hamiltonian.

Equivariant under O(3) by construction, before any training. Species enter as embeddings, pairs
as invariant radial functions and directions as edge frames. Node features end in heads for
on-site blocks, pair features in heads for off-site blocks; both also feed stage 2. The principle
is the paper's (arXiv 2401.00744, after DeepH-E3); the edge-frame form is ours, see ``frames``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.graph import Graph
from workbench.irreps import BlockIrreps
from workbench.models.config import ModelConfig
from workbench.models.frames import (
    Constant,
    Degree,
    EdgeFrames,
    Layout,
    basis_frames,
    feature_frames,
)
from workbench.models.layers import (
    InvariantGate,
    NodeMix,
    Norm,
    O2Linear,
    Pairs,
    RadialBasis,
    SO2Convolution,
    both_parts,
    envelope,
    frame_both,
)


@dataclass(frozen=True)
class Geometry:
    """A graph's directions and distances, computed once in float64 for every use.

    Attributes:
        harmonic: (P, (lmax+1)^2, (lmax+1)^2) Wigner matrices that turn each pair onto z.
        basis: (P, M, M) the same for the padded frame of the basis.
        distance: (P,) A.
        envelope: (P, 1) smooth cutoff.
        node_class: (N,) species index.
        pair_class: (P,) index of the ordered pair of species.
    """

    harmonic: Tensor
    basis: Tensor
    distance: Tensor
    envelope: Tensor
    node_class: Tensor
    pair_class: Tensor


class GeometryBuilder(nn.Module):
    """Builds the ``Geometry`` of a graph for one basis."""

    def __init__(self, irreps: BlockIrreps, config: ModelConfig) -> None:
        super().__init__()
        basis = irreps.basis
        self.cutoff = config.cutoff
        lmax = max(config.lmax, *basis.layout)
        self.frames = EdgeFrames(lmax)
        self.to_basis = basis_frames(basis.layout, lmax)
        species = np.full(max(basis.elements) + 1, -1)
        species[list(basis.elements)] = np.arange(len(basis.elements))
        self.species = Constant(species.astype(np.intp))
        self.n_species = len(basis.elements)

    def forward(self, graph: Graph) -> Geometry:
        """All of it in float64."""
        harmonic = self.frames(graph.edge_vec)
        distance = graph.edge_vec.norm(dim=1)
        node_class = self.species(distance)[graph.z]
        row, column = node_class[graph.edge_index]
        return Geometry(
            harmonic=harmonic,
            basis=self.to_basis(harmonic),
            distance=distance,
            envelope=envelope(distance, self.cutoff)[:, None],
            node_class=node_class,
            pair_class=row * self.n_species + column,
        )


class BaselineOutput(NamedTuple):
    """What stage 1 hands on; a tuple, so that Fabric can look into it.

    Attributes:
        radial: (P, radial) whitened radial functions of each pair.
        nodes: (N, K, C) equivariant node features.
        edges: (P, K, C) equivariant pair features, turned back to the global frame.
        node_coefficients: (N, M*M) irrep coefficients of on-site blocks, in units of their scale.
        pair_coefficients: (P, M*M) those of pair blocks in the edge frame and frame order.
    """

    radial: Tensor
    nodes: Tensor
    edges: Tensor
    node_coefficients: Tensor
    pair_coefficients: Tensor


class Baseline(nn.Module):
    """Stage 1."""

    def __init__(
        self,
        irreps: BlockIrreps,
        config: ModelConfig,
        convolution: type[nn.Module] = SO2Convolution,
    ) -> None:
        """The network for one basis.

        Args:
            irreps: of the basis's blocks.
            config: sizes.
            convolution: the message layer; ``TensorProductConvolution`` is its readable twin.
        """
        super().__init__()
        basis, c = irreps.basis, config.channels
        n_species, context = len(basis.elements), 2 * config.channels
        self.layout = Layout.up_to(config.lmax, config.pseudo_lmax)
        lmax = max(config.lmax, *basis.layout)
        self.frames = feature_frames(self.layout, lmax)
        self.radial = RadialBasis(config.radial, n_species**2)
        self.species = nn.Embedding(n_species, c)
        self.pair_species = nn.Embedding(n_species * n_species, context)
        self.scalars = nn.Sequential(
            nn.Linear(config.radial, context), nn.SiLU(), nn.Linear(context, context)
        )
        self.first = nn.Linear(context, self.layout.orders(c)[0])
        self.convolutions = nn.ModuleList(
            convolution(self.layout, c, context) for _ in range(config.layers)
        )
        self.mixes = nn.ModuleList(NodeMix(self.layout, c, c) for _ in range(config.layers))
        self.node_norms = nn.ModuleList(Norm(self.layout, c) for _ in range(2 * config.layers))
        self.edge_norms = nn.ModuleList(
            Norm(self.layout, c, framed=True) for _ in range(config.layers)
        )
        self.node_head = NodeHead(self.layout, irreps, c, n_species)
        self.pair_head = PairHead(self.layout, irreps, c, context, n_species)

    def forward(self, graph: Graph, geometry: Geometry) -> BaselineOutput:
        """Features and coefficients, in the type of the weights."""
        like = self.species.weight
        row, column = graph.edge_index
        radial = self.radial(geometry.distance, geometry.pair_class).to(like)
        scalars = functional.silu(self.scalars(radial) + self.pair_species(geometry.pair_class))
        frames = self.frames(geometry.harmonic.to(like))
        pairs = Pairs(row, column, frames, scalars, geometry.envelope.to(like))
        nodes = self._first_nodes(geometry)
        edges = functional.pad(self.first(scalars), (0, self.layout.dim * nodes.shape[2]))
        edges = edges[:, : self.layout.dim * nodes.shape[2]].unflatten(1, (self.layout.dim, -1))
        norms = iter(self.node_norms)
        for convolution, mix, edge_norm in zip(
            self.convolutions, self.mixes, self.edge_norms, strict=True
        ):
            message, update = convolution(next(norms)(nodes), edge_norm(edges), pairs)
            nodes, edges = nodes + message, edges + update
            nodes = nodes + mix(next(norms)(nodes))
        return BaselineOutput(
            radial,
            nodes,
            torch.bmm(frames.transpose(1, 2), edges),
            self.node_head(nodes, geometry.node_class),
            self.pair_head(nodes, edges, pairs, geometry.pair_class),
        )

    def _first_nodes(self, geometry: Geometry) -> Tensor:
        """(N, K, C): the species in l = 0, nothing in any direction."""
        scalars = self.species(geometry.node_class)[:, None]
        return functional.pad(scalars, (0, 0, 0, self.layout.dim - 1))


class NodeHead(nn.Module):
    """Node features to the irrep coefficients of on-site blocks, weighed per species."""

    def __init__(self, layout: Layout, irreps: BlockIrreps, channels: int, n_species: int) -> None:
        super().__init__()
        index = {d: k for k, d in enumerate(layout.degrees)}
        starts = np.cumsum([0, *(2 * d.l + 1 for d in layout.degrees)]).tolist()
        counts = np.zeros(len(layout.degrees) + 1, dtype=int)
        degrees, copies = [], []
        for p in irreps.paths:
            degrees.append(index.get(Degree(p.l, p.pseudo), len(layout.degrees)))
            copies.append(int(counts[degrees[-1]]))
            counts[degrees[-1]] += 1
        width = int(counts[:-1].max())
        where = [
            np.arange(starts[d], starts[d] + 2 * p.l + 1) * width + k
            if d < len(layout.degrees)
            else np.full(2 * p.l + 1, layout.dim * width)  # a zero: no feature reaches this irrep
            for p, d, k in zip(irreps.paths, degrees, copies, strict=True)
        ]
        self.where = Constant(np.concatenate(where).astype(np.intp))
        self.norm = Norm(layout, channels)
        self.species = nn.Embedding(n_species, len(layout.degrees) * channels)
        nn.init.ones_(self.species.weight)
        self.degree_of = Constant(layout.degree_of)
        self.mix = NodeMix(layout, channels, width)
        self.channels = channels

    def forward(self, nodes: Tensor, node_class: Tensor) -> Tensor:
        """(N, K, C) -> (N, M*M)."""
        weight = self.species(node_class).unflatten(1, (-1, self.channels))
        x = self.norm(nodes) * weight.index_select(1, self.degree_of(nodes))
        flat = functional.pad(self.mix(x).flatten(1), (0, 1))
        return flat.index_select(1, self.where(nodes))


class PairHead(nn.Module):
    """Pair and node features, in the pair's frame, to the coefficients of the pair's block."""

    def __init__(
        self, layout: Layout, irreps: BlockIrreps, channels: int, context: int, n_species: int
    ) -> None:
        super().__init__()
        hidden = layout.orders(2 * channels)
        outer = block_layout(irreps)
        self.node_norm = Norm(layout, channels)
        self.edge_norm = Norm(layout, channels, framed=True)
        self.inner = O2Linear(layout.orders(3 * channels), hidden)
        self.gate = InvariantGate(hidden, context)
        self.species = nn.Embedding(n_species * n_species, sum(hidden))
        nn.init.ones_(self.species.weight)
        self.spread = Constant(both_parts(hidden))
        self.outer = O2Linear(hidden, outer.orders(1))

    def forward(self, nodes: Tensor, edges: Tensor, pairs: Pairs, pair_class: Tensor) -> Tensor:
        """(N, K, C), (P, K, C) -> (P, M*M) in frame order."""
        both = frame_both(self.node_norm(nodes), pairs)
        x = torch.cat([both, self.edge_norm(edges)], dim=2).flatten(1)
        hidden = self.gate(self.inner(x), pairs.scalars)
        weight = self.species(pair_class).index_select(1, self.spread(nodes))
        return self.outer(hidden * weight)


def block_layout(irreps: BlockIrreps) -> Layout:
    """A block's irrep coefficients as a layout of one channel, so that they have a frame order."""
    return Layout(tuple(Degree(p.l, p.pseudo) for p in irreps.paths))
