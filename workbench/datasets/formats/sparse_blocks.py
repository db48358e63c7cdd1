"""Elements of another program's sparse matrices, and the padded blocks of a `BlockMatrix`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.formats.deeph_blocks import check_padding
from workbench.datasets.validation import ACROSS_OVERLAP, across_the_pair
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import order_index, order_signs
from workbench.hamiltonians.pairs import canonical_order

__all__ = ["FARTHEST_CELL", "Pattern", "is_folded", "pattern"]

FARTHEST_CELL = 1_000_000
"""Largest cell index of a matrix element."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """The places of n matrix elements in E blocks; both blocks of each hermitian pair are there.

    Attributes:
        edges: (2, E) row and column atom of each block, in canonical order.
        shifts: (E, 3) cell of the column atom.
        block: (n,) number of the block of each element.
        slots: (2, n) its row and column in the padded frame of M orbitals.
        signs: (n,) between the program's real harmonics and ours.
        dim: M.
    """

    edges: NDArray[np.int64]
    shifts: NDArray[np.int64]
    block: NDArray[np.intp]
    slots: NDArray[np.intp]
    signs: NDArray[np.float64]
    dim: int

    def blocks(self, elements: NDArray[Any], spins: NDArray[np.intp] | None = None) -> NDArray[Any]:
        """The padded blocks.

        Args:
            elements: (n,) in the program's signs.
            spins: (2, n) of each element's row and column, 0 up and 1 down; None without spin.

        Returns:
            (E, M, M), or with spins (E, 2M, 2M), spin outermost.
        """
        m = self.dim if spins is None else 2 * self.dim
        rows, columns = self.slots if spins is None else self.slots + self.dim * spins
        values = np.zeros((len(self.shifts), m, m), elements.dtype)
        values[self.block, rows, columns] = self.signs * elements
        return values


def pattern(
    path: Path,
    numbers: NDArray[np.int64],
    basis: Basis,
    order: str,
    orbitals: NDArray[np.intp],
    cells: NDArray[np.int64],
) -> Pattern:
    """Where matrix elements belong.

    Args:
        path: of the file, for the error.
        numbers: (N,) atomic numbers.
        basis: their shells.
        order: the program whose orbital order and signs the matrix has, atom after atom.
        orbitals: (2, n) row and column of each element, without spin.
        cells: (n, 3) cell of its column, at most `FARTHEST_CELL`.

    Raises:
        FormatError: if the blocks would take much more memory than the elements.
    """
    slots, signs = _layout(numbers, basis, order)
    sizes = [basis.n_orbitals(z) for z in numbers.tolist()]
    owner = np.repeat(np.arange(len(numbers)), sizes)[orbitals]
    first, of_element = _distinct(owner, cells, len(numbers))
    keys = np.concatenate([owner[:, first], cells[first].T])
    partners = np.concatenate([keys[1::-1], -keys[2:]])
    atoms = np.arange(len(numbers))
    on_site = np.stack([atoms, atoms, *np.zeros((3, len(atoms)), np.int64)])
    every, index = np.unique(
        np.concatenate([keys, partners, on_site], axis=1), axis=1, return_inverse=True
    )
    check_padding(path, every.shape[1], basis, 16 * orbitals.shape[1])
    rank = canonical_order(every[:2], every[2:].T)
    block = np.argsort(rank)[index.ravel()[of_element]]
    sign = signs[orbitals[0]] * signs[orbitals[1]]
    return Pattern(every[:2, rank], every[2:, rank].T, block, slots[orbitals], sign, basis.dim)


def _distinct(
    owner: NDArray[np.int64], cells: NDArray[np.int64], n: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An element of each block, and the block of each element, as numbers of blocks.

    Blocks are told apart by one integer each, since a sort of integers is ten times as fast.
    """
    side = 2 * FARTHEST_CELL + 1  # its third power fits into an integer
    _, cell = np.unique(cells @ np.array([side * side, side, 1]), return_inverse=True)
    pairs = (cell.ravel() * n + owner[0]) * n + owner[1]
    _, first, block = np.unique(pairs, return_index=True, return_inverse=True)
    return first, block.ravel()


def is_folded(atoms: Atoms, S: BlockMatrix) -> bool:
    """Whether matrices of the cell 0 alone contain the sums over all periodic images.

    A run at Gamma alone adds the images, and they cannot be separated again. The overlap shows it:
    a pair of atoms has more than one direction.

    Args:
        atoms: the structure, positions and cell in A.
        S: its overlap.
    """
    return not S.shifts.any() and not across_the_pair(S, atoms) <= ACROSS_OVERLAP


def _layout(
    numbers: NDArray[np.int64], basis: Basis, order: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Slot in the padded frame and sign of each orbital, atom by atom, in a program's order."""
    slots, signs = [], []
    for z in numbers.tolist():
        stored = np.argsort(order_index(order, basis.shells[z]))
        slots.append(basis.slots(z)[stored])
        signs.append(order_signs(order, basis.shells[z])[stored])
    return np.concatenate(slots), np.concatenate(signs)
