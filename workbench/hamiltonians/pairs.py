"""Which pairs of atoms does a matrix store, and in which order?

A pair is a row atom i, a column atom j and the cell T of the column atom: edges (2, E) and shifts
(E, 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["all_pairs", "canonical_order", "off_site"]


def all_pairs(n_atoms: int) -> NDArray[np.int64]:
    """Edges (2, N*N) of a molecule in canonical order: on-site first, then i != j row-major."""
    row, column = np.divmod(np.arange(n_atoms * n_atoms), max(n_atoms, 1))
    order = np.argsort(row != column, kind="stable")
    return np.stack([row[order], column[order]]).astype(np.int64)


def canonical_order(edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.intp]:
    """Index (E,) that sorts blocks: on-site blocks first, then by row atom, column atom, cell."""
    return np.lexsort([*shifts.T[::-1], edges[1], edges[0], off_site(edges, shifts)])


def off_site(edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(E,) True where a block couples two atoms; a periodic image is another atom."""
    return (edges[0] != edges[1]) | shifts.any(axis=1)
