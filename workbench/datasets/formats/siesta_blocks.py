"""From sisl's sparse matrices to blocks, in the workbench's order and signs of orbitals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.formats import check_elements
from workbench.datasets.formats.sparse_blocks import pattern
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["PROGRAM", "matrices"]

PROGRAM = "siesta"  # the files have the orbital order and signs of this program


def matrices(path: Path, H: Any, atoms: Atoms, basis: Basis) -> tuple[BlockMatrix, BlockMatrix]:
    """H and S of sisl's Hamiltonian, with the workbench's order and signs of orbitals.

    Args:
        path: of the file, for the error.
        H: sisl's Hamiltonian, eV.
        atoms: its structure.
        basis: its shells.

    Raises:
        FormatError: for elements that are not finite or too large.
    """
    stored = H.tocsr(dim=0).tocoo()  # (orbitals, cells x orbitals)
    cell, column = np.divmod(stored.col, H.no)
    cells = np.asarray(H.geometry.sc_off, dtype=np.int64)[cell]
    places = pattern(path, atoms.numbers, basis, PROGRAM, np.stack([stored.row, column]), cells)

    def blocks(combine: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
        """(E, M, M) of a combination of the components that sisl stores for each element."""
        return places.blocks(combine(lambda dim: H.tocsr(dim=dim).tocoo().data))

    if basis.spinor:
        quarters = [[blocks(c) for c in row] for row in _quarters(H.spin.is_spinorbit)]
        values = np.block(quarters)
    else:
        values = np.ascontiguousarray(np.real(blocks(lambda c: c(0))))
    if H.orthogonal:
        overlap = _identity(places.edges, places.shifts, atoms, basis)
    else:
        overlap = blocks(lambda c: np.real(c(H.S_idx)))
    for found in (values, overlap):
        check_elements(path, found)
    pairs = atoms.numbers.astype(np.int64), places.edges, places.shifts
    S = BlockMatrix(replace(basis, spinor=False), *pairs, overlap)
    return BlockMatrix(basis, *pairs, values), S.with_spin() if basis.spinor else S


def _quarters(full: bool) -> list[list[Callable[[Any], Any]]]:
    """Up-up, up-down, down-up and down-down from sisl's components; `full` for spin-orbit coupling.

    For non-collinear spins without it, the diagonal is real and down-up follows from up-down.
    """
    if full:
        return [
            [lambda c: c(0) + 1j * c(4), lambda c: c(2) + 1j * c(3)],
            [lambda c: c(6) + 1j * c(7), lambda c: c(1) + 1j * c(5)],
        ]
    return [
        [lambda c: c(0), lambda c: c(2) + 1j * c(3)],
        [lambda c: c(2) - 1j * c(3), lambda c: c(1)],
    ]


def _identity(
    edges: NDArray[np.int64], shifts: NDArray[np.int64], atoms: Atoms, basis: Basis
) -> NDArray[np.float64]:
    """(E, M, M) overlap of an orthogonal basis."""
    values = np.zeros((len(shifts), basis.dim, basis.dim))
    for k in np.flatnonzero((edges[0] == edges[1]) & ~shifts.any(axis=1)):
        slots = basis.slots(int(atoms.numbers[edges[0, k]]))
        values[k, slots, slots] = 1.0
    return values
