"""Matrices in an atomic-orbital basis, stored as one padded block per pair of atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.pairs import all_pairs, canonical_order, off_site


@dataclass(frozen=True, eq=False)
class BlockMatrix:
    """A Hamiltonian or overlap, block by block: ``<phi_i,a(0)| H |phi_j,b(T)>``.

    Attributes:
        basis: the shells of each element and the padded frame of M orbitals.
        numbers: (N,) atomic numbers.
        edges: (2, E) row atom i and column atom j. On-site blocks (i, i, 0) come first.
        shifts: (E, 3) integer cell T of the column atom; zero for molecules.
        values: (E, M, M), eV for H, dimensionless for S; for spinors (E, 2M, 2M) complex, spin
            outermost. Padding (entries of orbitals that an atom does not have) is exactly zero.

    A rotated structure has the rotated matrix, ``S' = D S D^T``:

    >>> water, R = wb.load("water"), wb.rotation((1, 1, 0), 40)
    >>> basis = wb.Basis("sto-3g", {1: (0,), 8: (0, 0, 1)})
    >>> S = wb.overlap(water, basis)
    >>> (wb.overlap(wb.rotate(water, R), basis) - S.rotate(R)).max_abs() < 1e-12
    True
    """

    basis: Basis
    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]
    shifts: NDArray[np.int64]
    values: NDArray[Any]

    def __post_init__(self) -> None:
        self.basis.check(self.numbers)
        m = self.basis.dim * (2 if self.basis.spinor else 1)
        expected = (self.edges.shape[1], m, m)
        if self.values.shape != expected or self.shifts.shape != (expected[0], 3):
            raise ValueError(
                f"Blocks of shape {self.values.shape} and shifts {self.shifts.shape} do not match "
                f"{expected[0]} edges of {m} orbitals; values must be {expected}."
            )

    @cached_property
    def off_site(self) -> NDArray[np.bool_]:
        """(E,) True where a block couples two atoms; a periodic image is another atom."""
        return off_site(self.edges, self.shifts)

    # ---- spin ---------------------------------------------------------------------------------

    def with_spin(self) -> BlockMatrix:
        """``kron(1_2, M)``: this matrix (e.g. an overlap) for spinors; it does not act on spin."""
        values = np.kron(np.eye(2), self.values).astype(np.complex128)
        return replace(self, basis=replace(self.basis, spinor=True), values=values)

    def without_spin(self) -> BlockMatrix:
        """The inverse of ``with_spin``: the real part of the up-up quarter."""
        values = np.ascontiguousarray(np.real(self.values[:, : self.basis.dim, : self.basis.dim]))
        return replace(self, basis=replace(self.basis, spinor=False), values=values)

    # ---- hermitian halves -------------------------------------------------------------------

    @cached_property
    def half(self) -> NDArray[np.intp]:
        """Indices of the on-site blocks and of the first block of each hermitian pair."""
        return np.flatnonzero(np.arange(self.edges.shape[1]) <= self.reverse)

    @classmethod
    def from_half(
        cls,
        basis: Basis,
        numbers: NDArray[np.int64],
        edges: NDArray[np.int64],
        shifts: NDArray[np.int64],
        values: NDArray[Any],
    ) -> BlockMatrix:
        """Build a hermitian matrix, in canonical order, from one block of each hermitian pair.

        The arguments have the shapes of the attributes; E counts the given blocks.
        """
        others = np.flatnonzero(off_site(edges, shifts))
        edges = np.concatenate([edges, edges[::-1, others]], axis=1)
        shifts = np.concatenate([shifts, -shifts[others]])
        values = np.concatenate([values, values[others].conj().swapaxes(1, 2)])
        rank = canonical_order(edges, shifts)
        return cls(basis, numbers, edges[:, rank], shifts[rank], values[rank])

    def over(self, edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[Any]:
        """Blocks (P, M, M) of given pairs: edges (2, P), shifts (P, 3); zero if not stored."""
        stored, wanted = (
            np.concatenate([e, s.T]) for e, s in ((self.edges, self.shifts), (edges, shifts))
        )
        if np.array_equal(stored, wanted):
            return self.values
        both = np.concatenate([stored, wanted], axis=1)
        union, index = np.unique(both, axis=1, return_inverse=True)
        stored_index, wanted_index = np.split(index.ravel(), [stored.shape[1]])
        values = np.zeros((union.shape[1], *self.values.shape[1:]), self.values.dtype)
        values[stored_index] = self.values
        return values[wanted_index]

    # ---- dense ------------------------------------------------------------------------------

    @classmethod
    def from_dense(
        cls,
        basis: Basis,
        numbers: ArrayLike,
        dense: ArrayLike,
        edges: NDArray[np.int64] | None = None,
    ) -> BlockMatrix:
        """Cut a molecule's dense matrix into blocks.

        Args:
            basis: must contain every element.
            numbers: (N,) atomic numbers.
            dense: (n_ao, n_ao), atom after atom, each in the AO order of the basis; for spinors
                all spin-up orbitals, then all spin-down orbitals.
            edges: (2, E) pairs of atoms whose blocks are kept, in canonical order; None: all.

        Raises:
            ValueError: if the size of the matrix does not fit the atoms.

        >>> basis = wb.Basis("sto-3g", {1: (0,)})
        >>> H = wb.BlockMatrix.from_dense(basis, [1, 1], [[-15.0, -7.0], [-7.0, -15.0]])
        >>> H.block(0, 1), H.dense()
        (array([[-7.]]), array([[-15.,  -7.], [ -7., -15.]]))
        """
        z = np.asarray(numbers, dtype=np.int64)
        basis.check(z)
        matrix = np.asarray(dense)
        edges = all_pairs(len(z)) if edges is None else edges
        m = basis.dim * (2 if basis.spinor else 1)
        dtype = np.complex128 if basis.spinor else np.float64
        shifts, values = np.zeros((edges.shape[1], 3), np.int64), np.empty((edges.shape[1], m, m))
        frame = cls(basis, z, edges, shifts, values)
        n = frame.n_ao
        if matrix.shape != (n, n):
            raise ValueError(
                f"A matrix of shape {matrix.shape} does not fit these atoms: give one with "
                f"{n} rows and columns, their number of orbitals in {basis.name}."
            )
        padded = np.zeros((n + 1, n + 1), dtype)
        padded[:n, :n] = matrix
        return replace(frame, values=padded[frame._places])

    def dense(self) -> NDArray[Any]:
        """(n_ao, n_ao) matrix of a molecule; blocks that are not stored are zero.

        Raises:
            ValueError: if a block couples to another cell (use ``at_k``).
        """
        if self.shifts.any():
            raise ValueError("A crystal has one dense matrix per k-point: use at_k(k).")
        n = self.n_ao
        padded = np.zeros((n + 1, n + 1), dtype=self.values.dtype)
        padded[self._places] = self.values
        return padded[:n, :n].copy()

    def at_k(self, k: ArrayLike) -> NDArray[np.complex128]:
        """(n_ao, n_ao) Bloch matrix ``sum_T exp(2 pi i k.T) H(T)`` at k (3,), in fractions."""
        phase = np.exp(2j * np.pi * (self.shifts @ np.asarray(k, dtype=float)))
        result = np.zeros(self.n_ao * self.n_ao, dtype=np.complex128)
        terms = (self.values * phase[:, None, None])[self.mask]
        np.add.at(result, self._dense_positions, terms)
        return result.reshape(self.n_ao, self.n_ao)

    def sparse_at_k(self, k: ArrayLike) -> csr_matrix[Any]:
        """The Bloch matrix of `at_k` as a sparse matrix, for large crystals."""
        phase = np.exp(2j * np.pi * (self.shifts @ np.asarray(k, dtype=float)))
        terms = (self.values * phase[:, None, None])[self.mask]
        row_and_column = np.divmod(self._dense_positions, self.n_ao)
        return csr_matrix((terms, row_and_column), shape=(self.n_ao, self.n_ao))

    def at_gamma(self) -> NDArray[Any]:
        """(n_ao, n_ao) matrix of a molecule, or of a crystal at k = 0; real without spin."""
        matrix = self.at_k((0.0, 0.0, 0.0)) if self.shifts.any() else self.dense()
        return matrix if self.basis.spinor else np.real(matrix)

    @cached_property
    def offsets(self) -> NDArray[np.intp]:
        """(N + 1,) first orbital of each atom in ``dense()`` (one spin), then the total number."""
        sizes = [self.basis.n_orbitals(int(z)) for z in self.numbers]
        return np.cumsum([0, *sizes]).astype(np.intp)

    @property
    def n_ao(self) -> int:
        """Number of rows of ``dense()``, both spins counted."""
        return int(self.offsets[-1]) * (2 if self.basis.spinor else 1)

    @cached_property
    def orbital_index(self) -> NDArray[np.intp]:
        """(N, M or 2M) row in ``dense()`` of each slot of each atom, -1 for padding."""
        in_atom = self.basis.slot_table[self.numbers]  # (N, M)
        index = np.where(in_atom >= 0, in_atom + self.offsets[:-1, None], -1)
        if not self.basis.spinor:
            return index
        down = np.where(index >= 0, index + self.offsets[-1], -1)
        return np.concatenate([index, down], axis=1)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(E, M, M) True for matrix elements between existing orbitals, False for padding."""
        rows, columns = self._places
        return (rows >= 0) & (columns >= 0)

    @property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows (E, M, 1) and columns (E, 1, M) in ``dense()``; padding: -1, beyond the last."""
        rows, columns = self.orbital_index[self.edges]
        return rows[:, :, None], columns[:, None, :]

    @cached_property
    def _dense_positions(self) -> NDArray[np.intp]:
        """Flat position in ``dense()`` of each True element of ``mask``, in its order."""
        rows, columns = self._places
        return (rows * self.n_ao + columns)[self.mask]

    # ---- blocks and labels ------------------------------------------------------------------

    def block(self, i: int, j: int, T: Sequence[int] = (0, 0, 0)) -> NDArray[Any]:
        """The block of atoms i and j (in cell T) without padding, each atom in its AO order.

        Raises:
            KeyError: if the block is not stored.
        """
        padded = self.padded_block(i, j, T)
        rows, columns = (self.basis.slots(int(self.numbers[a])) for a in (i, j))
        if self.basis.spinor:
            m = self.basis.dim
            rows, columns = np.r_[rows, rows + m], np.r_[columns, columns + m]
        return padded[np.ix_(rows, columns)]

    def padded_block(self, i: int, j: int, T: Sequence[int] = (0, 0, 0)) -> NDArray[Any]:
        """The block of atoms i and j (in cell T) in the padded frame of the basis.

        Raises:
            KeyError: if the block is not stored.
        """
        same = (self.edges[0] == i) & (self.edges[1] == j) & (self.shifts == T).all(axis=1)
        index = np.flatnonzero(same)
        if not len(index):
            raise KeyError(f"No block for atoms {i} and {j} in cell {tuple(T)} is stored.")
        return self.values[index[0]]

    def orbital_labels(self) -> list[str]:
        """A name for each row of ``dense()``: atom symbol, atom number from 1, and orbital."""
        names = [
            f"{chemical_symbols[z]}{atom + 1} {label}"
            for atom, z in enumerate(self.numbers)
            for label in self.basis.labels(int(z))
        ]
        return [f"{n} {s}" for s in "↑↓" for n in names] if self.basis.spinor else names

    def mae(self) -> float:
        """Mean modulus over all matrix elements without padding, in the unit of the values."""
        return float(np.abs(self.values[self.mask]).mean())

    def max_abs(self) -> float:
        """Largest modulus of all matrix elements, in the unit of the values."""
        return float(np.abs(self.values).max(initial=0.0))

    # ---- symmetry ---------------------------------------------------------------------------

    def rotate(self, R: ArrayLike) -> BlockMatrix:
        """The matrix of the rotated structure: ``D H D^T`` (dagger for spinors), block by block.

        Args:
            R: (3, 3) orthogonal, active, proper or improper.

        >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
        >>> H, S = (matrix.rotate(wb.rotation((1, 1, 0), 40)) for matrix in (ref.H, ref.S))
        >>> bool(np.allclose(wb.levels(H, S), wb.levels(ref.H, ref.S)))  # a rotation keeps levels
        True
        """
        D = self.basis.rotation(R)
        return replace(self, values=D @ (self.values @ D.conj().T))

    def permute(self, order: Sequence[int]) -> BlockMatrix:
        """Renumber the atoms: atom k of the result is atom ``order[k]`` of this matrix.

        Raises:
            ValueError: if the order is not a permutation of the atoms.
        """
        new = np.asarray(order, dtype=np.int64)
        if sorted(new.tolist()) != list(range(len(self.numbers))):
            raise ValueError(f"{list(order)} is no permutation of 0 to {len(self.numbers) - 1}.")
        edges = np.argsort(new)[self.edges]
        rank = canonical_order(edges, self.shifts)
        return replace(
            self,
            numbers=self.numbers[new],
            edges=edges[:, rank],
            shifts=self.shifts[rank],
            values=self.values[rank],
        )

    @cached_property
    def reverse(self) -> NDArray[np.intp]:
        """(E,) index of the partner block (j, i, -T) of each block (i, j, T).

        Raises:
            ValueError: if a partner is missing.
        """
        keys = np.concatenate([self.edges, self.shifts.T])
        partner_keys = np.concatenate([self.edges[::-1], -self.shifts.T])
        order, partner_order = np.lexsort(keys), np.lexsort(partner_keys)
        if not np.array_equal(keys[:, order], partner_keys[:, partner_order]):
            raise ValueError("Some block (i, j, T) has no partner (j, i, -T): store both.")
        result = np.empty(len(order), dtype=np.intp)
        result[partner_order] = order
        return result

    def hermitian(self) -> BlockMatrix:
        """The hermitian part, ``(H_ij(T) + H_ji(-T)^dagger) / 2``."""
        partner = self.values[self.reverse].conj().swapaxes(1, 2)
        return replace(self, values=(self.values + partner) / 2)

    # ---- arithmetic -------------------------------------------------------------------------

    def __add__(self, other: BlockMatrix) -> BlockMatrix:
        if not isinstance(other, BlockMatrix):
            raise TypeError("Add a BlockMatrix, e.g. H + c * S for levels that are shifted by c.")
        a, b = aligned(self, other)
        return replace(a, values=a.values + b.values)

    def __sub__(self, other: BlockMatrix) -> BlockMatrix:
        return self + other * -1.0

    def __mul__(self, factor: float) -> BlockMatrix:
        return replace(self, values=self.values * factor)

    __rmul__ = __mul__

    def in_basis(self, basis: Basis) -> BlockMatrix:
        """This matrix in the padded frame of a basis that contains its elements, and maybe others.

        Raises:
            ValueError: if the basis lacks an element of this matrix's basis, or differs from it.
        """
        if basis == self.basis:
            return self
        if basis.merged(self.basis) != basis:
            raise ValueError(f"The basis {basis.name} lacks elements of this matrix: merge both.")
        e, m = self.edges.shape[1], basis.dim * (2 if basis.spinor else 1)
        result = replace(self, basis=basis, values=np.zeros((e, m, m), self.values.dtype))
        # Two frames may order an atom's shells differently: match elements by dense positions.
        source = np.argsort(_element_keys(self), kind="stable")
        target = np.argsort(_element_keys(result), kind="stable")
        filled = np.empty(len(source), dtype=self.values.dtype)
        filled[target] = self.values[self.mask][source]
        result.values[result.mask] = filled
        return result


def _element_keys(matrix: BlockMatrix) -> NDArray[np.intp]:
    """One integer per matrix element (edge, row, column), the same in every padded frame."""
    per_edge = matrix.mask.sum(axis=(1, 2))
    edge = np.repeat(np.arange(len(per_edge)), per_edge)
    return edge * matrix.n_ao**2 + matrix._dense_positions


def aligned(a: BlockMatrix, b: BlockMatrix) -> tuple[BlockMatrix, BlockMatrix]:
    """Both matrices in one padded frame and with the union of their blocks.

    Raises:
        ValueError: if the matrices belong to different atoms or bases.
    """
    if not np.array_equal(a.numbers, b.numbers):
        raise ValueError("The matrices belong to different atoms: use two of one structure.")
    basis = a.basis.merged(b.basis)
    a, b = a.in_basis(basis), b.in_basis(basis)
    if np.array_equal(a.edges, b.edges) and np.array_equal(a.shifts, b.shifts):
        return a, b
    keys = [np.concatenate([m.edges, m.shifts.T]) for m in (a, b)]
    union, index = np.unique(np.concatenate(keys, axis=1), axis=1, return_inverse=True)
    edges, shifts = union[:2], union[2:].T
    rank = canonical_order(edges, shifts)
    positions = np.argsort(rank)[index.ravel()]
    edges, shifts = edges[:, rank], shifts[rank]

    def over_union(matrix: BlockMatrix, positions: NDArray[np.intp]) -> BlockMatrix:
        values = np.zeros((edges.shape[1], *matrix.values.shape[1:]), matrix.values.dtype)
        values[positions] = matrix.values
        return replace(matrix, edges=edges, shifts=shifts, values=values)

    of_a, of_b = np.split(positions, [a.edges.shape[1]])
    return over_union(a, of_a), over_union(b, of_b)
