"""Large structures: the same prediction, some pairs at a time, so that memory stays bounded.

Pairs outnumber atoms a hundredfold, and their features fill the memory long before the matrix
does. What stage 1 knows of atoms after each layer is kept; its features of pairs are made anew,
piece by piece, whenever a layer needs them. Stage 2's tokens, which are far smaller, are kept.
Work is then linear in the number of atoms, and so is memory, most of it the Hamiltonian itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from workbench.graph import Graph
from workbench.models.baseline import Geometry
from workbench.models.blocks import Blocks, adjoint
from workbench.models.layers import Pairs
from workbench.models.refiner import Tokens
from workbench.models.turns import turn

if TYPE_CHECKING:
    from workbench.models.twostage import TwoStageModel

PAIRS_AT_ONCE = 1 << 13
"""In a piece: some hundred MB of features."""


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


class _Edges(NamedTuple):
    """A piece, and what stage 1 knows of its pairs."""

    piece: Piece
    geometry: Geometry
    radial: Tensor
    pairs: Pairs
    features: Tensor


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
    parts = pieces(graph, PAIRS_AT_ONCE)
    nodes, shown = _atoms_of_stage1(model, graph, parts)
    base, baseline, seen = _blocks_of_stage1(model, graph, parts, nodes, shown)
    correction = _blocks_of_stage2(model, graph, parts, nodes, shown, seen)
    return baseline, base + correction, nodes


def baseline_large(model: TwoStageModel, graph: Graph) -> Blocks:
    """Stage 1's Hamiltonian alone, as `predict_large` finds it."""
    parts = pieces(graph, PAIRS_AT_ONCE)
    nodes, shown = _atoms_of_stage1(model, graph, parts)
    return _blocks_of_stage1(model, graph, parts, nodes, shown)[1]


# ---- stage 1 ------------------------------------------------------------------------------------


def _atoms_of_stage1(
    model: TwoStageModel, graph: Graph, parts: Sequence[Piece]
) -> tuple[Tensor, list[Tensor]]:
    """Node features (N, K, C) after all layers, and what atoms showed in each."""
    stage1, shown = model.baseline, list[Tensor]()
    nodes = stage1.first_nodes(model.geometry(_piece(graph, range(0), slice(0, 0)).graph))
    for layer in range(len(stage1.convolutions)):
        seen, heard = stage1.shown(layer, nodes), nodes.clone()
        for edges in _edges(model, parts, shown):
            messages, _ = stage1.exchange(layer, seen, edges.features, edges.pairs)
            heard.index_add_(0, edges.pairs.row, messages)
        nodes = stage1.mixed(layer, heard)
        shown.append(seen)
    return nodes, shown


def _edges(
    model: TwoStageModel, parts: Sequence[Piece], shown: Sequence[Tensor]
) -> Iterator[_Edges]:
    """Each piece with the features of its pairs after as many layers as atoms have shown."""
    stage1 = model.baseline
    for piece in parts:
        geometry = model.geometry(piece.graph)
        radial, pairs = stage1.pairs(piece.graph, geometry)
        features = stage1.first_edges(geometry, pairs.scalars)
        for layer, seen in enumerate(shown):
            features = features + stage1.exchange(layer, seen, features, pairs)[1]
        yield _Edges(piece, geometry, radial, pairs, features)


def _blocks_of_stage1(
    model: TwoStageModel,
    graph: Graph,
    parts: Sequence[Piece],
    nodes: Tensor,
    shown: Sequence[Tensor],
) -> tuple[Blocks, Blocks, Blocks]:
    """What stage 2 corrects, the baseline, eV, and the baseline as stage 2 reads it."""
    stage1, scaling, p = model.baseline, model.scaling, graph.edge_vec.shape[0]
    like = model.refiner.node_in.weight
    start = torch.zeros(p, *model.irreps.shape, dtype=torch.float64, device=nodes.device)
    found, seen = torch.zeros_like(start), like.new_zeros(start.shape)
    node_class = model.geometry(parts[0].graph).node_class
    for edges in _edges(model, parts, shown):
        geometry, own = edges.geometry, edges.piece.pairs
        read = stage1.pair_head.parts(nodes, edges.features, edges.pairs, geometry.pair_class)
        out = stage1.pair_head(read, geometry.pair_class)
        scale, reach = scaling.pair_scale[geometry.pair_class], geometry.envelope.to(out)
        start[own] = model.scaler.means(scaling, geometry)[1]
        found[own] = start[own] + model.scaler.outside(out * scale.to(out) * reach, geometry)
        seen[own] = model.scaler.outside(out * (scale > 0) * reach, geometry).to(seen)
    for pairs in (found, seen):
        _make_hermitian(pairs, graph.reverse)
    read = stage1.node_head.parts(nodes, node_class)
    out = stage1.node_head(read, node_class)
    scale = scaling.node_scale[node_class]
    mean = model.irreps.decode(scaling.node_mean[node_class])
    on_site = mean + _hermitian(model.irreps.decode(out * scale.to(out)))
    first, baseline = Blocks(mean, start), Blocks(on_site, found)
    as_read = _hermitian(model.irreps.decode(out * (scale > 0))).to(like)
    base = baseline if model.config.refiner_baseline else first
    return base, baseline, Blocks(as_read, seen)


