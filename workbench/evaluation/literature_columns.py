"""The literature's columns: errors of blocks, of the most challenging structure and block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV, SHELL_LETTERS

__all__ = ["Challenging", "block_errors", "block_name", "challenging"]


def block_errors(a: BlockMatrix, b: BlockMatrix) -> NDArray[np.float64]:
    """Mean modulus of the difference of two matrices in each block of two shells.

    A block is the unit that DeepH-E3 predicts: all elements between one shell of one chemical
    element and one shell of another, on-site and off-site, of all spins.

    Args:
        a, b: of the same atoms in the same order, eV.

    Returns:
        (elements, elements, shells, shells) meV, row first, in the order of the common basis's
        elements and of its padded layout; nan where there is no such block.
    """
    difference = a - b
    basis, mask = difference.basis, difference.mask  # (E, M, M)
    kinds = np.searchsorted(basis.elements, difference.numbers)[difference.edges]  # (2, E)
    elements, shells = len(basis.elements), len(basis.layout)
    sums = np.zeros((2, elements, elements, shells, shells))
    for total, values in zip(sums, (np.abs(difference.values), mask.astype(float)), strict=True):
        np.add.at(total, tuple(kinds), _by_shells(values, basis))
    return np.divide(sums[0] * MEV, sums[1], where=sums[1] > 0, out=np.full_like(sums[0], np.nan))


def _by_shells(values: NDArray[np.float64], basis: Basis) -> NDArray[np.float64]:
    """(E, shells, shells) sums over the matrix elements of each pair of shells and all spins."""
    spins = 2 if basis.spinor else 1
    scalar = values.reshape(len(values), spins, basis.dim, spins, basis.dim).sum(axis=(1, 3))
    rows = np.add.reduceat(scalar, basis.shell_starts, axis=1)
    return np.add.reduceat(rows, basis.shell_starts, axis=2)


@dataclass(frozen=True)
class Challenging:
    """Errors on the most challenging structure and block, meV.

    Attributes:
        structure: index of the structure with the largest MAE.
        structure_mae: MAE_cha_s, the MAE of that structure.
        block: index in `block_errors` of the block with the largest mean over structures.
        block_mae: MAE_cha_b, that mean.
    """

    structure: int
    structure_mae: float
    block: tuple[int, ...]
    block_mae: float


def challenging(
    structures: Sequence[float],
    blocks: Sequence[NDArray[np.float64]],
    hardest: Challenging | None = None,
) -> Challenging:
    """MAE_cha_s and MAE_cha_b: the errors of the most challenging structure and block.

    The terms are TraceGrad's (arXiv 2405.05722). They have two readings: the structure and the
    block with the model's own largest errors, or those with the largest errors of its baseline.

    Args:
        structures: (n,) MAE of each structure, meV.
        blocks: (n,) `block_errors` of each structure.
        hardest: the baseline's result, for the second reading; None for the first.
    """
    means: Any = np.ma.masked_invalid(np.stack(blocks)).mean(axis=0)
    if hardest is None:
        structure = int(np.argmax(structures))
        block = tuple(int(n) for n in np.unravel_index(means.argmax(), means.shape))
    else:
        structure, block = hardest.structure, hardest.block
    return Challenging(structure, structures[structure], block, float(means[block]))


def block_name(basis: Basis, block: Sequence[int]) -> str:
    """Name of a block, e.g. "Mo 4d, S 3p"; shells of one l are numbered as in `Basis.labels`.

    Args:
        basis: of the matrices.
        block: index in `block_errors`: two elements, then two shells.
    """
    names = []
    for element, shell in zip(block[:2], block[2:], strict=True):
        l = basis.layout[shell]
        n = l + 1 + shell - basis.layout.index(l)
        names.append(f"{chemical_symbols[basis.elements[element]]} {n}{SHELL_LETTERS[l]}")
    return ", ".join(names)
