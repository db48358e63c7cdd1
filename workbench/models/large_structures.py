"""Large structures: the same prediction, some pairs at a time, so that memory stays bounded.

Pairs outnumber atoms a hundredfold, and their features fill the memory long before the matrix
does. What stage 1 knows of atoms after each layer is kept; its features of pairs are made anew,
piece by piece, whenever a layer needs them. Stage 2's tokens, which are far smaller, are kept, and
begun while stage 1's last features are at hand: what the blocks add to them, known when all blocks
are, comes later. Work is then linear in the number of atoms, as no piece does anything to all of
them, and so is memory, most of it the Hamiltonian itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from workbench.models.blocks import Blocks, adjoint
from workbench.models.equivariant_layers import Pairs
from workbench.models.geometry import Geometry
from workbench.models.graph import Graph
from workbench.models.local_frames import local_vectors, scale_by_confidence
from workbench.models.tensor_rotations import BlockRotation, rotate_blocks
from workbench.models.tokens import Tokens

if TYPE_CHECKING:
    from workbench.models.twostage import TwoStageModel

PAIRS_AT_ONCE = 400
"""In a piece. Features then stay near the processor, and their memory with the process: from 500
pairs on, 10 MB a tensor, the system takes it back after each step, a tenth of the time and more."""


@dataclass(frozen=True)
class Chunk:
    """A run of atoms and all pairs that start at them.

    Attributes:
        atoms: their numbers.
        pairs: those of their pairs.
        graph: all atoms of the structure with these pairs alone.
    """

    atoms: range
    pairs: slice
    graph: Graph


def chunks(graph: Graph, at_once: int) -> list[Chunk]:
    """A structure, whose pairs are sorted by their first atom, in pieces of about so many pairs."""
    row, n = graph.edge_index[0].contiguous(), graph.z.shape[0]
    ends = torch.searchsorted(row, torch.arange(n, device=row.device), right=True).tolist()
    found, first, start = [], 0, 0
    for atom, end in enumerate(ends):
        if end - start >= at_once or atom == n - 1:
            found.append(_chunk(graph, range(first, atom + 1), slice(start, end)))
            first, start = atom + 1, end
    return found


def _chunk(graph: Graph, atoms: range, pairs: slice) -> Chunk:
    part = Graph(
        z=graph.z,
        edge_index=graph.edge_index[:, pairs],
        edge_vec=graph.edge_vec[pairs],
        node_guess=graph.node_guess,
        pair_guess=graph.pair_guess[pairs],
        batch=graph.batch,
    )
    return Chunk(atoms, pairs, part)


def predict_large(model: TwoStageModel, graph: Graph) -> tuple[Blocks, Blocks, Tensor]:
    """Both stages' Hamiltonians and stage 1's node features (N, K, C) of one structure.

    Args:
        model: one that starts from no guess.
        graph: on the model's device.

    Returns:
        Baseline and refined blocks, eV, float64, hermitian, and the features.
    """
    stage1 = _Stage1(model, graph)
    inverted_copies = [
        _Tokens(stage1, inverted) for inverted in (False, True)[: 1 + model.averages_inversion]
    ]

    def begin(edges: _Edges) -> None:
        for tokens in inverted_copies:
            tokens.begin(edges)

    start, baseline, read = stage1.blocks(begin)
    refined = baseline if model.config.refiner_baseline else start
    for tokens in inverted_copies:
        found = _correction(stage1, tokens, read)
        share = Blocks(found.nodes / len(inverted_copies), found.pairs.div_(len(inverted_copies)))
        refined = refined + share
    return baseline, refined, stage1.nodes


def baseline_large(model: TwoStageModel, graph: Graph) -> Blocks:
    """Stage 1's Hamiltonian alone, as `predict_large` finds it."""
    return _Stage1(model, graph).blocks(lambda edges: None)[1]


class _Edges(NamedTuple):
    """A piece, and what stage 1 knows of its pairs."""

    chunk: Chunk
    geometry: Geometry
    radial: Tensor
    pairs: Pairs
    features: Tensor


