"""Matrices in an atomic-orbital basis, kept as one padded block per pair of atoms."""

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


def all_pairs(n_atoms: int) -> NDArray[np.int64]:
    """Edges (2, N*N) of a molecule in canonical order: on-site first, then i != j row-major."""
    row, column = np.divmod(np.arange(n_atoms * n_atoms), max(n_atoms, 1))
    order = np.argsort(row != column, kind="stable")
    return np.stack([row[order], column[order]]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class BlockMatrix:
    """A Hamiltonian or overlap, block by block: ``<phi_i,a(0)| H |phi_j,b(T)>``.

    Attributes:
        basis: the shells of each element and the padded frame of M orbitals.
        numbers: (N,) atomic numbers.
        edges: (2, E) row atom i and column atom j. On-site blocks (i, i, 0) stand first.
        shifts: (E, 3) integer cell T of the column atom; zero for molecules.
        values: (E, M, M) in eV (H) or 1 (S); (E, 2M, 2M) complex with spin outermost for spinors.
            Elements that an atom does not have are exactly zero.
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
        """(E,) whether a block belongs to two atoms, images counted as others."""
        return _off_site(self.edges, self.shifts)

    # ---- spin ---------------------------------------------------------------------------------

    def with_spin(self) -> BlockMatrix:
        """``kron(1_2, M)``: a matrix that does not act on spin, such as an overlap, for spinors."""
        values = np.kron(np.eye(2), self.values).astype(np.complex128)
        return replace(self, basis=replace(self.basis, spinor=True), values=values)

    def without_spin(self) -> BlockMatrix:
        """The matrix of which ``with_spin`` makes this one: the real part of its up-up quarter."""
        m = self.basis.dim
        values = np.ascontiguousarray(np.real(self.values[:, :m, :m]))
        return replace(self, basis=replace(self.basis, spinor=False), values=values)

    # ---- hermitian halves -------------------------------------------------------------------

    @cached_property
    def half(self) -> NDArray[np.intp]:
        """Index of one block of each hermitian pair, the one that comes first, on-site ones too."""
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
        """The hermitian matrix of which one block of each pair is given, in canonical order.

        Args:
            basis: as of the matrix.
            numbers: (N,) atomic numbers.
            edges: (2, E) row and column atom.
            shifts: (E, 3) cell of the column atom.
            values: (E, M, M), for spinors (E, 2M, 2M).
        """
        other = np.flatnonzero(_off_site(edges, shifts))
        edges = np.concatenate([edges, edges[::-1, other]], axis=1)
        shifts = np.concatenate([shifts, -shifts[other]])
        values = np.concatenate([values, values[other].conj().swapaxes(1, 2)])
        rank = canonical_order(edges, shifts)
        return cls(basis, numbers, edges[:, rank], shifts[rank], values[rank])

    def over(self, edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[Any]:
        """The blocks (P, M, M) of given pairs, zero where none is stored.

        Args:
            edges: (2, P) row and column atom.
            shifts: (P, 3) cell of the column atom.
        """
        own, wanted = (
            np.concatenate([e, s.T]) for e, s in ((self.edges, self.shifts), (edges, shifts))
        )
        if np.array_equal(own, wanted):
            return self.values
        union, index = np.unique(np.concatenate([own, wanted], axis=1), axis=1, return_inverse=True)
        here, there = np.split(index.ravel(), [own.shape[1]])
        values = np.zeros((union.shape[1], *self.values.shape[1:]), self.values.dtype)
        values[here] = self.values
        return values[there]

    # ---- dense ------------------------------------------------------------------------------

    @classmethod
    def from_dense(cls, basis: Basis, numbers: ArrayLike, dense: ArrayLike) -> BlockMatrix:
        """Cut a molecule's dense matrix into blocks.

        Args:
            basis: must hold every element.
            numbers: (N,) atomic numbers.
            dense: (n_ao, n_ao), atoms in turn, each in the AO order of the basis; for spinors
                all up orbitals, then all down.

        Raises:
            ValueError: if the size does not fit the atoms.
        """
        z = np.asarray(numbers, dtype=np.int64)
        basis.check(z)
        matrix = np.asarray(dense)
        edges = all_pairs(len(z))
        m = basis.dim * (2 if basis.spinor else 1)
        shape = (edges.shape[1], m, m)
        dtype = np.complex128 if basis.spinor else np.float64
        empty = cls(basis, z, edges, np.zeros((len(edges[0]), 3), np.int64), np.zeros(shape, dtype))
        if matrix.shape != (empty.n_ao, empty.n_ao):
            raise ValueError(
                f"A matrix of shape {matrix.shape} does not fit: these atoms have {empty.n_ao} "
                f"orbitals in {basis.name}."
            )
        empty.values[empty.mask] = matrix.ravel()[empty._dense_positions]
        return empty

    def dense(self) -> NDArray[Any]:
        """(n_ao, n_ao) matrix of a molecule; absent pairs are zero.

        Raises:
            ValueError: if a block reaches into another cell (use ``at_k``).
        """
        if self.shifts.any():
            raise ValueError("A crystal has no single dense matrix; use at_k(k).")
        result = np.zeros(self.n_ao * self.n_ao, dtype=self.values.dtype)
        result[self._dense_positions] = self.values[self.mask]
        return result.reshape(self.n_ao, self.n_ao)

    def at_k(self, k: ArrayLike) -> NDArray[np.complex128]:
        """(n_ao, n_ao) Bloch matrix ``sum_T exp(2 pi i k.T) H(T)``, k in fractions (3,)."""
        phase = np.exp(2j * np.pi * (self.shifts @ np.asarray(k, dtype=float)))
        result = np.zeros(self.n_ao * self.n_ao, dtype=np.complex128)
        terms = (self.values * phase[:, None, None])[self.mask]
        np.add.at(result, self._dense_positions, terms)
        return result.reshape(self.n_ao, self.n_ao)

    def sparse_at_k(self, k: ArrayLike) -> csr_matrix[Any]:
        """The Bloch matrix of `at_k` with its zeros left out, for large crystals."""
        phase = np.exp(2j * np.pi * (self.shifts @ np.asarray(k, dtype=float)))
        terms = (self.values * phase[:, None, None])[self.mask]
        places = np.divmod(self._dense_positions, self.n_ao)
        return csr_matrix((terms, places), shape=(self.n_ao, self.n_ao))

    def at_gamma(self) -> NDArray[Any]:
        """(n_ao, n_ao) a molecule's matrix; a crystal's at k = 0, where it is real without spin."""
        found = self.at_k((0.0, 0.0, 0.0)) if self.shifts.any() else self.dense()
        return found if self.basis.spinor else np.real(found)

    @cached_property
    def offsets(self) -> NDArray[np.intp]:
        """(N + 1,) first orbital of each atom in ``dense()`` (of one spin), and the total."""
        sizes = [self.basis.n_orbitals(int(z)) for z in self.numbers]
        return np.cumsum([0, *sizes]).astype(np.intp)

    @property
    def n_ao(self) -> int:
        """Rows of ``dense()``, spin included."""
        return int(self.offsets[-1]) * (2 if self.basis.spinor else 1)

    @cached_property
    def orbital_index(self) -> NDArray[np.intp]:
        """(N, M or 2M) row in ``dense()`` of each slot of each atom, -1 where it has none."""
        own = self.basis.slot_table[self.numbers]  # (N, M)
        index = np.where(own >= 0, own + self.offsets[:-1, None], -1)
        if not self.basis.spinor:
            return index
        down = np.where(index >= 0, index + self.offsets[-1], -1)
        return np.concatenate([index, down], axis=1)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(E, M, M) True where the pair of atoms has the element."""
        exists = self.orbital_index >= 0
        return exists[self.edges[0]][:, :, None] & exists[self.edges[1]][:, None, :]

    @cached_property
    def _dense_positions(self) -> NDArray[np.intp]:
        """Flat position in ``dense()`` of each existing element, in the order of ``mask``."""
        rows = self.orbital_index[self.edges[0]][:, :, None]
        columns = self.orbital_index[self.edges[1]][:, None, :]
        return (rows * self.n_ao + columns)[self.mask]

    # ---- looking inside ---------------------------------------------------------------------

    def block(self, i: int, j: int, T: Sequence[int] = (0, 0, 0)) -> NDArray[Any]:
        """The block of atoms i and j (of cell T), without padding, each in its own AO order.

        Raises:
            KeyError: if the pair is not stored.
        """
        padded = self.padded_block(i, j, T)
        rows, columns = (self.basis.slots(int(self.numbers[a])) for a in (i, j))
        if self.basis.spinor:
            m = self.basis.dim
            rows, columns = np.r_[rows, rows + m], np.r_[columns, columns + m]
        return padded[np.ix_(rows, columns)]

    def padded_block(self, i: int, j: int, T: Sequence[int] = (0, 0, 0)) -> NDArray[Any]:
        """The same block as it is stored, in the padded frame of the basis.

        Raises:
            KeyError: if the pair is not stored.
        """
        same = (self.edges[0] == i) & (self.edges[1] == j) & (self.shifts == T).all(axis=1)
        found = np.flatnonzero(same)
        if not len(found):
            raise KeyError(f"No block for atoms {i} and {j} in cell {tuple(T)} is stored.")
        return self.values[found[0]]

    def orbital_labels(self) -> list[str]:
        """A name for each row of ``dense()``: atom symbol and number from 1, then orbital."""
        names = [
            f"{chemical_symbols[z]}{atom + 1} {label}"
            for atom, z in enumerate(self.numbers)
            for label in self.basis.labels(int(z))
        ]
        return [f"{n} {s}" for s in "↑↓" for n in names] if self.basis.spinor else names

    def mae(self) -> float:
        """Mean modulus over all existing elements, in the unit of the values."""
        return float(np.abs(self.values[self.mask]).mean())

    def max_abs(self) -> float:
        """Largest modulus, in the unit of the values."""
        return float(np.abs(self.values).max(initial=0.0))

    # ---- symmetry ---------------------------------------------------------------------------

    def rotate(self, R: ArrayLike) -> BlockMatrix:
        """The matrix of the turned structure: ``D H D^T`` (dagger for spinors), block by block.

        Args:
            R: (3, 3) orthogonal, active, proper or improper.
        """
        turn = self.basis.rotation(R)
        return replace(self, values=turn @ (self.values @ turn.conj().T))

    def permute(self, order: Sequence[int]) -> BlockMatrix:
        """Renumber the atoms: atom k of the result is atom ``order[k]``."""
        new = np.asarray(order, dtype=np.int64)
        if sorted(new.tolist()) != list(range(len(self.numbers))):
            raise ValueError(f"{list(order)} is not a permutation of {len(self.numbers)} atoms.")
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
        there = np.concatenate([self.edges, self.shifts.T])
        back = np.concatenate([self.edges[::-1], -self.shifts.T])
        first, second = np.lexsort(there), np.lexsort(back)
        if not np.array_equal(there[:, first], back[:, second]):
            raise ValueError("Some block (i, j, T) has no partner (j, i, -T); store both.")
        result = np.empty(len(first), dtype=np.intp)
        result[second] = first
        return result

    def hermitian(self) -> BlockMatrix:
        """The hermitian part, ``(H_ij(T) + H_ji(-T)^dagger) / 2``."""
        partner = self.values[self.reverse].conj().swapaxes(1, 2)
        return replace(self, values=(self.values + partner) / 2)

    # ---- arithmetic -------------------------------------------------------------------------

    def __add__(self, other: BlockMatrix) -> BlockMatrix:
        a, b = aligned(self, other)
        return replace(a, values=a.values + b.values)

    def __sub__(self, other: BlockMatrix) -> BlockMatrix:
        return self + other * -1.0

    def __mul__(self, factor: float) -> BlockMatrix:
        return replace(self, values=self.values * factor)

    __rmul__ = __mul__

    def in_basis(self, basis: Basis) -> BlockMatrix:
        """The same matrix in the padded frame of a basis that holds these elements and more."""
        if basis == self.basis:
            return self
        if basis.merged(self.basis) != basis:
            raise ValueError(f"The basis {basis.name} lacks elements that this matrix has.")
        e, m = self.edges.shape[1], basis.dim * (2 if basis.spinor else 1)
        result = replace(self, basis=basis, values=np.zeros((e, m, m), self.values.dtype))
        # Both masks list the same elements, but a frame may order an element's shells otherwise:
        # go by position in the dense matrix of each block.
        source = np.argsort(_element_keys(self), kind="stable")
        target = np.argsort(_element_keys(result), kind="stable")
        filled = np.empty(len(source), dtype=self.values.dtype)
        filled[target] = self.values[self.mask][source]
        result.values[result.mask] = filled
        return result


def _element_keys(matrix: BlockMatrix) -> NDArray[np.intp]:
    """A number per existing element, equal in every padded frame: (edge, row, column)."""
    per_edge = matrix.mask.sum(axis=(1, 2))
    edge = np.repeat(np.arange(len(per_edge)), per_edge)
    return edge * matrix.n_ao**2 + matrix._dense_positions


def canonical_order(edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.intp]:
    """Index (E,) that sorts blocks: on-site first, then by row atom, column atom and cell."""
    return np.lexsort([*shifts.T[::-1], edges[1], edges[0], _off_site(edges, shifts)])


def _off_site(edges: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (edges[0] != edges[1]) | shifts.any(axis=1)


def aligned(a: BlockMatrix, b: BlockMatrix) -> tuple[BlockMatrix, BlockMatrix]:
    """Both matrices in one frame and over the union of their blocks."""
    if not np.array_equal(a.numbers, b.numbers):
        raise ValueError("The two matrices belong to different atoms; compare equal structures.")
    basis = a.basis.merged(b.basis)
    a, b = a.in_basis(basis), b.in_basis(basis)
    if np.array_equal(a.edges, b.edges) and np.array_equal(a.shifts, b.shifts):
        return a, b
    keys = [np.concatenate([m.edges, m.shifts.T]) for m in (a, b)]
    union, index = np.unique(np.concatenate(keys, axis=1), axis=1, return_inverse=True)
    edges, shifts = union[:2], union[2:].T
    rank = canonical_order(edges, shifts)
    place = np.argsort(rank)[index.ravel()]
    parts = (place[: a.edges.shape[1]], place[a.edges.shape[1] :])
    return _spread(a, parts[0], edges[:, rank], shifts[rank]), _spread(
        b, parts[1], edges[:, rank], shifts[rank]
    )


def _spread(
    matrix: BlockMatrix,
    place: NDArray[np.intp],
    edges: NDArray[np.int64],
    shifts: NDArray[np.int64],
) -> BlockMatrix:
    """The same blocks put at their places in a longer list of edges."""
    values = np.zeros((edges.shape[1], *matrix.values.shape[1:]), matrix.values.dtype)
    values[place] = matrix.values
    return replace(matrix, edges=edges, shifts=shifts, values=values)
