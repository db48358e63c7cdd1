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
from workbench.models.local_frames import axes, scaled
from workbench.models.tensor_rotations import BlockTurn, turn
from workbench.models.tokens import Tokens

if TYPE_CHECKING:
    from workbench.models.twostage import TwoStageModel

PAIRS_AT_ONCE = 400
"""In a piece. Features then stay near the processor, and their memory with the process: from 500
pairs on, 10 MB a tensor, the system takes it back after each step, a tenth of the time and more."""


@dataclass(frozen=True)
class Piece:
    """A run of atoms and all pairs that start at them.

    Attributes:
        atoms: their numbers.
        pairs: those of their pairs.
        graph: all atoms of the structure with these pairs alone.
    """

    atoms: range
    pairs: slice
    graph: Graph


def pieces(graph: Graph, at_once: int) -> list[Piece]:
    """A structure, whose pairs are sorted by their first atom, in pieces of about so many pairs."""
    row, n = graph.edge_index[0].contiguous(), graph.z.shape[0]
    ends = torch.searchsorted(row, torch.arange(n, device=row.device), right=True).tolist()
    found, first, start = [], 0, 0
    for atom, end in enumerate(ends):
        if end - start >= at_once or atom == n - 1:
            found.append(_piece(graph, range(first, atom + 1), slice(start, end)))
            first, start = atom + 1, end
    return found


def _piece(graph: Graph, atoms: range, pairs: slice) -> Piece:
    part = Graph(
        z=graph.z,
        edge_index=graph.edge_index[:, pairs],
        edge_vec=graph.edge_vec[pairs],
        node_guess=graph.node_guess,
        pair_guess=graph.pair_guess[pairs],
        batch=graph.batch,
    )
    return Piece(atoms, pairs, part)


def predict_large(model: TwoStageModel, graph: Graph) -> tuple[Blocks, Blocks, Tensor]:
    """Both stages' Hamiltonians and stage 1's node features (N, K, C) of one structure.

    Args:
        model: one that starts from no guess.
        graph: on the model's device.

    Returns:
        Baseline and refined blocks, eV, float64, hermitian, and the features.
    """
    stage1 = _Stage1(model, graph)
    images = [_Tokens(stage1, inverted) for inverted in (False, True)[: 1 + model.mirrors]]

    def begin(edges: _Edges) -> None:
        for tokens in images:
            tokens.begin(edges)

    start, baseline, read = stage1.blocks(begin)
    refined = baseline if model.config.refiner_baseline else start
    for tokens in images:
        found = _correction(stage1, tokens, read)
        share = Blocks(found.nodes / len(images), found.pairs.div_(len(images)))
        refined = refined + share
    return baseline, refined, stage1.nodes


def baseline_large(model: TwoStageModel, graph: Graph) -> Blocks:
    """Stage 1's Hamiltonian alone, as `predict_large` finds it."""
    return _Stage1(model, graph).blocks(lambda edges: None)[1]


