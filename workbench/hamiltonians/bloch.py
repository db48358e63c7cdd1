"""Meshes of k-points, and the change from matrices H(k) on a mesh to blocks H(T) in real space.

``H(k) = sum_T exp(2 pi i k.T) H(T)`` (`BlockMatrix.at_k`). Matrices on a mesh determine H(T) only
up to shifts by the supercell of the mesh. The choice of the image of a pair determines the bands
between the points of the mesh: the nearest image makes them smooth. Images at equal distance share
the block equally, as in Wannier90 (Pizzi et al. 2020, doi 10.1088/1361-648X/ab51ff).
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
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.pairs import canonical_order

__all__ = ["default_mesh", "k_mesh", "mesh_for_range", "to_real_space"]

SPACING = 0.25
"""Default largest distance between k-points, 1/A (2 pi included)."""

_EQUAL = 1e-5  # A; images whose distances agree to this count as equally near
_REAL = 1e-4  # relative imaginary part that counts as rounding; plane-wave codes reach this


def k_mesh(mesh: Sequence[int]) -> NDArray[np.float64]:
    """Points (n1 n2 n3, 3) of a Gamma-centred mesh, in fractions, last axis fastest.

    >>> from workbench.hamiltonians.bloch import k_mesh
    >>> k_mesh((2, 2, 1))
    array([[0. , 0. , 0. ],
           [0. , 0.5, 0. ],
           [0.5, 0. , 0. ],
           [0.5, 0.5, 0. ]])
    """
    return _cells(mesh) / np.asarray(mesh)


def default_mesh(atoms: Atoms, spacing: float = SPACING) -> tuple[int, ...]:
    """Numbers of k-points at most ``spacing`` 1/A apart; one along directions without period."""
    lengths = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal().array, axis=1)
    needed = np.ceil(lengths / spacing).astype(int)
    return tuple(int(n) if p else 1 for n, p in zip(needed, atoms.pbc, strict=True))


def mesh_for_range(atoms: Atoms, reach: float) -> tuple[int, ...]:
    """The smallest mesh that keeps all pairs of atoms within a distance (A) apart from each other.

    Its supercell is at least twice as high as the distance, so that at most one of the images of a
    pair that differ by the supercell is within the distance.

    >>> from workbench.hamiltonians.bloch import mesh_for_range
    >>> mesh_for_range(wb.load("graphene"), 6.0)  # the heights are 2.13 A, 2.13 A and vacuum
    (6, 6, 1)
    """
    return default_mesh(atoms, np.pi / max(reach, SPACING))


def to_real_space(
    basis: Basis, atoms: Atoms, mesh: Sequence[int], matrices: ArrayLike
) -> BlockMatrix:
    """Blocks H(T) from matrices on a mesh of k-points.

    Args:
        basis: of the orbitals.
        atoms: the crystal; it has images only along its periodic directions.
        mesh: (n1, n2, n3), as for `k_mesh`.
        matrices: (n1 n2 n3, n_ao, n_ao) hermitian, in the order of `k_mesh` and of the basis.

    Returns:
        One block for each nearest image of every pair. On the mesh `at_k` returns the input.

    Raises:
        ValueError: for matrices of another shape, or, without spin, for matrices that violate
            ``H(-k) = H(k)*``.

    >>> from workbench.hamiltonians.bloch import k_mesh, to_real_space
    >>> data = wb.Dataset("graphene")
    >>> H, atoms = data.reference(0).H, data.atoms(0)
    >>> on_mesh = np.array([H.at_k(k) for k in k_mesh((3, 3, 1))])
    >>> blocks = to_real_space(H.basis, atoms, (3, 3, 1), on_mesh)
    >>> bool(np.allclose(blocks.at_k((1 / 3, 0, 0)), H.at_k((1 / 3, 0, 0))))
    True
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
        if not np.abs(at_cell.imag).max() <= _REAL * np.abs(at_cell).max():
            raise ValueError(
                "Without spin H(-k) must be the complex conjugate of H(k): check the k-points."
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
    result = replace(
        frame,
        edges=edges[:, rank],
        shifts=shift[rank],
        values=(values * share[:, None, None])[rank],
    )
    return replace(result, values=np.where(result.mask, result.values, 0))


def _cells(mesh: Sequence[int]) -> NDArray[np.int64]:
    """(n1 n2 n3, 3) integer cells T of a supercell, last axis fastest."""
    axes = np.meshgrid(*(np.arange(n) for n in mesh), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def _empty(basis: Basis, atoms: Atoms) -> BlockMatrix:
    """A matrix of these atoms that has no blocks."""
    m = basis.dim * (2 if basis.spinor else 1)
    dtype = np.complex128 if basis.spinor else np.float64
    no_edges = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    return BlockMatrix(basis, atoms.numbers.astype(np.int64), *no_edges, np.zeros((0, m, m), dtype))


def _nearest(
    atoms: Atoms, mesh: NDArray[np.int64], cells: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.int64], NDArray[Any]]:
    """Nearest images of all pairs: index of the cell, row, column, cell of the image, share."""
    repeats = [(-2, -1, 0, 1, 2) if periodic else (0,) for periodic in atoms.pbc]
    images = np.array(list(product(*repeats))) * mesh  # (L, 3)
    positions: Any = atoms.positions
    between = positions[None] - positions[:, None]  # (N, N, 3), r_j - r_i
    offsets = (cells[:, None] + images[None]) @ atoms.cell.array  # (T, L, 3)
    distance = np.linalg.norm(between[:, :, None, None] + offsets, axis=-1)  # (N, N, T, L)
    nearest = distance < distance.min(axis=-1, keepdims=True) + _EQUAL
    row, column, number, image = np.nonzero(nearest)
    share = 1.0 / nearest.sum(axis=-1)[row, column, number]
    return number, row, column, cells[number] + images[image], share
