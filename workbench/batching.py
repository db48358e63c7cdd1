"""Many graphs as one, and mini-batches cut from it by index, without a loop over structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from workbench.graph import Graph, join
from workbench.models.blocks import Blocks
from workbench.models.refiner import Tokens


@dataclass(frozen=True)
class Selection:
    """Some structures of a ``Store``, renumbered from 0.

    Attributes:
        graph: their graph, with ``batch``.
        nodes: (N,) their atoms in the store.
        pairs: (P,) their pairs in the store.
        elements: (B,) how many matrix elements each has, float64.
    """

    graph: Graph
    nodes: Tensor
    pairs: Tensor
    elements: Tensor

    def blocks(self, store: Blocks) -> Blocks:
        """Their part of blocks stored for all."""
        return Blocks(store.nodes[self.nodes], store.pairs[self.pairs])

    def tokens(self, store: Tokens) -> Tokens:
        """Their part of tokens stored for all."""
        row, column = self.graph.edge_index
        of_pairs = {"edges", "pair_blocks", "pair_back", "pair_class"}
        of_pairs |= {"direction", "radial", "envelope"}
        parts = {
            f.name: getattr(store, f.name)[self.pairs if f.name in of_pairs else self.nodes]
            for f in fields(Tokens)
            if f.name not in ("row", "column") and getattr(store, f.name) is not None
        }
        return replace(store, row=row, column=column, **parts)


class Store:
    """All graphs of a data set side by side."""

    def __init__(self, graphs: Sequence[Graph], elements: Tensor) -> None:
        """Collate.

        Args:
            graphs: one per structure.
            elements: (structures,) how many matrix elements each has.
        """
        self.graph = join(graphs)
        self.elements = elements.double()
        self.node_count = torch.tensor([g.z.shape[0] for g in graphs])
        self.pair_count = torch.tensor([g.edge_index.shape[1] for g in graphs])
        self.node_start = self.node_count.cumsum(0) - self.node_count
        self.pair_start = self.pair_count.cumsum(0) - self.pair_count

    def __len__(self) -> int:
        return len(self.node_count)

    def to(self, device: torch.device) -> Store:
        """Move everything to a device, in place."""
        for name, value in vars(self).items():
            setattr(self, name, value.to(device))
        return self

    def select(self, indices: Tensor) -> Selection:
        """Cut out some structures."""
        n, p = self.node_count[indices], self.pair_count[indices]
        nodes, node_shift = _ranges(self.node_start[indices], n)
        pairs, pair_shift = _ranges(self.pair_start[indices], p)
        g = self.graph
        by_pair = torch.repeat_interleave(node_shift, p)
        graph = Graph(
            z=g.z[nodes],
            edge_index=g.edge_index[:, pairs] - by_pair,
            edge_vec=g.edge_vec[pairs],
            reverse=g.reverse[pairs] - torch.repeat_interleave(pair_shift, p),
            node_guess=g.node_guess[nodes],
            pair_guess=g.pair_guess[pairs],
            batch=torch.repeat_interleave(torch.arange(len(n), device=n.device), n),
        )
        return Selection(graph, nodes, pairs, self.elements[indices])


def _ranges(start: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """All of start[k] .. start[k] + count[k], and how far each run has moved."""
    shift = start - (count.cumsum(0) - count)
    total = int(count.sum())
    return torch.arange(total, device=start.device) + torch.repeat_interleave(shift, count), shift
