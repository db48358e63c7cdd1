"""Between matrices at k-points, as programs give them, and blocks H(T) in real space.

``H(k) = sum_T exp(2 pi i k.T) H(T)`` (`BlockMatrix.at_k`). A mesh of k-points knows H(T) only up
to shifts by the mesh's supercell. Which image of a pair a block is given to decides what happens
between the points of the mesh: the nearest one makes bands smooth, and where several are equally
near they share it, as Wannier90 does (Pizzi et al. 2020, doi 10.1088/1361-648X/ab51ff).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix, canonical_order

__all__ = ["default_mesh", "k_mesh", "to_real_space"]

SPACING = 0.25
"""Largest distance of k-points by default, 1/A (2 pi included)."""

_EQUAL = 1e-5  # A; images whose distances agree to this are equally near
_REAL = 1e-4  # share of an imaginary part that counts as rounding, that of plane waves included


def k_mesh(mesh: Sequence[int]) -> NDArray[np.float64]:
    """Points (n1 n2 n3, 3) of a mesh through the zone's centre, fractions, last axis fastest."""
    return _cells(mesh) / np.asarray(mesh)


def default_mesh(atoms: Atoms, spacing: float = SPACING) -> tuple[int, ...]:
    """Numbers of k-points no wider than a spacing in 1/A where the crystal repeats, else one."""
    lengths = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal().array, axis=1)
    needed = np.ceil(lengths / spacing).astype(int)
    return tuple(int(n) if p else 1 for n, p in zip(needed, atoms.pbc, strict=True))


def to_real_space(
    basis: Basis, atoms: Atoms, mesh: Sequence[int], matrices: ArrayLike
) -> BlockMatrix:
    """Blocks H(T) of matrices on a mesh of k-points.

    Args:
        basis: of the orbitals.
        atoms: the crystal; only its periodic directions have images.
        mesh: (n1, n2, n3) of `k_mesh`.
        matrices: (n1 n2 n3, n_ao, n_ao) hermitian, in the order of `k_mesh` and of the basis.

    Returns:
        One block per nearest image of every pair; on the mesh `at_k` gives back what came in.

    Raises:
        ValueError: for matrices of another shape, or, without spin, ones that are not
            ``H(-k) = H(k)*``.
    """
    at_k: Any = np.asarray(matrices)
    cells = _cells(mesh)
    frame = _empty(basis, atoms)
    if at_k.shape != (len(cells), frame.n_ao, frame.n_ao):
        raise ValueError(
            f"Matrices of shape {at_k.shape} do not fit: a mesh of {tuple(mesh)} points and "
            f"{frame.n_ao} orbitals need {(len(cells), frame.n_ao, frame.n_ao)}."
        )
    phase = np.exp(-2j * np.pi * (cells @ k_mesh(mesh).T)) / len(cells)  # (T, k)
    at_cell: Any = np.tensordot(phase, at_k, axes=1)
    if not basis.spinor:
        if np.abs(at_cell.imag).max() > _REAL * np.abs(at_cell).max():
            raise ValueError(
                "Without spin H(-k) must be the conjugate of H(k): check the k-points."
            )
        at_cell = at_cell.real
    number, row, column, shift, share = _nearest(atoms, np.asarray(mesh), cells)
    values = at_cell[
        number[:, None, None],
        frame.orbital_index[row][:, :, None],
        frame.orbital_index[column][:, None, :],
    ]
    edges = np.stack([row, column])
    rank = canonical_order(edges, shift)
    there = replace(
        frame,
        edges=edges[:, rank],
        shifts=shift[rank],
        values=(values * share[:, None, None])[rank],
    )
    return replace(there, values=np.where(there.mask, there.values, 0))


def _cells(mesh: Sequence[int]) -> NDArray[np.int64]:
    """(n1 n2 n3, 3) numbers of the cells in a supercell, last axis fastest."""
    axes = np.meshgrid(*(np.arange(n) for n in mesh), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def _empty(basis: Basis, atoms: Atoms) -> BlockMatrix:
    """A matrix of these atoms without any block."""
    m = basis.dim * (2 if basis.spinor else 1)
    dtype = np.complex128 if basis.spinor else np.float64
    none = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    return BlockMatrix(basis, atoms.numbers.astype(np.int64), *none, np.zeros((0, m, m), dtype))


def _nearest(
    atoms: Atoms, mesh: NDArray[np.int64], cells: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.int64], NDArray[Any]]:
    """Nearest images of all pairs: number of the cell, row, column, true cell, share."""
    reach = [(-2, -1, 0, 1, 2) if periodic else (0,) for periodic in atoms.pbc]
    images = np.array(list(product(*reach))) * mesh  # (L, 3)
    positions: Any = atoms.positions
    between = positions[None] - positions[:, None]  # (N, N, 3), r_j - r_i
    offsets = (cells[:, None] + images[None]) @ atoms.cell.array  # (T, L, 3)
    distance = np.linalg.norm(between[:, :, None, None] + offsets, axis=-1)  # (N, N, T, L)
    near = distance < distance.min(axis=-1, keepdims=True) + _EQUAL
    row, column, number, image = np.nonzero(near)
    share = 1.0 / near.sum(axis=-1)[row, column, number]
    return number, row, column, cells[number] + images[image], share