class _Edges(NamedTuple):
    """A piece, and what stage 1 knows of its pairs."""

    piece: Piece
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
        self.pieces = pieces(graph, PAIRS_AT_ONCE)
        self.alone = _piece(graph, range(0), slice(0, 0)).graph
        alone = model.geometry(self.alone)
        self.node_class = alone.node_class
        self.shown: list[Tensor] = []
        self.nodes = model.baseline.first_nodes(alone)
        for layer in range(len(model.baseline.convolutions)):
            shown, heard = model.baseline.shown(layer, self.nodes), self.nodes.clone()
            for edges in self.edges():
                update = model.baseline.learnt(layer, shown, edges.features, edges.pairs)
                heard.index_add_(0, edges.pairs.row, model.baseline.messages(update, edges.pairs))
            self.nodes = model.baseline.mixed(layer, heard)
            self.shown.append(shown)

    def edges(self) -> Iterator[_Edges]:
        """Each piece with the features of its pairs after as many layers as atoms have shown."""
        stage1 = self.model.baseline
        for piece in self.pieces:
            geometry = self.model.geometry(piece.graph)
            radial, pairs = stage1.pairs(piece.graph, geometry)
            features = stage1.first_edges(geometry, pairs.scalars)
            for layer, shown in enumerate(self.shown):
                features = features + stage1.learnt(layer, shown, features, pairs)
            yield _Edges(piece, geometry, radial, pairs, features)

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
            geometry, own = edges.geometry, edges.piece.pairs
            parts = (shown, edges.features, edges.pairs, geometry.pair_class)
            out = stage1.pair_head(stage1.pair_head.parts(*parts), geometry.pair_class)
            scale, reach = scaling.pair_scale[geometry.pair_class], geometry.envelope.to(out)
            start[own] = model.scaler.pair_means(scaling, geometry)
            found[own] = start[own] + model.scaler.outside(out * scale.to(out) * reach, geometry)
            read[own] = model.scaler.outside(out * (scale > 0) * reach, geometry).to(read)
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
        self.axes = axes(stage1.nodes)

    def begin(self, edges: _Edges) -> None:
        """Take in what does not come from blocks."""
        graph, own = edges.piece.graph, edges.piece.pairs
        features = torch.bmm(edges.pairs.frames.transpose(1, 2), edges.features)
        blocks = Blocks(self.none, self.none.expand(len(features), *self.none.shape[1:]))
        tokens = self.model.global_tokens(
            self.stage1.nodes[:1], features, edges.radial, blocks, graph, edges.geometry
        )
        if self.model.is_local:
            tokens = self.model.localised_pairs(tokens, self.axes, graph, edges.geometry)
            if self.inverted:
                tokens = tokens.mirrored_pairs(self.model.local.mirror, _all(tokens.row))
        self.pairs[own] = self.model.refiner.from_features(tokens)
        self.envelope[own] = tokens.envelope

    def finish(self, read: Blocks) -> Tokens:
        """Take in the blocks (pairs are then complete); returns what is read of atoms."""
        model, alone = self.model, self.stage1.alone
        if model.config.refiner_baseline:
            for piece in self.stage1.pieces:
                blocks = read.pairs[piece.pairs][:, None]
                if model.is_local:
                    by, trust = self.pair_axes(piece)
                    blocks = scaled(turn(blocks, by.to(blocks)), trust.to(blocks))
                self.pairs[piece.pairs] += model.refiner.from_blocks(blocks)
        reads = int(model.config.refiner_baseline)
        blocks = Blocks(read.nodes[:, None][:, :reads], read.pairs[:0, None][:, :reads])
        geometry, nodes = model.geometry(alone), self.stage1.nodes
        radial = model.baseline.radial(geometry.distance)
        features = nodes.new_zeros(0, *nodes.shape[1:])
        tokens = model.global_tokens(nodes, features, radial, blocks, alone, geometry)
        if not model.is_local:
            return tokens
        tokens = model.localised_atoms(tokens, self.axes)
        if not self.inverted:
            return tokens
        return tokens.mirrored_atoms(model.local.mirror, _all(tokens.node_class))

    def pair_axes(self, piece: Piece) -> tuple[BlockTurn, Tensor]:
        """Turns of a piece's pairs into axes of their own, and how far these are trusted."""
        local, vectors = self.model.local, piece.graph.edge_vec
        row, column = piece.graph.edge_index
        _, by, trust = local.of_pairs(self.axes, local.frames(vectors), vectors, row, column)
        return local.mirror.after(by, _all(row)) if self.inverted else by, trust


def _all(items: Tensor) -> Tensor:
    """That all of these (items,) are mirrored."""
    return torch.ones_like(items, dtype=torch.bool)


def _correction(stage1: _Stage1, tokens: _Tokens, read: Blocks) -> Blocks:
    """Stage 2's correction, eV, hermitian, from the baseline as it reads it."""
    model, refiner = stage1.model, stage1.model.refiner
    atoms, e, envelope = tokens.finish(read), tokens.pairs, tokens.envelope
    x = refiner.first_atoms(atoms)
    ends = [(piece.pairs, *piece.graph.edge_index) for piece in stage1.pieces]
    layers: Any = refiner.layers
    for layer in layers:
        here, heard = layer.node_norm(x), torch.zeros_like(x)
        shown = layer.shown(here)
        for piece, (own, row, column) in zip(stage1.pieces, ends, strict=True):
            pair = layer.edge_norm(e[own])
            mine = slice(piece.atoms.start, piece.atoms.stop)
            heard[mine] = layer.attention(shown, pair, row, column, envelope[own], piece.atoms)
        x = layer.atoms(x, here, heard)
        given = layer.ends(x)
        for own, row, column in ends:
            e[own] += layer.update(given, layer.edge_norm(e[own]), row, column)
    found = e.new_zeros(len(e), *model.irreps.shape)
    for piece, (own, row, column) in zip(stage1.pieces, ends, strict=True):
        species = stage1.node_class
        pair_class = species[row] * len(model.basis.elements) + species[column]
        out = refiner.pair_head.readout([refiner.pair_head(e[own])], pair_class) * envelope[own]
        of_pairs = None
        if model.is_local:
            by, trust = tokens.pair_axes(piece)
            of_pairs, out = by.to(out).inverse, scaled(out, trust.to(out))
        found[own] = model.pair_correction(out, pair_class, of_pairs)
    _make_hermitian(found, stage1.graph.reverse)
    out = refiner.node_head.readout([refiner.node_head(x)], stage1.node_class)
    out = model.atom_correction(scaled(out, atoms.node_trust), stage1.node_class, atoms.node_back)
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
