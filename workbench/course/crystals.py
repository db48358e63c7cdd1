"""Tasks about crystals: Bloch sums, the Dirac point, and what a mistake in the cells does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.verdict import Verdict, compared
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV

__all__ = ["bloch_sum", "blocks", "dirac_point", "opposite_cells"]

_TOUCHING = 0.02  # eV; what a real-space grid may open where two bands should touch


def bloch_sum(answer: ArrayLike, block: tuple[int, int], k: ArrayLike, H: BlockMatrix) -> Verdict:
    """Whether an answer is the block ``H_ij(k) = sum_T exp(2 pi i k.T) H_ij(T)``.

    Args:
        answer: (rows, columns) eV.
        block: the pair of atoms i, j.
        k: (3,) fractions of the reciprocal cell.
        H: the blocks H(T), eV.
    """
    k = np.asarray(k, dtype=float)
    found = blocks(H, *block)
    whole = sum(np.exp(2j * np.pi * (k @ T)) * value for T, value in found.items())
    given = np.asarray(answer)
    if given.shape != np.shape(whole):
        return Verdict(
            False,
            f"the block has {' x '.join(map(str, np.shape(whole)))} elements, yours "
            f"{' x '.join(map(str, given.shape)) or 'one'}: add whole blocks.",
        )
    wrong = {
        "these are the blocks without their phases, as at k = 0.": sum(found.values()),
        "the phases run backwards: T is the cell of the column's atom, with a plus sign.": np.conj(
            whole
        ),
        "that is the block of the cell T = 0 alone: the neighbours in other cells are missing.": (
            found.get((0, 0, 0), np.zeros(given.shape))
        ),
        "a factor of 2 pi is missing from the phase: k comes in fractions, not in 1/A.": sum(
            np.exp(1j * (k @ T)) * value for T, value in found.items()
        ),
    }
    done = f"{len(found)} cells T, each block with its phase."
    return compared(given, whole, done, wrong, f"the sum has {len(found)} terms")


def dirac_point(answer: ArrayLike, H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> Verdict:
    """Whether the highest filled and lowest empty band touch at a k (3,), fractions."""
    k = np.asarray(answer, dtype=float)
    if k.shape != (3,):
        return Verdict(False, "k has three components, in fractions of the reciprocal cell.")
    filled = n_electrons // 2
    low, high = energies_at(H, S, k)[filled - 1 : filled + 1]
    if high - low < _TOUCHING:
        return Verdict(True, f"the bands touch here, {MEV * (high - low):.1f} meV apart.")
    named = {"Γ, the zone's centre": (0, 0, 0), "M, the middle of an edge": (0.5, 0, 0)}
    for name, point in named.items():
        if np.allclose(np.abs(k), point) or np.allclose(np.abs(k[[1, 0, 2]]), point):
            return Verdict(
                False, f"that is {name}: the bands are {high - low:.2f} eV apart. Try a corner."
            )
    return Verdict(False, f"here the bands are {high - low:.2f} eV apart.")


def opposite_cells(H: BlockMatrix) -> BlockMatrix:
    """A plausible mistake of a file reader: every block put into the cell -T instead of T."""
    return replace(H, shifts=-H.shifts)


def blocks(H: BlockMatrix, i: int, j: int) -> dict[tuple[int, ...], NDArray[Any]]:
    """Each cell T that holds a neighbour j of atom i, and the block of the two, eV."""
    mine = np.flatnonzero((H.edges[0] == i) & (H.edges[1] == j))
    cells = [tuple(int(c) for c in T) for T in H.shifts[mine]]
    return {T: H.block(i, j, T) for T in cells}
