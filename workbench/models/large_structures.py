"""How is a structure predicted whose pair features exceed the memory? Chunk by chunk.

A structure has about a hundred times more pairs than atoms, and the features of its pairs need far
more memory than its matrix. Stage 1's node features are kept after each layer; its pair features
are recomputed, chunk by chunk, whenever a layer needs them. Stage 2's tokens are much smaller and
are kept. Their part from features is computed together with stage 1's last pair features; their
part from blocks is added when all blocks are known. Time and memory are linear in the number of
atoms, since no chunk works on all atoms; most of the memory is the Hamiltonian itself.

Only the order of the operations differs from a prediction of the whole structure: the layers are
those of ``stage1`` and ``stage2``, blocks come from ``block_codec``, local frames and inversion
from ``network`` and ``tokens``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench.models.block_codec import ToGlobal, atom_frames
from workbench.models.blocks import Blocks, hermitian_mean, make_hermitian
from workbench.models.equivariant_layers import Pairs
from workbench.models.geometry import Geometry
from workbench.models.graph import Graph
from workbench.models.local_frames import to_local
from workbench.models.network import TwoStageNetwork
from workbench.models.tensor_rotations import BlockRotation
from workbench.models.tokens import Tokens

PAIRS_AT_ONCE = 400
"""Pairs per chunk. Their features then fit the processor's cache, and the process keeps their
memory: from 500 pairs on (10 MB a tensor) the system reclaims the memory after each step, which
costs a tenth of the time or more."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive atoms and all pairs whose first atom is one of them.

    Attributes:
        atoms: indices of the atoms.
        pairs: indices of the pairs.
        graph: a graph with every atom of the structure and these pairs only.
    """

    atoms: range
    pairs: slice
    graph: Graph


def chunks(graph: Graph, at_once: int) -> list[Chunk]:
    """Divide a structure into chunks of about ``at_once`` pairs; pairs are sorted by first atom."""
    row, n = graph.edge_index[0].contiguous(), graph.z.shape[0]
    ends = torch.searchsorted(row, torch.arange(n, device=row.device), right=True).tolist()
    result, first, start = [], 0, 0
    for atom, end in enumerate(ends):
        if end - start >= at_once or atom == n - 1:
            result.append(_chunk(graph, range(first, atom + 1), slice(start, end)))
            first, start = atom + 1, end
    return result


def _chunk(graph: Graph, atoms: range, pairs: slice) -> Chunk:
    graph_of_chunk = Graph(
        z=graph.z,
        edge_index=graph.edge_index[:, pairs],
        edge_vec=graph.edge_vec[pairs],
        node_guess=graph.node_guess,
        pair_guess=graph.pair_guess[pairs],
        batch=graph.batch,
    )
    return Chunk(atoms, pairs, graph_of_chunk)


def predict_large(network: TwoStageNetwork, graph: Graph) -> tuple[Blocks, Blocks, Tensor]:
    """Predict both stages' Hamiltonians of one structure, chunk by chunk.

    Args:
        network: both stages, without an initial guess.
        graph: the structure, on the network's device.

    Returns:
        Baseline and refined blocks, eV, float64, hermitian, and stage 1's node features (N, K, C).
    """
    stage1 = _ChunkedStage1(network, graph)
    copies = (False, True)[: 1 + network.averages_inversion]
    tokens_of_copies = [_ChunkedTokens(stage1, inverted) for inverted in copies]

    def begin(edges: _Edges) -> None:
        for tokens in tokens_of_copies:
            tokens.begin(edges)

    start, baseline, read = stage1.blocks(begin)
    refined = baseline if network.config.refiner_baseline else start
    for tokens in tokens_of_copies:
        correction = _correction(stage1, tokens, read)
        count = len(tokens_of_copies)
        refined = refined + Blocks(correction.nodes / count, correction.pairs.div_(count))
    return baseline, refined, stage1.nodes


def baseline_large(network: TwoStageNetwork, graph: Graph) -> Blocks:
    """Stage 1's Hamiltonian only, eV; arguments as for `predict_large`."""
    return _ChunkedStage1(network, graph).blocks(lambda edges: None)[1]


class _Edges(NamedTuple):
    """A chunk with stage 1's quantities of its pairs; ``features`` (P, K, C) in frame order."""

    chunk: Chunk
    geometry: Geometry
    radial: Tensor
    pairs: Pairs
    features: Tensor


