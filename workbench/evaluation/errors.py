"""How far two matrices differ: one measure for model errors and symmetry errors alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV, SHELL_LETTERS

ShellPair = tuple[int, int]


@dataclass(frozen=True)
class Errors:
    """Difference of two matrices (or of several pairs), modulus, over existing elements.

    Attributes:
        mae_mev: mean, in meV (in 1e-3 where the matrices are overlaps).
        max_mev: largest.
        shell_pairs: (la, lb) -> (mean, largest) over the elements between shells of these l, row
            first, in meV.
    """

    mae_mev: float
    max_mev: float
    shell_pairs: Mapping[ShellPair, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Numbers only, JSON-able; shell pairs are named like "sp"."""
        pairs = {
            pair_name(pair): {"mae_mev": mean, "max_mev": largest}
            for pair, (mean, largest) in self.shell_pairs.items()
        }
        return {"mae_mev": self.mae_mev, "max_mev": self.max_mev, "shell_pairs": pairs}

    @classmethod
    def merged(cls, errors: Sequence[Errors]) -> Errors:
        """Mean of the means and largest of the maxima, e.g. over several rotations."""
        pairs = {
            pair: (
                float(np.mean([e.shell_pairs[pair][0] for e in errors])),
                max(e.shell_pairs[pair][1] for e in errors),
            )
            for pair in errors[0].shell_pairs
        }
        mean = float(np.mean([e.mae_mev for e in errors]))
        return cls(mean, max(e.max_mev for e in errors), pairs)


def matrix_errors(a: BlockMatrix, b: BlockMatrix) -> Errors:
    """THE measure of how far two matrices differ; of model error and symmetry error alike.

    A block that only one of them stores counts against zero there.

    Args:
        a, b: of the same atoms in the same order, eV.
    Raises: ValueError when they belong to different atoms or bases.
    """
    difference = a - b
    modulus, mask = np.abs(difference.values), difference.mask  # (E, M, M)
    total, count = modulus.sum(axis=0), mask.sum(axis=0)  # (M, M); padding adds exact zeros
    largest = modulus.max(axis=0, initial=0.0)  # (M, M)
    l = _orbital_l(difference)  # (M,)
    pairs = {}
    for la in np.unique(l):
        for lb in np.unique(l):
            part = np.ix_(l == la, l == lb)
            if count[part].any():
                mean = total[part].sum() / count[part].sum()
                pairs[int(la), int(lb)] = (float(mean) * MEV, float(largest[part].max()) * MEV)
    mae = float(total.sum() / max(count.sum(), 1))
    return Errors(mae * MEV, float(largest.max()) * MEV, pairs)


def _orbital_l(matrix: BlockMatrix) -> NDArray[np.intp]:
    """(M,) or (2M,) the l of each orbital of the padded frame."""
    layout = np.array(matrix.basis.layout, dtype=np.intp)
    return np.tile(np.repeat(layout, 2 * layout + 1), 2 if matrix.basis.spinor else 1)


def pair_name(pair: ShellPair) -> str:
    """Letters of two shells, the row's first, e.g. "pd"."""
    return SHELL_LETTERS[pair[0]] + SHELL_LETTERS[pair[1]]


def aligned_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, the first column to the left and all others to the right."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if c == 0 else cell.rjust(width)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
