"""Over how many matrix elements is a structure's error a mean, and which does no prediction have?

`evaluate` compares a predicted with a stored matrix over the union of their blocks. Training knows
the pairs that the model predicts before it knows a prediction. It counts the same union here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.models.graph import Graph, matrix_edges

__all__ = ["ElementCounts"]


@dataclass(frozen=True)
class ElementCounts:
    """The elements of one structure's matrix, and those beyond the cutoff.

    Attributes:
        elements: matrix elements in all blocks that are stored or predicted.
        beyond_ev: sum of the moduli of the stored blocks that are not predicted, eV.
        stored: number of stored blocks.
        left_out: number of stored blocks that are neither predicted nor zero.
    """

    elements: int
    beyond_ev: float
    stored: int
    left_out: int

    @classmethod
    def of(cls, H: BlockMatrix, graph: Graph) -> ElementCounts:
        """The counts for a stored matrix, eV, and a model that predicts the pairs of a graph.

        Two hydrogen atoms at 3 A; with a cutoff of 2 A only the two on-site blocks are predicted:

        >>> from ase import Atoms
        >>> from workbench.models.graph import build
        >>> from workbench.training.element_counts import ElementCounts
        >>> basis = wb.Basis("sto-3g", {1: (0,)})
        >>> H = wb.BlockMatrix.from_dense(basis, [1, 1], [[-15.0, -2.0], [-2.0, -15.0]])
        >>> ElementCounts.of(H, build(Atoms("HH", [(0, 0, 0), (0, 0, 3)]), cutoff=2.0))
        ElementCounts(elements=4, beyond_ev=4.0, stored=4, left_out=2)
        """
        edges, shifts = matrix_edges(graph)
        beyond = ~_among(_rows(H.edges, H.shifts), _rows(edges, shifts))
        elements = _sizes(H, edges).sum() + _sizes(H, H.edges[:, beyond]).sum()
        moduli = np.abs(H.values[beyond]).sum(axis=(1, 2))
        left_out = int(np.count_nonzero(moduli))
        return cls(int(elements), float(moduli.sum()), len(beyond), left_out)


def _sizes(H: BlockMatrix, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P,) number of matrix elements without padding in the blocks of pairs, edges (2, P)."""
    spins = 2 if H.basis.spinor else 1
    orbitals = np.array([spins * H.basis.n_orbitals(z) for z in H.numbers.tolist()])
    return orbitals[edges[0]] * orbitals[edges[1]]


def _rows(edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(5, P) row atom, column atom and cell of each pair."""
    return np.concatenate([edges, shifts.T])


def _among(pairs: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(P,) whether each pair, a column of (5, P), is one of the others (5, Q)."""
    both = np.concatenate([pairs, others], axis=1)
    # One integer per pair: to sort these is many times faster than to sort rows of five.
    keys = np.zeros(both.shape[1], dtype=np.int64)
    for row in both:
        keys = keys * (row.max() - row.min() + 1) + row - row.min()
    return np.isin(keys[: pairs.shape[1]], keys[pairs.shape[1] :])