class _Stage1:
    """What stage 1 knows of a structure's atoms.

    Attributes:
        nodes: (N, K, C) features after all layers.
        shown: what atoms showed to their pairs in each layer, from which pairs are made anew.
        alone: all atoms without any pair.
        node_class: (N,) species index.
    """

    def __init__(self, model: TwoStageModel, graph: Graph) -> None:
        self.model, self.graph = model, graph
        self.chunks = chunks(graph, PAIRS_AT_ONCE)
        self.alone = _chunk(graph, range(0), slice(0, 0)).graph
        alone = model.geometry(self.alone)
        self.node_class = alone.node_class
        self.shown: list[Tensor] = []
        self.nodes = model.baseline.first_nodes(alone)
        for layer in range(len(model.baseline.convolutions)):
            shown, aggregated = model.baseline.shown(layer, self.nodes), self.nodes.clone()
            for edges in self.edges():
                update = model.baseline.edge_update(layer, shown, edges.features, edges.pairs)
                aggregated.index_add_(
                    0, edges.pairs.row, model.baseline.messages(update, edges.pairs)
                )
            self.nodes = model.baseline.node_update(layer, aggregated)
            self.shown.append(shown)

    def edges(self) -> Iterator[_Edges]:
        """Each piece with the features of its pairs after as many layers as atoms have shown."""
        stage1 = self.model.baseline
        for chunk in self.chunks:
            geometry = self.model.geometry(chunk.graph)
            radial, pairs = stage1.pairs(chunk.graph, geometry)
            features = stage1.first_edges(geometry, pairs.scalars)
            for layer, shown in enumerate(self.shown):
                features = features + stage1.edge_update(layer, shown, features, pairs)
            yield _Edges(chunk, geometry, radial, pairs, features)

    def blocks(self, also: Callable[[_Edges], None]) -> tuple[Blocks, Blocks, Blocks]:
        """What stage 1 starts from, its Hamiltonian, both eV, and this as stage 2 reads it.

        Args:
            also: is shown the last features of each piece's pairs.
        """
        model, stage1, scaling = self.model, self.model.baseline, self.model.scaling
        like, p = model.refiner.node_in.weight, len(self.graph.edge_vec)
        start = torch.zeros(p, *model.irreps.shape, dtype=torch.float64, device=like.device)
        found, read = torch.zeros_like(start), like.new_zeros(start.shape)
        shown = stage1.pair_head.shown(self.nodes)
        for edges in self.edges():
            also(edges)
            geometry, own = edges.geometry, edges.chunk.pairs
            parts = (shown, edges.features, edges.pairs, geometry.pair_class)
            out = stage1.pair_head(stage1.pair_head.parts(*parts), geometry.pair_class)
            scale, reach = scaling.pair_scale[geometry.pair_class], geometry.envelope.to(out)
            start[own] = model.scaler.pair_means(scaling, geometry)
            found[own] = start[own] + model.scaler.to_global_frame(
                out * scale.to(out) * reach, geometry
            )
            read[own] = model.scaler.to_global_frame(out * (scale > 0) * reach, geometry).to(read)
        for pairs in (found, read):
            _make_hermitian(pairs, self.graph.reverse)
        out = stage1.node_head(stage1.node_head.parts(self.nodes, self.node_class), self.node_class)
        scale = scaling.node_scale[self.node_class]
        mean = model.scaler.node_means(scaling, self.node_class)
        on_site = mean + _hermitian(model.irreps.decode(out * scale.to(out)))
        as_read = _hermitian(model.irreps.decode(out * (scale > 0))).to(like)
        return Blocks(mean, start), Blocks(on_site, found), Blocks(as_read, read)