class _ChunkedStage1:
    """Stage 1's node features of a structure, from which pair features are recomputed.

    Attributes:
        nodes: (N, K, C) after all layers.
        normalised: per layer the node features (N, K, C) that the pairs read.
        atoms_only: a graph with every atom and no pairs.
        node_class: (N,) species index.
    """

    def __init__(self, network: TwoStageNetwork, graph: Graph) -> None:
        self.network, self.graph = network, graph
        self.chunks = chunks(graph, PAIRS_AT_ONCE)
        self.atoms_only = _chunk(graph, range(0), slice(0, 0)).graph
        geometry = network.geometry(self.atoms_only)
        self.node_class = geometry.node_class
        self.normalised: list[Tensor] = []
        stage1 = network.baseline
        self.nodes = stage1.first_nodes(geometry)
        for layer in range(len(stage1.convolutions)):
            normalised, aggregated = stage1.normalised(layer, self.nodes), self.nodes.clone()
            for edges in self.edges():
                update = stage1.edge_update(layer, normalised, edges.features, edges.pairs)
                aggregated.index_add_(0, edges.pairs.row, stage1.messages(update, edges.pairs))
            self.nodes = stage1.node_update(layer, aggregated)
            self.normalised.append(normalised)

    def edges(self) -> Iterator[_Edges]:
        """Each chunk with its pair features after as many layers as are in `normalised`."""
        stage1 = self.network.baseline
        for chunk in self.chunks:
            geometry = self.network.geometry(chunk.graph)
            radial, pairs = stage1.pairs(chunk.graph, geometry)
            features = stage1.first_edges(geometry, pairs.scalars)
            for layer, normalised in enumerate(self.normalised):
                features = features + stage1.edge_update(layer, normalised, features, pairs)
            yield _Edges(chunk, geometry, radial, pairs, features)

    def blocks(self, also: Callable[[_Edges], None]) -> tuple[Blocks, Blocks, Blocks]:
        """Means and baseline Hamiltonian, both eV, and the correction as stage 2 reads it.

        Args:
            also: called for each chunk with its last pair features.
        """
        network, codec, head = self.network, self.network.codec, self.network.baseline.pair_head
        like, n_pairs = network.refiner.node_in.weight, len(self.graph.edge_vec)
        shape = (n_pairs, *network.irreps.shape)
        start = torch.zeros(shape, dtype=torch.float64, device=like.device)
        baseline, read = torch.zeros_like(start), like.new_zeros(start.shape)
        normalised = head.normalised(self.nodes)
        for edges in self.edges():
            also(edges)
            geometry, rows = edges.geometry, edges.chunk.pairs
            features = head.readout_features(
                normalised, edges.features, edges.pairs, geometry.pair_class
            )
            out = head(features, geometry.pair_class)
            start[rows] = codec.mean_pairs(geometry)
            baseline[rows] = start[rows] + codec.stage1_pairs(out, geometry)
            readable = codec.readable_pairs(out, geometry)
            read[rows] = codec.scaler.to_global_frame(readable, geometry).to(read)
        for pairs in (baseline, read):
            make_hermitian(pairs, self.graph.reverse, PAIRS_AT_ONCE)
        head = network.baseline.node_head
        out = head(head.readout_features(self.nodes, self.node_class), self.node_class)
        mean = codec.mean_atoms(self.node_class)
        on_site = codec.stage1_atoms(out, self.node_class)
        on_site_read = network.irreps.decode(codec.readable_atoms(out, self.node_class))
        return (
            Blocks(mean, start),
            Blocks(mean + hermitian_mean(on_site, on_site), baseline),
            Blocks(hermitian_mean(on_site_read, on_site_read).to(like), read),
        )


