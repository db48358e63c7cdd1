"""The graphs of a dataset joined into one, and mini-batches selected from it by index.

No loop runs over structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.models.blocks import Blocks
from workbench.models.graph import Graph, join
from workbench.models.tensor_rotations import BlockRotation
from workbench.models.tokens import ROWS, Tokens, select
from workbench.storage.stored_tensor import StoredTensor


@dataclass(frozen=True)
class Selection:
    """Some structures of a ``Store``, with atoms and pairs renumbered from 0.

    Attributes:
        graph: the joined graph of these structures, with ``batch``.
        nodes: (N,) indices of their atoms in the store.
        pairs: (P,) indices of their pairs in the store.
        elements: (B,) number of matrix elements of each structure, float64.
        beyond_ev: (B,) sum of the moduli of its blocks beyond the cutoff, eV, float64.
    """

    graph: Graph
    nodes: Tensor
    pairs: Tensor
    elements: Tensor
    beyond_ev: Tensor

    def blocks(self, store: Blocks) -> Blocks:
        """The blocks of these structures, from the blocks of all structures."""
        return Blocks(store.nodes[self.nodes], store.pairs[self.pairs])

    def tokens(self, store: Tokens) -> Tokens:
        """The tokens of these structures, from the tokens of all structures."""
        return select(store, self.nodes, self.pairs, self.graph.edge_index)


class Store:
    """All graphs of a dataset joined into one.

    Args:
        graphs: one per structure.
        elements: (structures,) number of matrix elements of each structure, in all blocks that
            its data store or a model predicts.
        beyond_ev: (structures,) sum of the moduli of the stored blocks beyond the cutoff, eV: the
            error of a prediction that leaves them out.
        guess: the guesses of all graphs, which are then not in the graphs.

    Attributes:
        graph: the joined graph.
        elements, beyond_ev: (structures,) float64.
        node_count, pair_count: (structures,) numbers of atoms and of pairs.
        node_start, pair_start: (structures,) indices of the first atom and of the first pair.
    """

    def __init__(
        self,
        graphs: Sequence[Graph],
        elements: Tensor,
        beyond_ev: Tensor,
        guess: Blocks | None = None,
    ) -> None:
        self.graph = join(graphs)
        if guess is not None:
            self.graph.node_guess, self.graph.pair_guess = guess.nodes, guess.pairs
        self.elements, self.beyond_ev = elements.double(), beyond_ev.double()
        self.node_count = torch.tensor([g.z.shape[0] for g in graphs])
        self.pair_count = torch.tensor([g.edge_index.shape[1] for g in graphs])
        self.node_start = self.node_count.cumsum(0) - self.node_count
        self.pair_start = self.pair_count.cumsum(0) - self.pair_count

    def __len__(self) -> int:
        return len(self.node_count)

    def to(self, device: torch.device) -> Store:
        """Move all tensors to a device, in place."""
        for name, value in vars(self).items():
            setattr(self, name, value.to(device))
        return self

    def select(self, indices: Tensor) -> Selection:
        """The structures with these indices (B,)."""
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
        return Selection(graph, nodes, pairs, self.elements[indices], self.beyond_ev[indices])


class TokenStore:
    """The tokens of all structures of a store, appended some structures at a time.

    Args:
        graph: the joined graph of all structures.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._rows: dict[tuple[str, str | None], StoredTensor] = {}

    def add(self, tokens: Tokens) -> None:
        """Append the tokens of the next structures."""
        for field in ROWS:
            value = getattr(tokens, field)
            if value is None:
                continue
            parts = vars(value) if isinstance(value, BlockRotation) else {None: value}
            for name, part in parts.items():
                if part is not None:
                    self._of(field, name).add(part)

    def _of(self, field: str, part: str | None) -> StoredTensor:
        pairs, atoms = self.graph.edge_index.shape[1], self.graph.z.shape[0]
        rows = pairs if ROWS[field] == "pair" else atoms
        return self._rows.setdefault((field, part), StoredTensor(rows))

    def tokens(self) -> Tokens:
        """The tokens of all structures, after the last ones were added."""
        fields: dict[str, Any] = {}
        rotations: dict[str, dict[str, Tensor]] = {}
        for (field, part), rows in self._rows.items():
            if part is None:
                fields[field] = rows.tensor
            else:
                rotations.setdefault(field, {})[part] = rows.tensor
        fields |= {field: BlockRotation(**parts) for field, parts in rotations.items()}
        row, column = self.graph.edge_index
        return Tokens(row=row, column=column, **fields)


def _ranges(start: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The concatenated ranges start[k] .. start[k] + count[k], and the shift of each range.

    The shift of a range is its old start less its start in the concatenation.
    """
    shift = start - (count.cumsum(0) - count)
    total = int(count.sum())
    return torch.arange(total, device=start.device) + torch.repeat_interleave(shift, count), shift