class _Tokens:
    """What stage 2 reads of a structure.

    Attributes:
        pairs: (P, width) before any layer.
        envelope: (P, 1) smooth cutoff.
    """

    def __init__(self, stage1: _Stage1, inverted: bool) -> None:
        """``inverted``: as its image under inversion has it, in local axes."""
        self.stage1, self.model, self.inverted = stage1, stage1.model, inverted
        refiner, count = self.model.refiner, len(stage1.graph.edge_vec)
        self.pairs = refiner.node_in.weight.new_zeros(count, refiner.edge_in.out_features)
        self.envelope = self.pairs.new_zeros(count, 1)
        self.none = self.pairs.new_zeros(1, 0, *self.model.irreps.shape)
        self.local_vectors = local_vectors(stage1.nodes)

    def begin(self, edges: _Edges) -> None:
        """Take in what does not come from blocks."""
        graph, own = edges.chunk.graph, edges.chunk.pairs
        features = torch.bmm(edges.pairs.frames.transpose(1, 2), edges.features)
        blocks = Blocks(self.none, self.none.expand(len(features), *self.none.shape[1:]))
        tokens = self.model.global_tokens(
            self.stage1.nodes[:1], features, edges.radial, blocks, graph, edges.geometry
        )
        if self.model.is_local:
            tokens = self.model.localised_pairs(tokens, self.local_vectors, graph, edges.geometry)
            if self.inverted:
                tokens = tokens.reflected_pairs(self.model.local.reflection, _all(tokens.row))
        self.pairs[own] = self.model.refiner.from_features(tokens)
        self.envelope[own] = tokens.envelope

    def finish(self, read: Blocks) -> Tokens:
        """Take in the blocks (pairs are then complete); returns what is read of atoms."""
        model, alone = self.model, self.stage1.alone
        if model.config.refiner_baseline:
            for chunk in self.stage1.chunks:
                blocks = read.pairs[chunk.pairs][:, None]
                if model.is_local:
                    by, confidence = self.pair_axes(chunk)
                    blocks = scale_by_confidence(
                        rotate_blocks(blocks, by.to(blocks)), confidence.to(blocks)
                    )
                self.pairs[chunk.pairs] += model.refiner.from_blocks(blocks)
        reads = int(model.config.refiner_baseline)
        blocks = Blocks(read.nodes[:, None][:, :reads], read.pairs[:0, None][:, :reads])
        geometry, nodes = model.geometry(alone), self.stage1.nodes
        radial = model.baseline.radial(geometry.distance)
        features = nodes.new_zeros(0, *nodes.shape[1:])
        tokens = model.global_tokens(nodes, features, radial, blocks, alone, geometry)
        if not model.is_local:
            return tokens
        tokens = model.localised_atoms(tokens, self.local_vectors)
        if not self.inverted:
            return tokens
        return tokens.reflected_atoms(model.local.reflection, _all(tokens.node_class))

    def pair_axes(self, chunk: Chunk) -> tuple[BlockRotation, Tensor]:
        """Turns of a piece's pairs into axes of their own, and how far these are trusted."""
        local, vectors = self.model.local, chunk.graph.edge_vec
        row, column = chunk.graph.edge_index
        _, by, confidence = local.of_pairs(
            self.local_vectors, local.frames(vectors), vectors, row, column
        )
        return local.reflection.after(by, _all(row)) if self.inverted else by, confidence


def _all(items: Tensor) -> Tensor:
    """That all of these (items,) are mirrored."""
    return torch.ones_like(items, dtype=torch.bool)


def _correction(stage1: _Stage1, tokens: _Tokens, read: Blocks) -> Blocks:
    """Stage 2's correction, eV, hermitian, from the baseline as it reads it."""
    model, refiner = stage1.model, stage1.model.refiner
    atoms, e, envelope = tokens.finish(read), tokens.pairs, tokens.envelope
    x = refiner.first_atoms(atoms)
    ends = [(chunk.pairs, *chunk.graph.edge_index) for chunk in stage1.chunks]
    layers: Any = refiner.layers
    for layer in layers:
        here, aggregated = layer.node_norm(x), torch.zeros_like(x)
        shown = layer.shown(here)
        for chunk, (own, row, column) in zip(stage1.chunks, ends, strict=True):
            pair = layer.edge_norm(e[own])
            mine = slice(chunk.atoms.start, chunk.atoms.stop)
            aggregated[mine] = layer.attention(shown, pair, row, column, envelope[own], chunk.atoms)
        x = layer.atoms(x, here, aggregated)
        given = layer.ends(x)
        for own, row, column in ends:
            e[own] += layer.update(given, layer.edge_norm(e[own]), row, column)
    found = e.new_zeros(len(e), *model.irreps.shape)
    for chunk, (own, row, column) in zip(stage1.chunks, ends, strict=True):
        species = stage1.node_class
        pair_class = species[row] * len(model.basis.elements) + species[column]
        out = refiner.pair_head.readout([refiner.pair_head(e[own])], pair_class) * envelope[own]
        of_pairs = None
        if model.is_local:
            by, confidence = tokens.pair_axes(chunk)
            of_pairs, out = by.to(out).inverse, scale_by_confidence(out, confidence.to(out))
        found[own] = model.pair_correction(out, pair_class, of_pairs)
    _make_hermitian(found, stage1.graph.reverse)
    out = refiner.node_head.readout([refiner.node_head(x)], stage1.node_class)
    out = model.atom_correction(
        scale_by_confidence(out, atoms.node_confidence), stage1.node_class, atoms.node_to_global
    )
    return Blocks(_hermitian(out), found)


# ---- hermiticity ---------------------------------------------------------------------------------


def _hermitian(blocks: Tensor) -> Tensor:
    """On-site blocks averaged with their adjoints."""
    return (blocks + adjoint(blocks)) / 2


def _make_hermitian(pairs: Tensor, reverse: Tensor) -> None:
    """Average pair blocks with their partners' adjoints, in place."""
    first = torch.nonzero(torch.arange(len(reverse), device=reverse.device) <= reverse)[:, 0]
    for own in first.split(PAIRS_AT_ONCE):
        other = reverse[own]
        mean = (pairs[own] + adjoint(pairs[other])) / 2
        pairs[own], pairs[other] = mean, adjoint(mean)
