"""The difference of two matrices: one measure for model errors and equivariance errors."""

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
    """Modulus of the difference of two matrices, or of several pairs of matrices.

    Attributes:
        mae_mev: mean over the stored elements, in meV (in 1e-3 if the matrices are overlaps).
        max_mev: largest, in the same unit.
        shell_pairs: (la, lb) -> (mean, largest) over the elements between shells of these l, row
            first, in the same unit.
    """

    mae_mev: float
    max_mev: float
    shell_pairs: Mapping[ShellPair, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """JSON-able, with shell pairs named like "sp"."""
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
    """The errors of one matrix against another; all errors of this package are computed here.

    A block that only one of the matrices stores is compared with zero.

    Args:
        a, b: of the same atoms in the same order, eV.

    Raises:
        ValueError: if the matrices belong to different atoms or bases.

    >>> from workbench.evaluation.errors import matrix_errors
    >>> H = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").H
    >>> errors = matrix_errors(1.001 * H, H)
    >>> bool(np.isclose(errors.mae_mev, abs(H.dense()).mean()))  # 1e-3 of the mean element, meV
    True
    >>> sorted(errors.shell_pairs)
    [(0, 0), (0, 1), (1, 0), (1, 1)]
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
    """Letters of two shells, row first, e.g. "pd"."""
    return SHELL_LETTERS[pair[0]] + SHELL_LETTERS[pair[1]]


def aligned_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, the first column aligned to the left and all others to the right."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if c == 0 else cell.rjust(width)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
