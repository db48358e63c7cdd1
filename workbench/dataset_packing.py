"""How a matrix becomes a row of numbers in a dataset file, and back.

Of a molecule the upper triangle of the dense matrix is kept. Of a crystal, whose blocks reach into
other cells, one block of each hermitian pair. Complex matrices put all real parts first; an
overlap, which does not act on spin, is kept without it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.basis import Basis
from workbench.matrices import BlockMatrix, aligned

__all__ = ["Pairs", "Spool", "pack_blocks", "pack_triangles", "unpack_blocks", "unpack_triangle"]

_AT_ONCE = 1 << 20


def pack_triangles(
    H: BlockMatrix, S: BlockMatrix | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Upper triangles of a molecule's dense H and S, row-major."""
    triangles = [
        None if m is None else _parts(m.dense()[np.triu_indices(m.n_ao)]) for m in (H, _plain(S))
    ]
    assert triangles[0] is not None
    return triangles[0], triangles[1]


def unpack_triangle(
    basis: Basis, numbers: NDArray[np.int64], packed: NDArray[np.float64]
) -> BlockMatrix:
    """The molecule's matrix of a packed triangle."""
    upper = _joined(packed, basis.spinor)
    n = (int(np.sqrt(8 * len(upper) + 1)) - 1) // 2
    dense = np.zeros((n, n), dtype=upper.dtype)
    dense[np.triu_indices(n)] = upper
    return BlockMatrix.from_dense(basis, numbers, dense + np.triu(dense, 1).conj().T)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which blocks of a crystal are kept: (E,) row atoms, column atoms, and (E, 3) cells."""

    edges: NDArray[np.int64]
    shifts: NDArray[np.int64]

    def table(self) -> NDArray[np.int32]:
        """(E, 5) row atom, column atom, cell."""
        return np.concatenate([self.edges, self.shifts.T]).T.astype("<i4")

    @classmethod
    def of_table(cls, table: NDArray[Any]) -> Pairs:
        """The pairs that `table` lists."""
        return cls(table[:, :2].T.astype(np.int64), table[:, 2:].astype(np.int64))


def pack_blocks(
    H: BlockMatrix, S: BlockMatrix | None
) -> tuple[Pairs, NDArray[np.float64], NDArray[np.float64] | None]:
    """One block of each hermitian pair: which, and the existing elements of H and of S in turn.

    Raises:
        ValueError: if a block has no partner.
    """
    if S is not None:
        H, S = aligned(H, S)
    half = H.half
    packed = [None if m is None else _parts(m.values[half][m.mask[half]]) for m in (H, _plain(S))]
    assert packed[0] is not None
    return Pairs(H.edges[:, half], H.shifts[half]), packed[0], packed[1]


def unpack_blocks(
    basis: Basis, numbers: NDArray[np.int64], pairs: Pairs, packed: NDArray[np.float64]
) -> BlockMatrix:
    """The hermitian matrix of packed blocks."""
    m = basis.dim * (2 if basis.spinor else 1)
    elements = _joined(packed, basis.spinor)
    values = np.zeros((len(pairs.shifts), m, m), dtype=elements.dtype)
    half = BlockMatrix(basis, numbers, pairs.edges, pairs.shifts, values)
    values[half.mask] = elements
    return BlockMatrix.from_half(basis, numbers, pairs.edges, pairs.shifts, values)


def _plain(S: BlockMatrix | None) -> BlockMatrix | None:
    """An overlap as it is kept: without spin, on which it does not act."""
    return S.without_spin() if S is not None and S.basis.spinor else S


def _parts(values: NDArray[Any]) -> NDArray[np.float64]:
    """Real numbers as they are; of complex ones the real and then the imaginary parts."""
    if not np.iscomplexobj(values):
        return values
    return np.concatenate([np.real(values), np.imag(values)])


def _joined(packed: NDArray[np.float64], spinor: bool) -> NDArray[Any]:
    """What `_parts` took apart."""
    half = len(packed) // 2
    return packed[:half] + 1j * packed[half:] if spinor else packed


class Spool:
    """A long array of eight-byte numbers that grows on disk, not in memory.

    Args:
        folder: where its nameless file lies; it vanishes with the object.
        dtype: of the numbers, eight bytes each.
    """

    def __init__(self, folder: Path, dtype: str) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as self
        self._dtype = np.dtype(dtype)
        self.sizes: list[int] = []
        self._largest = 0.0

    def append(self, values: NDArray[Any]) -> None:
        """Put values at the end, and their number among `sizes`."""
        self._file.write(values.astype(self._dtype).tobytes())
        self.sizes.append(len(values))
        self._largest = max(self._largest, float(np.abs(values).max(initial=0)))

    def array(self) -> NDArray[Any]:
        """Everything, mapped from disk; integers in four bytes where they fit.

        Fewer bytes that only repeat the sign make a smaller file.
        """
        self._file.flush()
        if not sum(self.sizes):
            return np.empty(0, self._dtype)
        whole = np.memmap(self._file, self._dtype, mode="r")
        if self._dtype.kind != "i" or self._largest > np.iinfo("<i4").max:
            return whole
        narrow = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        for start in range(0, len(whole), _AT_ONCE):
            narrow.write(whole[start : start + _AT_ONCE].astype("<i4").tobytes())
        narrow.flush()
        return np.memmap(narrow, np.dtype("<i4"), mode="r")
