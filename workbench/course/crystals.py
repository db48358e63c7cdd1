"""Tasks about crystals: Bloch sums, the Dirac point, and a mistake in the cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import checks_answer, numbers
from workbench.course.verdict import Verdict, compared
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV

__all__ = ["bloch_sum", "blocks", "dirac_point", "opposite_cells"]

_TOUCHING = 0.02  # eV; gap that a real-space grid may open between touching bands


@checks_answer
def bloch_sum(answer: ArrayLike, block: tuple[int, int], k: ArrayLike, H: BlockMatrix) -> Verdict:
    """Check the block ``H_ij(k) = sum_T exp(2 pi i k.T) H_ij(T)``.

    Args:
        answer: (rows, columns) eV.
        block: the pair of atoms i, j.
        k: (3,) fractions of the reciprocal cell.
        H: the blocks H(T), eV.

    >>> from workbench.course import crystals
    >>> H, k = wb.Dataset("graphene")[0].H, (0.3, 0.1, 0.0)
    >>> crystals.bloch_sum(H.at_k(k)[:13, 13:], (0, 1), k, H).right  # 13 orbitals an atom
    True
    """
    k = np.asarray(k, dtype=float)
    by_cell = blocks(H, *block)
    right = sum(np.exp(2j * np.pi * (k @ T)) * value for T, value in by_cell.items())
    submitted = numbers(answer, "the block, an array of complex numbers", real=False)
    if submitted.shape != np.shape(right):
        return Verdict(
            False,
            f"the block has {' x '.join(map(str, np.shape(right)))} elements, yours "
            f"{' x '.join(map(str, submitted.shape)) or 'one'}: add whole blocks.",
        )
    wrong = {
        "this is the sum of the blocks without phases, as at k = 0.": sum(by_cell.values()),
        "the phases have the wrong sign: T, the cell of the column atom, has a plus sign.": np.conj(
            right
        ),
        "that is only the block of the cell T = 0: the neighbours in other cells are missing.": (
            by_cell.get((0, 0, 0), np.zeros(submitted.shape))
        ),
        "a factor of 2 pi is missing in the phase: k is given in fractions, not in 1/Å.": sum(
            np.exp(1j * (k @ T)) * value for T, value in by_cell.items()
        ),
    }
    done = f"{len(by_cell)} cells T, each block with its phase."
    return compared(submitted, right, done, wrong, f"the sum has {len(by_cell)} terms")


@checks_answer
def dirac_point(answer: ArrayLike, H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> Verdict:
    """Check whether the highest occupied and lowest empty band touch at a k (3,), fractions.

    >>> from workbench.course import crystals
    >>> sheet = wb.Dataset("graphene")[0]
    >>> crystals.dirac_point((1 / 3, 1 / 3, 0), sheet.H, sheet.S, sheet.n_electrons).right
    True
    """
    k = numbers(answer, "three numbers, k in fractions of the reciprocal cell")
    if k.shape != (3,):
        return Verdict(False, "k has three components, in fractions of the reciprocal cell.")
    k, filled = _unrounded(k), n_electrons // 2
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


def _unrounded(k: NDArray[np.float64]) -> NDArray[np.float64]:
    """K with thirds instead of 0.333 or 0.667, as one types them."""
    thirds = np.round(3 * k) / 3
    return np.where(np.abs(k - thirds) < 1e-3, thirds, k)


def opposite_cells(H: BlockMatrix) -> BlockMatrix:
    """A plausible mistake of a file reader: every block in the cell -T instead of T.

    >>> from workbench.course import crystals
    >>> H, k = wb.Dataset("graphene")[0].H, np.array([0.3, 0.1, 0.0])
    >>> bool(np.allclose(crystals.opposite_cells(H).at_k(k), H.at_k(-k)))
    True
    """
    return replace(H, shifts=-H.shifts)


def blocks(H: BlockMatrix, i: int, j: int) -> dict[tuple[int, ...], NDArray[Any]]:
    """Cell T -> the block of atom i with atom j in this cell, eV.

    >>> from workbench.course import crystals
    >>> H = wb.Dataset("graphene")[0].H
    >>> (0, 0, 0) in crystals.blocks(H, 0, 1)
    True
    """
    stored = np.flatnonzero((H.edges[0] == i) & (H.edges[1] == j))
    cells = [tuple(int(c) for c in T) for T in H.shifts[stored]]
    return {T: H.block(i, j, T) for T in cells}
