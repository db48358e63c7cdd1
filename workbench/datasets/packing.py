"""Matrices packed into rows of numbers for a dataset file, and unpacked again.

A molecule is stored as the upper triangle of the dense matrix. A crystal, whose blocks reach into
other cells, is stored as one block of each hermitian pair. Complex matrices store all real parts
first. The overlap does not act on spin, so it is stored without spin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix, aligned

__all__ = ["Pairs", "pack_blocks", "pack_triangles", "unpack_blocks", "unpack_triangle"]


def pack_triangles(
    H: BlockMatrix, S: BlockMatrix | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Upper triangles of a molecule's dense H and S, row-major."""
    triangles = [
        None if m is None else _as_real(m.dense()[np.triu_indices(m.n_ao)]) for m in (H, _scalar(S))
    ]
    assert triangles[0] is not None
    return triangles[0], triangles[1]


def unpack_triangle(
    basis: Basis, numbers: NDArray[np.int64], packed: NDArray[np.float64]
) -> BlockMatrix:
    """The matrix of a molecule from its packed triangle."""
    upper = _from_real(packed, basis.spinor)
    n = (int(np.sqrt(8 * len(upper) + 1)) - 1) // 2
    dense = np.zeros((n, n), dtype=upper.dtype)
    dense[np.triu_indices(n)] = upper
    return BlockMatrix.from_dense(basis, numbers, dense + np.triu(dense, 1).conj().T)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The stored blocks of a crystal.

    Attributes:
        edges: (2, E) row atoms and column atoms.
        shifts: (E, 3) cell of the column atom.
    """

    edges: NDArray[np.int64]
    shifts: NDArray[np.int64]

    def table(self) -> NDArray[np.int32]:
        """(E, 5) row atom, column atom, cell."""
        return np.concatenate([self.edges, self.shifts.T]).T.astype("<i4")

    @classmethod
    def of_table(cls, table: NDArray[Any]) -> Pairs:
        """The pairs listed in a `table`."""
        return cls(table[:, :2].T.astype(np.int64), table[:, 2:].astype(np.int64))


def pack_blocks(
    H: BlockMatrix, S: BlockMatrix | None
) -> tuple[Pairs, NDArray[np.float64], NDArray[np.float64] | None]:
    """One block of each hermitian pair: the pairs, and the elements of H and of S without padding.

    Raises:
        ValueError: if a block has no partner.
    """
    if S is not None:
        H, S = aligned(H, S)
    half = H.half
    packed = [
        None if m is None else _as_real(m.values[half][m.mask[half]]) for m in (H, _scalar(S))
    ]
    assert packed[0] is not None
    return Pairs(H.edges[:, half], H.shifts[half]), packed[0], packed[1]


def unpack_blocks(
    basis: Basis, numbers: NDArray[np.int64], pairs: Pairs, packed: NDArray[np.float64]
) -> BlockMatrix:
    """The hermitian matrix of packed blocks.

    Raises:
        ValueError: if the pairs are not those of the atoms, or the elements not those of the pairs;
            the message completes "the sample has".
    """
    if not ((pairs.edges >= 0) & (pairs.edges < len(numbers))).all():
        raise ValueError("a pair of atoms that do not exist")
    sizes = np.array([basis.n_orbitals(z) for z in numbers.tolist()])
    spins = 8 if basis.spinor else 1  # four blocks, real and imaginary part
    if len(packed) != spins * sizes[pairs.edges].prod(axis=0).sum():
        raise ValueError("another number of matrix elements than its pairs of atoms ask for")
    m = basis.dim * (2 if basis.spinor else 1)
    elements = _from_real(packed, basis.spinor)
    values = np.zeros((len(pairs.shifts), m, m), dtype=elements.dtype)
    half = BlockMatrix(basis, numbers, pairs.edges, pairs.shifts, values)
    values[half.mask] = elements
    return BlockMatrix.from_half(basis, numbers, pairs.edges, pairs.shifts, values)


def _scalar(S: BlockMatrix | None) -> BlockMatrix | None:
    """The overlap without spin."""
    return S.without_spin() if S is not None and S.basis.spinor else S


def _as_real(values: NDArray[Any]) -> NDArray[np.float64]:
    """Real numbers unchanged; of complex numbers all real parts and then all imaginary parts."""
    if not np.iscomplexobj(values):
        return values
    return np.concatenate([np.real(values), np.imag(values)])


def _from_real(packed: NDArray[np.float64], spinor: bool) -> NDArray[Any]:
    """The inverse of `_as_real`."""
    half = len(packed) // 2
    return packed[:half] + 1j * packed[half:] if spinor else packed
