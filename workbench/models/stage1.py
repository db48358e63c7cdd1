"""How does stage 1 predict the baseline Hamiltonian? By equivariant message passing.

Stage 1 is equivariant under O(3) by construction, before any training: ``H(R r) = D H(r) D^T``.
Species enter as embeddings, distances as invariant radial functions, directions as edge frames. One
layer, with the smooth cutoff ``f`` and the edge frame ``D`` of each pair:

    u_ij = SO2Convolution(x_i, x_j, e_ij),    e_ij <- e_ij + u_ij,
    x_i <- x_i + sum_j f(r_ij) D_ij^T u_ij,   x_i <- x_i + NodeMix(x_i).

Heads read on-site blocks from node features and pair blocks from pair features; both features also
feed stage 2. The principle is the paper's (arXiv 2401.00744, after DeepH-E3); the form in edge
frames is ours, see ``edge_frames``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.config import GUESSES, ModelConfig
from workbench.models.edge_frames import Layout, feature_frames, highest_l
from workbench.models.equivariant_layers import (
    NodeMix,
    Norm,
    Pairs,
    RadialBasis,
    SO2Convolution,
)
from workbench.models.geometry import Geometry
from workbench.models.graph import Graph
from workbench.models.guess_embedding import NodeGuess, PairGuess
from workbench.models.readouts import NodeHead, PairHead


class Stage1Features(NamedTuple):
    """The features of stage 1, before its readouts.

    Attributes:
        radial: (P, radial) radial functions of each pair.
        nodes: (N, K, C) equivariant node features.
        framed_edges: (P, K, C) equivariant pair features in edge frames, frame order.
        frames: (P, K, K) Wigner matrices global frame -> edge frame, rows in frame order.
        node_readout_features: input of the readout of on-site blocks, see ``readouts``.
        pair_readout_features: input of the readout of pair blocks.
    """

    radial: Tensor
    nodes: Tensor
    framed_edges: Tensor
    frames: Tensor
    node_readout_features: list[Tensor]
    pair_readout_features: list[Tensor]

    @property
    def edges(self) -> Tensor:
        """(P, K, C) pair features, rotated back to the global frame."""
        return torch.bmm(self.frames.transpose(1, 2), self.framed_edges)


class Stage1Output(NamedTuple):
    """The output of stage 1; a tuple, so that Fabric finds the tensors in it.

    Attributes:
        features: input of the readouts and of stage 2.
        node_coefficients: (N, F) irrep coefficients of on-site blocks, in units of their scale.
        pair_coefficients: (P, F) the same for pair blocks, edge frame, frame order.
    """

    features: Stage1Features
    node_coefficients: Tensor
    pair_coefficients: Tensor


class Stage1(nn.Module):
    """Stage 1: embeddings, message-passing layers and two output heads."""

    def __init__(
        self,
        irreps: BlockIrreps,
        config: ModelConfig,
        convolution: type[nn.Module] = SO2Convolution,
    ) -> None:
        """The network for one basis.

        Args:
            irreps: irreps of the blocks of the basis.
            config: sizes.
            convolution: the message layer; ``TensorProductConvolution`` is the textbook form.
        """
        super().__init__()
        basis, c = irreps.basis, config.channels
        n_species, context = len(basis.elements), 2 * config.channels
        self.layout = Layout.of(config, basis)
        self.frames = feature_frames(self.layout, highest_l(config, irreps))
        self.radial = RadialBasis(config.radial)
        self.species = nn.Embedding(n_species, c)
        self.pair_species = nn.Embedding(n_species * n_species, context)
        self.scalars = nn.Sequential(
            nn.Linear(config.radial, context), nn.SiLU(), nn.Linear(context, context)
        )
        self.first = nn.Linear(context, self.layout.orders(c)[0])
        self.reads_guess = config.guess != "none"
        if self.reads_guess:
            count = GUESSES[config.guess]
            self.node_guess = NodeGuess(self.layout, irreps, count, c, n_species)
            self.pair_guess = PairGuess(self.layout, irreps, count, c, n_species)
        self.convolutions = nn.ModuleList(
            convolution(self.layout, c, context) for _ in range(config.layers)
        )
        self.mixes = nn.ModuleList(NodeMix(self.layout, c) for _ in range(config.layers))
        self.node_norms = nn.ModuleList(Norm(self.layout, c) for _ in range(2 * config.layers))
        self.edge_norms = nn.ModuleList(
            Norm(self.layout, c, framed=True) for _ in range(config.layers)
        )
        self.node_head = NodeHead(self.layout, irreps, c, config.readout, n_species)
        self.pair_head = PairHead(self.layout, irreps, c, config.pair_readout, context, n_species)

    def forward(self, graph: Graph, geometry: Geometry) -> Stage1Output:
        """Features and coefficients, in the dtype of the weights."""
        return self.read(self.features(graph, geometry), geometry)

    def read(self, features: Stage1Features, geometry: Geometry) -> Stage1Output:
        """The readouts of given features."""
        return Stage1Output(
            features,
            self.node_head(features.node_readout_features, geometry.node_class),
            self.pair_head(features.pair_readout_features, geometry.pair_class),
        )

    def features(self, graph: Graph, geometry: Geometry) -> Stage1Features:
        """All layers, without the readouts."""
        radial, pairs = self.pairs(graph, geometry)
        nodes, edges = self.first_nodes(geometry), self.first_edges(geometry, pairs.scalars)
        for k in range(len(self.convolutions)):
            update = self.edge_update(k, self.normalised(k, nodes), edges, pairs)
            messages = self.messages(update, pairs).to(nodes)  # mixed precision: 16 bits
            nodes = self.node_update(k, nodes.index_add(0, pairs.row, messages))
            edges = edges + update
        return Stage1Features(
            radial,
            nodes,
            edges,
            pairs.frames,
            self.node_head.readout_features(nodes, geometry.node_class),
            self.pair_head.readout_features(
                self.pair_head.normalised(nodes), edges, pairs, geometry.pair_class
            ),
        )

    def pairs(self, graph: Graph, geometry: Geometry) -> tuple[Tensor, Pairs]:
        """Radial functions (P, radial), and the quantities of the pairs that all layers share."""
        like, (row, column) = self.species.weight, graph.edge_index
        radial = self.radial(geometry.distance).to(like)
        scalars = functional.silu(self.scalars(radial) + self.pair_species(geometry.pair_class))
        frames = self.frames(geometry.harmonic.to(like))
        return radial, Pairs(row, column, frames, scalars, geometry.envelope.to(like))

    def normalised(self, layer: int, nodes: Tensor) -> Tensor:
        """(N, K, C) normalised node features, which the pairs read in a layer."""
        return self.node_norms[2 * layer](nodes)

    def edge_update(self, layer: int, normalised: Tensor, edges: Tensor, pairs: Pairs) -> Tensor:
        """(P, K, C) update of the pair features, frame order."""
        return self.convolutions[layer](normalised, self.edge_norms[layer](edges), pairs)

    def messages(self, update: Tensor, pairs: Pairs) -> Tensor:
        """(P, K, C) messages ``f D^T u`` to the row atoms, global frame; atoms sum them."""
        return torch.bmm(pairs.frames.transpose(1, 2), update * pairs.envelope[:, :, None])

    def node_update(self, layer: int, nodes: Tensor) -> Tensor:
        """(N, K, C) node features plus self-interaction, after the messages were added."""
        return nodes + self.mixes[layer](self.node_norms[2 * layer + 1](nodes))

    def first_nodes(self, geometry: Geometry) -> Tensor:
        """(N, K, C) embedding of the species in l = 0, plus the embedding of the guess."""
        scalars = self.species(geometry.node_class)[:, None]
        nodes = functional.pad(scalars, (0, 0, 0, self.layout.dim - 1))
        if geometry.guess is not None:
            nodes = nodes + self.node_guess(geometry.guess[0], geometry.node_class)
        return nodes

    def first_edges(self, geometry: Geometry, scalars: Tensor) -> Tensor:
        """(P, K, C) in frame order: invariants of the pair, plus the embedding of the guess."""
        size = self.layout.dim * self.species.embedding_dim
        first = self.first(scalars)
        edges = functional.pad(first, (0, size - first.shape[1]))
        if geometry.guess is not None:
            guess = self.pair_guess(geometry.guess[1], geometry.pair_class)
            edges = edges + guess * geometry.envelope.to(guess)
        return edges.unflatten(1, (self.layout.dim, -1))
