"""Blocks of DeepH files, in both layouts, and the padded blocks of a `BlockMatrix`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError, check_elements
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import order_index
from workbench.hamiltonians.pairs import canonical_order

__all__ = ["check_padding", "from_blocks", "to_blocks"]

Positions = tuple[NDArray[np.intp], NDArray[np.intp]]  # in a stored block, in the padded frame
_ALWAYS, _RATIO = 1 << 28, 100  # bytes of padded blocks, and per byte of the stored blocks


def to_blocks(
    path: Path,
    basis: Basis,
    numbers: NDArray[np.int64],
    keys: NDArray[np.int64],
    arrays: list[NDArray[Any]],
    order: str,
) -> BlockMatrix:
    """All blocks of a file in our order, on-site blocks first.

    Args:
        path: of the file, for messages.
        basis: of the blocks.
        numbers: (N,) atomic numbers.
        keys: (E, 5) cell, row atom and column atom, which count from 0.
        arrays: the E blocks.
        order: the program whose orbital order they have.

    Raises:
        FormatError: for blocks that do not fit the atoms, each other or the basis.
    """
    shifts, pairs = keys[:, :3], keys[:, 3:]
    for i, j in pairs[((pairs < 0) | (pairs >= len(numbers))).any(axis=1)].tolist():
        raise FormatError(
            f"{path} has a block of the atoms {i + 1} and {j + 1}, of {len(numbers)} atoms."
        )
    values = _padded(path, basis, numbers, pairs, arrays, order)
    rank = canonical_order(pairs.T, shifts)
    matrix = BlockMatrix(basis, numbers, pairs[rank].T, shifts[rank], values[rank])
    absent = set(range(len(numbers))) - set(matrix.edges[0, ~matrix.off_site].tolist())
    if absent:
        raise FormatError(f"{path} lacks the block [0, 0, 0, i, i] of atom {min(absent) + 1}.")
    try:
        matrix.reverse  # noqa: B018 - finds the partner of each block, or raises
    except ValueError as error:
        raise FormatError(
            f"{path}: some block [R, i, j] has no partner [-R, j, i]; both must be stored."
        ) from error
    return matrix


def from_blocks(matrix: BlockMatrix, order: str) -> Iterator[tuple[int, NDArray[Any]]]:
    """The number of each block of a matrix, and the block in another program's orbital order."""
    pairs = matrix.edges.T
    for members, rows, columns in _species_pairs(matrix.basis, matrix.numbers, pairs, order):
        back = [np.argsort(positions[0]) for positions in (rows, columns)]
        kept = matrix.values[members[:, None, None], rows[1][:, None], columns[1]]
        yield from zip(members.tolist(), kept[:, back[0][:, None], back[1]], strict=True)


def check_padding(path: Path, count: int, basis: Basis, stored: int) -> None:
    """Check that padded blocks take not much more memory than what a file stores of them.

    Args:
        path: of the file.
        count: number of blocks.
        basis: of the blocks.
        stored: bytes of their stored elements.

    Raises:
        FormatError: beyond 256 MiB and 100 times the stored bytes.
    """
    m = basis.dim * (2 if basis.spinor else 1)
    itemsize = 16 if basis.spinor else 8
    if not count * m**2 * itemsize <= _ALWAYS + _RATIO * stored:
        raise FormatError(
            f"{path} has {count} blocks that are much smaller than the {m} orbitals that "
            "the shells of the atoms declare: check that the files belong together."
        )


def _padded(
    path: Path,
    basis: Basis,
    numbers: NDArray[np.int64],
    pairs: NDArray[np.int64],
    arrays: list[NDArray[Any]],
    order: str,
) -> NDArray[Any]:
    """Blocks (E, M, M) in the padded frame, all blocks of a species pair at once."""
    check_padding(path, len(pairs), basis, sum(a.nbytes for a in arrays))
    m = basis.dim * (2 if basis.spinor else 1)
    kind = np.dtype(np.complex128 if basis.spinor else np.float64)
    values = np.zeros((len(pairs), m, m), dtype=kind)
    for members, rows, columns in _species_pairs(basis, numbers, pairs, order):
        shape = len(rows[0]), len(columns[0])
        for e in members:
            if arrays[e].shape != shape:
                i, j = pairs[e] + 1
                raise FormatError(
                    f"{path}: a block of atoms {i} and {j} has the shape {arrays[e].shape}, but "
                    f"the shells and the spin of the atoms ask for {shape}."
                )
        stack = np.stack([arrays[e] for e in members])
        if stack.dtype.kind not in "fiuc":
            raise FormatError(f"{path} has blocks that are no numbers.")
        check_elements(path, stack)
        if np.iscomplexobj(stack) and not basis.spinor:
            raise FormatError(f"{path} holds complex numbers, but info.json says no spin.")
        ours = stack[:, rows[0][:, None], columns[0]]
        values[members[:, None, None], rows[1][:, None], columns[1]] = ours
    return values


def _species_pairs(
    basis: Basis, numbers: NDArray[np.int64], pairs: NDArray[np.int64], order: str
) -> Iterator[tuple[NDArray[np.intp], Positions, Positions]]:
    """For each pair of elements: its blocks, and the positions of their rows and columns."""
    positions = {z: _positions(basis, z, order) for z in set(numbers.tolist())}
    species = numbers[pairs]
    for a, b in np.unique(species, axis=0).tolist():
        members = np.flatnonzero((species == (a, b)).all(axis=1))
        yield members, positions[a], positions[b]


def _positions(basis: Basis, number: int, order: str) -> Positions:
    """Indices of an element's orbitals in a stored block and in the padded frame, with spin."""
    stored = order_index(order, basis.shells[number])
    frame = basis.slots(number)
    if basis.spinor:
        stored = np.concatenate([stored, stored + len(stored)])
        frame = np.concatenate([frame, frame + basis.dim])
    return stored, frame
