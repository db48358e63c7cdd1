"""Which graph do the networks read? Built from ``ase.Atoms``; this table lists its fields.

| field | shape | unit | meaning |
|---|---|---|---|
| pos | (N, 3) | A | positions, float64 |
| z | (N,) | | atomic numbers |
| edge_index | (2, P) | | ordered pairs (i, j, T) other than on-site: row atom, column atom |
| shift | (P, 3) | cells | T of the column atom, zero for molecules |
| edge_vec | (P, 3) | A | r_j + T.A - r_i, float64 |
| reverse | (P,) | | index of the partner pair (j, i, -T) |
| node_guess | (N, G, M, M) | eV, 1 | on-site blocks of G guessed matrices, the Hamiltonian first |
| pair_guess | (P, G, M, M) | eV, 1 | their pair blocks; G is 0 without a guess |
| batch | (N,) | | structure of each atom, when several are batched by PyG |

On-site blocks (i, i, 0) belong to the nodes, not to the pairs: ``BlockMatrix`` lists them first
and the pairs after them in the order used here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data

from workbench.hamiltonians.pairs import all_pairs


class Graph(Data):
    """A PyG ``Data`` with the fields of this module's table; batches by PyG's own collate."""

    if TYPE_CHECKING:  # PyG declares fields as optional; these are always present
        pos: Tensor
        z: Tensor
        edge_index: Tensor
        shift: Tensor
        edge_vec: Tensor
        reverse: Tensor
        node_guess: Tensor
        pair_guess: Tensor
        batch: Tensor

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Offset of an index when graphs are joined: pairs for ``reverse``, else atoms."""
        if key == "reverse":
            return self.edge_index.shape[1]
        return super().__inc__(key, value, *args, **kwargs)

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Fields are joined along their first axis, ``edge_index`` along its second."""
        return 1 if key == "edge_index" else 0


def build(atoms: Atoms, cutoff: float | None) -> Graph:
    """The graph of a structure, without a guess.

    Args:
        atoms: any structure; periodic directions need a cutoff.
        cutoff: longest pair, A; None: all pairs of a molecule.

    Raises:
        ValueError: for a periodic structure without a cutoff.
    """
    if atoms.pbc.any():
        edges, shifts = _periodic_pairs(atoms, cutoff)
    else:
        edges, shifts = _molecule_pairs(atoms.positions, cutoff)
    vectors = atoms.positions[edges[1]] - atoms.positions[edges[0]] + shifts @ atoms.cell.array
    return Graph(
        pos=torch.from_numpy(atoms.positions.copy()),
        z=torch.from_numpy(atoms.numbers.astype(np.int64)),
        edge_index=torch.from_numpy(edges),
        shift=torch.from_numpy(shifts),
        edge_vec=torch.from_numpy(vectors),
        reverse=torch.from_numpy(_reverse(edges, shifts)),
        node_guess=torch.zeros(len(atoms), 0, 0, 0, dtype=torch.float64),
        pair_guess=torch.zeros(edges.shape[1], 0, 0, 0, dtype=torch.float64),
    )


def _molecule_pairs(
    positions: NDArray[np.float64], cutoff: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ordered pairs i != j within the cutoff, row-major."""
    n = len(positions)
    edges = all_pairs(n)[:, n:]
    if cutoff is not None:
        vectors = positions[edges[1]] - positions[edges[0]]
        edges = edges[:, np.einsum("ed,ed->e", vectors, vectors) < cutoff**2]
    return edges, np.zeros((edges.shape[1], 3), dtype=np.int64)


def _periodic_pairs(
    atoms: Atoms, cutoff: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ordered pairs (i, j, T) within the cutoff, sorted by i, j and T."""
    if cutoff is None:
        raise ValueError("A periodic structure needs a cutoff: set ModelConfig(cutoff=...).")
    i, j, shifts = neighbor_list("ijS", atoms, cutoff)
    order = np.lexsort([*shifts.T[::-1], j, i])
    edges = np.stack([i[order], j[order]]).astype(np.int64)
    return edges, shifts[order].astype(np.int64)


def _reverse(edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P,) index of (j, i, -T) for each (i, j, T)."""
    there = np.concatenate([edges, shifts.T])
    back = np.concatenate([edges[::-1], -shifts.T])
    result = np.empty(edges.shape[1], dtype=np.int64)
    result[np.lexsort(back)] = np.lexsort(there)
    return result


def join(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one, with ``batch``, without ``pos`` and ``shift``."""
    if len(graphs) == 1:  # PyG's collate takes longer than the network of a small molecule
        whole: Any = copy(graphs[0])
        whole.batch = torch.zeros_like(whole.z)
    else:
        whole = Batch.from_data_list(list(graphs), exclude_keys=["pos", "shift"])
    return Graph(
        z=whole.z,
        edge_index=whole.edge_index,
        edge_vec=whole.edge_vec,
        reverse=whole.reverse,
        node_guess=whole.node_guess,
        pair_guess=whole.pair_guess,
        batch=whole.batch,
    )


def batches(graphs: Sequence[Graph], pairs: int) -> Iterator[list[Graph]]:
    """Consecutive graphs in batches of at most so many pairs; a larger graph is a batch alone."""
    batch, pairs_in_batch = list[Graph](), 0
    for graph in graphs:
        n_pairs = graph.edge_index.shape[1]
        if batch and pairs_in_batch + n_pairs > pairs:
            yield batch
            batch, pairs_in_batch = [], 0
        batch.append(graph)
        pairs_in_batch += n_pairs
    if batch:
        yield batch


def matrix_edges(graph: Graph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges (2, N + P) and shifts (N + P, 3) of the graph's ``BlockMatrix``, on-site first."""
    n = graph.z.shape[0]
    on_site = np.broadcast_to(np.arange(n), (2, n))
    edges = np.concatenate([on_site, graph.edge_index.numpy()], axis=1)
    shifts = np.concatenate([np.zeros((n, 3), dtype=np.int64), graph.shift.numpy()])
    return edges, shifts
