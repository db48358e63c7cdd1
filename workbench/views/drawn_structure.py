"""A structure as the browser draws it: atoms, bonds, and the edges of the cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list

__all__ = ["bonds", "bonds_across", "cell_lines", "drawn_structure"]

_BONDED = 1.15  # longest bond, in units of the sum of two covalent radii


def bonds(atoms: Atoms) -> list[tuple[int, int]]:
    """Pairs i < j of atoms within 1.15 times the sum of their covalent radii, same cell only."""
    radii = natural_cutoffs(atoms, mult=_BONDED)  # pyright: ignore[reportArgumentType]
    i, j, shift = neighbor_list("ijS", atoms, radii)
    in_cell = (i < j) & ~np.asarray(shift).any(axis=1)
    return [(int(a), int(b)) for a, b in zip(i[in_cell], j[in_cell], strict=True)]


def bonds_across(atoms: Atoms) -> list[list[list[float]]]:
    """Bonds to atoms of other cells: lines [start, end] in A, from each atom to the middle."""
    radii = natural_cutoffs(atoms, mult=_BONDED)  # pyright: ignore[reportArgumentType]
    i, shift, away = neighbor_list("iSD", atoms, radii)
    crossing = np.asarray(shift).any(axis=1)
    starts = atoms.positions[i[crossing]]
    ends = starts + away[crossing] / 2
    return [list(line) for line in np.stack([starts, ends], axis=1).tolist()]


def cell_lines(atoms: Atoms) -> list[list[list[float]]]:
    """The 12 edges of the unit cell as [start, end] points, A; none for a molecule."""
    if not atoms.pbc.any():
        return []
    corners = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    edges = [
        (p, q) for p in corners for q in corners if p < q and np.abs(np.subtract(q, p)).sum() == 1
    ]
    cell = np.asarray(atoms.cell.array)
    return [[(np.array(p) @ cell).tolist(), (np.array(q) @ cell).tolist()] for p, q in edges]


def drawn_structure(atoms: Atoms) -> dict[str, Any]:
    """A structure for the browser: symbols, positions in A, bonds and lines."""
    return {
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "bonds": bonds(atoms),
        "cell": [*cell_lines(atoms), *bonds_across(atoms)],
    }