class _ChunkedTokens:
    """Stage 2's tokens of a structure, filled in two steps: `begin` and `finish`.

    Attributes:
        pairs: (P, width) tokens of the pairs before the first layer.
        envelope: (P, 1) smooth cutoff.
    """

    def __init__(self, stage1: _ChunkedStage1, inverted: bool) -> None:
        """``inverted``: whether the tokens are those of the inverted copy, in local frames."""
        self.stage1, self.network, self.inverted = stage1, stage1.network, inverted
        refiner, count = self.network.refiner, len(stage1.graph.edge_vec)
        self.pairs = refiner.node_in.weight.new_zeros(count, refiner.edge_in.out_features)
        self.envelope = self.pairs.new_zeros(count, 1)
        self.no_blocks = self.pairs.new_zeros(1, 0, *self.network.irreps.shape)
        self.vectors = self.network.local.vectors(stage1.nodes)

    def begin(self, edges: _Edges) -> None:
        """Compute the part of a chunk's pair tokens that comes from features."""
        graph, rows, network = edges.chunk.graph, edges.chunk.pairs, self.network
        features = edges.features
        if not network.is_local:
            features = torch.bmm(edges.pairs.frames.transpose(1, 2), features)
        no_blocks = self.no_blocks.expand(len(features), *self.no_blocks.shape[1:])
        tokens = network.global_tokens(
            self.stage1.nodes[:1],
            features,
            edges.radial,
            Blocks(self.no_blocks, no_blocks),
            graph,
            edges.geometry,
        )
        if network.is_local:
            tokens = network.localised_pairs(tokens, self.vectors, graph, edges.geometry)
            if self.inverted:
                tokens = tokens.reflected_pairs(network.local.reflection, _all(tokens.row))
        self.pairs[rows] = network.refiner.from_features(tokens)
        self.envelope[rows] = tokens.envelope

    def finish(self, read: Blocks) -> Tokens:
        """Add the pair tokens' part that comes from blocks; return the tokens of the atoms."""
        network, atoms_only = self.network, self.stage1.atoms_only
        if network.config.refiner_baseline:
            for chunk in self.stage1.chunks:
                blocks = read.pairs[chunk.pairs][:, None]
                if network.is_local:
                    rotation, confidence = self.pair_frames(chunk)
                    blocks = to_local(blocks, rotation.to(blocks), confidence.to(blocks))
                self.pairs[chunk.pairs] += network.refiner.from_blocks(blocks)
        count = int(network.config.refiner_baseline)  # matrices whose blocks stage 2 reads
        blocks = Blocks(read.nodes[:, None][:, :count], read.pairs[:0, None][:, :count])
        geometry, nodes = network.geometry(atoms_only), self.stage1.nodes
        radial = network.baseline.radial(geometry.distance)
        features = nodes.new_zeros(0, *nodes.shape[1:])
        tokens = network.global_tokens(nodes, features, radial, blocks, atoms_only, geometry)
        if not network.is_local:
            return tokens
        tokens = network.localised_atoms(tokens, self.vectors)
        if not self.inverted:
            return tokens
        return tokens.reflected_atoms(network.local.reflection, _all(tokens.node_class))

    def pair_frames(self, chunk: Chunk) -> tuple[BlockRotation, Tensor]:
        """Rotations into the local frames of a chunk's pairs, and the frames' confidence."""
        local, edge_vec = self.network.local, chunk.graph.edge_vec
        row, column = chunk.graph.edge_index
        frames = local.of_pairs(self.vectors, local.frames(edge_vec), edge_vec, row, column)
        _, rotation, confidence = frames
        if self.inverted:
            rotation = local.reflection.after(rotation, _all(row))
        return rotation, confidence


def _all(items: Tensor) -> Tensor:
    """Boolean mask (items,), True everywhere."""
    return torch.ones_like(items, dtype=torch.bool)


def _correction(stage1: _ChunkedStage1, tokens: _ChunkedTokens, read: Blocks) -> Blocks:
    """Stage 2's correction, eV, hermitian; ``read``: stage 1's, as stage 2 reads it."""
    network, refiner = stage1.network, stage1.network.refiner
    atoms, e, envelope = tokens.finish(read), tokens.pairs, tokens.envelope
    x = refiner.first_atoms(atoms)
    ends = [(chunk.pairs, *chunk.graph.edge_index) for chunk in stage1.chunks]
    layers: Any = refiner.layers
    for layer in layers:
        normalised, aggregated = layer.node_norm(x), torch.zeros_like(x)
        inputs = layer.attention_inputs(normalised)
        for chunk, (rows, row, column) in zip(stage1.chunks, ends, strict=True):
            pair = layer.edge_norm(e[rows])
            atoms_of_chunk = slice(chunk.atoms.start, chunk.atoms.stop)
            aggregated[atoms_of_chunk] = layer.attention(
                inputs, pair, row, column, envelope[rows], chunk.atoms
            )
        x = layer.atoms(x, normalised, aggregated)
        to_pairs = layer.ends(x)
        for rows, row, column in ends:
            e[rows] += layer.update(to_pairs, layer.edge_norm(e[rows]), row, column)
    pairs = e.new_zeros(len(e), *network.irreps.shape)
    species, n_species = stage1.node_class, len(network.basis.elements)
    for chunk, (rows, row, column) in zip(stage1.chunks, ends, strict=True):
        pair_class = species[row] * n_species + species[column]
        out = refiner.pair_head.readout([refiner.pair_head(e[rows])], pair_class)
        frames = None
        if network.is_local:
            rotation, confidence = tokens.pair_frames(chunk)
            frames = ToGlobal(rotation.to(out).inverse, confidence.to(out))
        pairs[rows] = network.codec.stage2_pairs(out, envelope[rows], pair_class, frames)
    make_hermitian(pairs, stage1.graph.reverse, PAIRS_AT_ONCE)
    out = refiner.node_head.readout([refiner.node_head(x)], species)
    nodes = network.codec.stage2_atoms(out, species, atom_frames(atoms))
    return Blocks(hermitian_mean(nodes, nodes), pairs)
