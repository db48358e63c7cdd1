"""Names and borders of a matrix's rows and columns, as the browser draws them."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["Axis", "atom_axis", "plain_axis"]

Axis = dict[str, Any]  # rows or columns for the browser: atoms, borders, orbitals


def atom_axis(matrix: BlockMatrix, atom: int | None = None) -> Axis:
    """Names and borders of a matrix's rows for the browser, for all atoms or for one atom.

    A matrix with spin contains all orbitals twice: first all spin up, then all spin down.
    """
    offsets, labels = matrix.offsets, np.array(matrix.orbital_labels())
    rows = slice(None) if atom is None else slice(offsets[atom], offsets[atom + 1])
    by_spin = labels.reshape(-1, offsets[-1])[:, rows]  # (1 or 2, n)
    ends = offsets[1:] if atom is None else [by_spin.shape[1]]
    names = [label.split(" ", 1) for label in by_spin.ravel()]
    borders = [0, *(s * by_spin.shape[1] + int(k) for s in range(len(by_spin)) for k in ends)]
    return {
        "atoms": list(dict.fromkeys(name for name, _ in names)),
        "borders": borders,
        "orbitals": [orbital for _, orbital in names],
    }


def plain_axis(n: int) -> Axis:
    """Row names 1, 2, ... for a matrix without atoms."""
    return {"atoms": [""], "borders": [0, n], "orbitals": [str(k + 1) for k in range(n)]}