# ---- stage 2 ------------------------------------------------------------------------------------


def _blocks_of_stage2(
    model: TwoStageModel,
    graph: Graph,
    parts: Sequence[Piece],
    nodes: Tensor,
    shown: Sequence[Tensor],
    seen: Blocks,
) -> Blocks:
    """Stage 2's correction, eV, hermitian."""
    refiner, scaling = model.refiner, model.scaling
    x, e, envelope = _tokens(model, graph, parts, nodes, shown, seen)
    ends = [(piece.pairs, *piece.graph.edge_index) for piece in parts]
    layers: Any = refiner.layers
    for layer in layers:
        here, heard = layer.node_norm(x), torch.zeros_like(x)
        for piece, (own, row, column) in zip(parts, ends, strict=True):
            pair = layer.edge_norm(e[own])
            mine = slice(piece.atoms.start, piece.atoms.stop)
            heard[mine] = layer.attention(here, pair, row, column, envelope[own], piece.atoms)
        x = layer.atoms(x, here, heard)
        there = layer.pair_norm(x)
        for own, row, column in ends:
            e[own] += layer.update(there, layer.edge_norm(e[own]), row, column)
    found = e.new_zeros(len(e), *model.irreps.shape)
    node_class = model.geometry(parts[0].graph).node_class
    for piece, (own, row, column) in zip(parts, ends, strict=True):
        pair_class = node_class[row] * len(model.basis.elements) + node_class[column]
        out = refiner.pair_head.readout([refiner.pair_head(e[own])], pair_class)
        out = out * scaling.pair_residual.to(out)[pair_class] * envelope[own]
        found[own] = model.irreps.decode(out)
        if model.is_local:
            _, by = model.local.of_pairs(nodes, piece.graph.edge_vec, row, column)
            found[own] = turn(found[own], by.to(found).inverse)
    _make_hermitian(found, graph.reverse)
    out = refiner.node_head.readout([refiner.node_head(x)], node_class)
    on_site = model.irreps.decode(out * scaling.node_residual.to(out)[node_class])
    if model.is_local:
        on_site = turn(on_site, model.local.of_atoms(nodes)[1].to(on_site).inverse)
    return Blocks(_hermitian(on_site), found)


def _tokens(
    model: TwoStageModel,
    graph: Graph,
    parts: Sequence[Piece],
    nodes: Tensor,
    shown: Sequence[Tensor],
    seen: Blocks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of atoms (N, width) and pairs (P, width) before any layer, and the envelope (P, 1)."""
    refiner = model.refiner
    like, reads = refiner.node_in.weight, int(model.config.refiner_baseline)
    e = like.new_zeros(len(graph.edge_vec), refiner.edge_in.out_features)
    envelope = like.new_zeros(len(e), 1)
    features, on_site = nodes.to(like), seen.nodes[:, None][:, :reads]
    if model.is_local:
        to_local, by = model.local.of_atoms(nodes)
        features, on_site = to_local.to(like) @ features, turn(on_site, by.to(like))
    x = e[:0]
    for edges in _edges(model, parts, shown):
        geometry, own = edges.geometry, edges.piece.pairs
        vectors, row, column = edges.piece.graph.edge_vec, edges.pairs.row, edges.pairs.column
        pair_features = torch.bmm(edges.pairs.frames.transpose(1, 2), edges.features).to(like)
        blocks = seen.pairs[own][:, None][:, :reads]
        direction = (vectors / geometry.distance[:, None]).to(like)
        if model.is_local:
            to_local, by = model.local.of_pairs(nodes, vectors, row, column)
            pair_features, blocks = to_local.to(like) @ pair_features, turn(blocks, by.to(like))
            direction = direction.new_tensor([0.0, 0.0, 1.0]).expand_as(direction)
        envelope[own] = geometry.envelope.to(like)
        tokens = Tokens(
            nodes=features,
            edges=pair_features,
            node_blocks=on_site,
            pair_blocks=blocks,
            direction=direction,
            radial=edges.radial.to(like),
            envelope=envelope[own],
            row=row,
            column=column,
            node_class=geometry.node_class,
            pair_class=geometry.pair_class,
        )
        e[own] = refiner.first_pairs(tokens)
        if not len(x):
            x = refiner.first_atoms(tokens)
    return x, e, envelope


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
