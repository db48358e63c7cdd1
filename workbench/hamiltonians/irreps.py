"""Blocks of a Hamiltonian as direct sums of irreps, and the inverse change (Clebsch-Gordan).

The block h of shells la and lb transforms as ``D^la h (D^lb)^T``. It is the direct sum of the
irreps l = |la - lb| .. la + lb, each of parity (-1)^(la + lb). One orthogonal matrix maps a padded
block to all its irrep coefficients, so norms are kept, and decoding is a single contraction.

With spin a block is several real matrices (`workbench.hamiltonians.spin_parts`). Three of them
form an axial vector and transform as ``(la x lb) x 1``: each irrep of the shell pair is coupled
with l = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import prod
from typing import Any, TypeVar, cast

import numpy as np
import torch
from e3nn import o3
from numpy.typing import NDArray

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import SHELL_LETTERS
from workbench.hamiltonians.spin_parts import SPIN_L, to_parts

Array = TypeVar("Array", NDArray[np.float64], torch.Tensor)

_VECTORS = (1, 5)  # index of the first spin part of each axial vector


@dataclass(frozen=True, order=True)
class Path:
    """One irrep of one shell pair of the padded frame.

    Attributes:
        l: angular momentum of the irrep.
        pseudo: whether the parity is -(-1)^l, e.g. of the axial vector in a p-p block; the parity
            of the spherical harmonics, (-1)^l, is called natural.
        row_shell: index of the row's shell in the padded frame.
        column_shell: index of the column's shell in the padded frame.
        part: index of its first spin part; 0 without spin.
        orbital: the l to which the two shells are coupled; equal to l unless spin is coupled to it.
    """

    l: int
    pseudo: bool
    row_shell: int
    column_shell: int
    part: int
    orbital: int

    @property
    def natural(self) -> bool:
        """Whether the irrep has the parity of the spherical harmonic of its l."""
        return not self.pseudo


@dataclass(frozen=True)
class BlockIrreps:
    """The change of basis between blocks and their irrep coefficients.

    Blocks are real, (..., M, M), or (..., Q, M, M) for Q spin parts; the coefficients (..., F) have
    F = M^2 or Q M^2. They are ordered by l, natural parity before pseudo, then by shell pair, then
    by m = -l..l.

    Attributes:
        basis: with or without spin.
        time_reversal: whether blocks with spin obey time reversal; Q is then 4, otherwise 8.

    >>> from workbench.hamiltonians.irreps import BlockIrreps
    >>> S = wb.overlap(wb.load("water"), wb.Basis("sto-3g", {1: (0,), 8: (0, 0, 1)}))
    >>> irreps = BlockIrreps(S.basis)
    >>> irreps.irreps
    5x0e+4x1o+1x1e+1x2e
    >>> coefficients = irreps.encode(S.values)  # (blocks, F)
    >>> bool(np.allclose(irreps.decode(coefficients), S.values))
    True
    >>> bool(np.allclose(np.linalg.norm(coefficients), np.linalg.norm(S.values)))
    True
    """

    basis: Basis
    time_reversal: bool = True

    @cached_property
    def spins(self) -> tuple[int, ...]:
        """The l of each group of spin parts; empty without spin."""
        if not self.basis.spinor:
            return ()
        return SPIN_L[:2] if self.time_reversal else SPIN_L

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(M, M), with spin (Q, M, M)."""
        m, parts = self.basis.dim, sum(2 * l + 1 for l in self.spins)
        return (parts, m, m) if parts else (m, m)

    @property
    def size(self) -> int:
        """F, the number of coefficients of a block."""
        return prod(self.shape)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """All irreps of all shell pairs, in the order of the coefficients."""
        layout, groups = self.basis.layout, self.spins or (0,)
        starts = np.cumsum([0, *(2 * s + 1 for s in groups)]).tolist()
        return tuple(
            sorted(
                Path(l, (la + lb + l) % 2 == 1, a, b, start, orbital)
                for start, spin in zip(starts, groups, strict=False)
                for a, la in enumerate(layout)
                for b, lb in enumerate(layout)
                for orbital in range(abs(la - lb), la + lb + 1)
                for l in range(abs(orbital - spin), orbital + spin + 1)
            )
        )

    @cached_property
    def irreps(self) -> o3.Irreps:
        """The coefficients as e3nn irreps."""
        parity = [(-1) ** (p.l + p.pseudo) for p in self.paths]
        terms = [(1, (p.l, s)) for p, s in zip(self.paths, parity, strict=True)]
        return cast("o3.Irreps", o3.Irreps(terms)).simplify()

    @cached_property
    def path_index(self) -> NDArray[np.intp]:
        """(F,) index of each coefficient's path."""
        return np.repeat(np.arange(len(self.paths)), [2 * p.l + 1 for p in self.paths])

    @cached_property
    def m(self) -> NDArray[np.intp]:
        """(F,) the m of each coefficient."""
        return np.concatenate([np.arange(-p.l, p.l + 1) for p in self.paths])

    @cached_property
    def change(self) -> NDArray[np.float64]:
        """(F, F) orthogonal: ``coefficients = block.ravel() @ change``."""
        basis = self.basis
        result = np.zeros((self.size // basis.dim**2, basis.dim, basis.dim, self.size))
        start = 0
        for p in self.paths:
            la, lb = basis.layout[p.row_shell], basis.layout[p.column_shell]
            r, c = basis.shell_starts[p.row_shell], basis.shell_starts[p.column_shell]
            coupling = _coupling(la, lb, p.orbital)[None]
            if p.part in _VECTORS:
                coupling = np.einsum("nabo,osl->sabl", coupling, _coupling(p.orbital, 1, p.l))
            parts = slice(p.part, p.part + len(coupling))
            stop = start + 2 * p.l + 1
            result[parts, r : r + 2 * la + 1, c : c + 2 * lb + 1, start:stop] = coupling
            start = stop
        return result.reshape(self.size, self.size)

    def encode(self, values: Array) -> Array:
        """Irrep coefficients (..., F) of padded blocks, numpy or torch."""
        flat = values.reshape(*values.shape[: values.ndim - len(self.shape)], -1)
        return flat @ self._change(flat)

    def decode(self, coefficients: Array) -> Array:
        """Padded blocks of irrep coefficients (..., F), numpy or torch."""
        flat = coefficients @ self._change(coefficients).T
        return flat.reshape(*flat.shape[:-1], *self.shape)

    def _change(self, like: Array) -> Array:
        """`change` in the dtype and on the device of `like`; tensors are cached."""
        if not isinstance(like, torch.Tensor):
            return self.change
        key = like.dtype, like.device
        if key not in self._tensors:
            with torch.inference_mode(False):  # training uses the cached one too
                self._tensors[key] = torch.as_tensor(self.change, dtype=key[0], device=key[1])
        return self._tensors[key]

    @cached_property
    def _tensors(self) -> dict[tuple[torch.dtype, torch.device], torch.Tensor]:
        return {}


def product_to_irreps(la: int, lb: int) -> NDArray[np.float64]:
    """Orthogonal matrix Q from the product of two irreps to its direct sum of irreps.

    ``Q.T @ kron(D^la, D^lb) @ Q`` is block diagonal in D^l, l = |la - lb| .. la + lb.

    Args:
        la: l of the outer index of the product.
        lb: l of the inner index.

    Returns:
        (n, n) with n = (2la+1)(2lb+1); its columns are real Clebsch-Gordan coefficients.

    >>> from workbench.hamiltonians.irreps import product_to_irreps
    >>> from workbench.hamiltonians.wigner import wigner_blocks
    >>> R, Q = wb.rotation((1, 1, 0), 40), product_to_irreps(1, 1)
    >>> D = wigner_blocks([1], R)
    >>> bool(np.allclose(Q.T @ np.kron(D, D) @ Q, wigner_blocks([0, 1, 2], R)))
    True
    """
    n = (2 * la + 1) * (2 * lb + 1)
    irreps = [_coupling(la, lb, l).reshape(n, -1) for l in range(abs(la - lb), la + lb + 1)]
    return np.concatenate(irreps, axis=1)


@cache
def _coupling(la: int, lb: int, l: int) -> NDArray[np.float64]:
    """(2la+1, 2lb+1, 2l+1) real Clebsch-Gordan coefficients, an isometry from irrep to block."""
    coupling: NDArray[np.float64] = o3.wigner_3j(la, lb, l, dtype=torch.float64).numpy()
    return coupling * np.sqrt(2 * l + 1)


Key = tuple[str, str, int]
"""An irrep of a block of two elements: row shell, column shell, l."""


def components(
    matrix: BlockMatrix, i: int, j: int, T: Sequence[int] = (0, 0, 0)
) -> dict[Key, NDArray[np.float64]]:
    """The irrep components of the block of two atoms; each irrep transforms by its ``D^l``.

    Args:
        matrix: without or with spin.
        i: row atom.
        j: column atom.
        T: cell of the column atom.

    Returns:
        (row shell, column shell, l) -> (P, 2l+1) for m = -l..l, in the unit of the matrix. Shells
        are named as in their element, e.g. "2p". P is 1 without spin; with spin it is the number
        of irreps of this name.

    Raises:
        KeyError: if the block is not stored.
    """
    block = matrix.padded_block(i, j, T)
    row, column = int(matrix.numbers[i]), int(matrix.numbers[j])
    irreps = _components(matrix.basis, row, column, block[None])
    return {key: values[0] for key, values in irreps.items()}


def irrep_norms(
    matrix: BlockMatrix, i: int, j: int, T: Sequence[int] = (0, 0, 0)
) -> dict[Key, float]:
    """The norm of each irrep in the block of two atoms; rotations do not change it.

    Args:
        matrix: without or with spin; with spin the norm includes all spin parts.
        i: row atom.
        j: column atom.
        T: cell of the column atom.

    Returns:
        (row shell, column shell, l) -> norm, in the unit of the matrix. Shells are named as in
        their element, e.g. "2p".

    Raises:
        KeyError: if the block is not stored.

    >>> from workbench.hamiltonians.irreps import irrep_norms
    >>> S = wb.overlap(wb.load("water"), wb.Basis("sto-3g", {1: (0,), 8: (0, 0, 1)}))
    >>> norms = irrep_norms(S, 0, 1)  # O and the first H
    >>> norms
    {('1s', '1s', 0): 0.052, ('2s', '1s', 0): 0.463, ('2p', '1s', 1): 0.387}
    >>> rotated = irrep_norms(S.rotate(wb.rotation((1, 1, 0), 40)), 0, 1)
    >>> bool(np.allclose(list(rotated.values()), list(norms.values())))
    True
    """
    irreps = components(matrix, i, j, T)
    return {key: float(np.linalg.norm(values)) for key, values in irreps.items()}


def xrays(
    matrix: BlockMatrix, row_number: int, column_number: int
) -> tuple[NDArray[np.intp], dict[Key, NDArray[np.float64]]]:
    """The `irrep_norms` of all blocks between two elements at once.

    Args:
        matrix: without or with spin.
        row_number: atomic number of the row atoms.
        column_number: atomic number of the column atoms.

    Returns:
        The blocks as positions (P,) in ``matrix.edges``, and for each irrep the norms (P,) of these
        blocks, in the unit of the matrix.
    """
    row, column = matrix.numbers[matrix.edges]
    blocks = np.flatnonzero((row == row_number) & (column == column_number))
    irreps = _components(matrix.basis, row_number, column_number, matrix.values[blocks])
    return blocks, {key: np.linalg.norm(v, axis=(1, 2)) for key, v in irreps.items()}


def is_pseudo(key: Key) -> bool:
    """Whether an irrep is a pseudo-tensor: its parity (-1)^(la + lb) differs from (-1)^l.

    >>> from workbench.hamiltonians.irreps import is_pseudo
    >>> is_pseudo(("2p", "2p", 1)), is_pseudo(("2p", "2p", 2))
    (True, False)
    """
    row, column, l = key
    return (SHELL_LETTERS.index(row[-1]) + SHELL_LETTERS.index(column[-1]) + l) % 2 == 1


def _components(
    basis: Basis, row_number: int, column_number: int, values: NDArray[Any]
) -> dict[Key, NDArray[np.float64]]:
    """Irreps (E, P, 2l+1) of the padded blocks (E, M, M) of two elements."""
    irreps = _block_irreps(basis)
    if basis.spinor:
        values = to_parts(values) * np.sqrt(2.0)  # so the sum of squares is that of the block
    coefficients = irreps.encode(values)
    rows, columns = (_shell_names(basis, z) for z in (row_number, column_number))
    by_key: dict[Key, list[NDArray[np.float64]]] = {}
    start = stop = 0
    for p in irreps.paths:
        start, stop = stop, stop + 2 * p.l + 1
        if p.row_shell in rows and p.column_shell in columns:
            key = rows[p.row_shell], columns[p.column_shell], p.l
            by_key.setdefault(key, []).append(coefficients[:, start:stop])
    return {key: np.stack(values, axis=1) for key, values in by_key.items()}


@lru_cache(maxsize=2)  # few, as with spin the change-of-basis matrix is large
def _block_irreps(basis: Basis) -> BlockIrreps:
    return BlockIrreps(basis, time_reversal=False)


def _shell_names(basis: Basis, number: int) -> dict[int, str]:
    """Shell of the padded frame -> its name in the element, e.g. 2p."""
    slots, labels = basis.slots(number), basis.labels(number)
    starts = {start: shell for shell, start in enumerate(basis.shell_starts)}
    first_orbital = {starts[s]: k for k, s in enumerate(slots.tolist()) if s in starts}
    return {shell: labels[k][:2] for shell, k in first_orbital.items()}
