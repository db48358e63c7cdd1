"""Blocks of a Hamiltonian as direct sums of irreps, and back (Clebsch-Gordan).

The block of shells la and lb turns as ``D^la h D^lb T``. It is the direct sum of the irreps
l = |la - lb| .. la + lb, each of parity (-1)^(la + lb). One orthogonal matrix takes a whole padded
block to all its irrep coefficients, so norms are kept and decoding is a single contraction.

With spin a block is several real matrices (`workbench.hamiltonians.spin_parts`). The three that
form an axial vector are ``(la x lb) x 1``: each irrep of the shell pair is coupled with l = 1 once
more.
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

_VECTORS = (1, 5)  # first parts of the axial vectors among the spin parts


@dataclass(frozen=True, order=True)
class Path:
    """One irrep of one shell pair of the padded frame.

    ``natural`` says that the parity is (-1)^l, that of the harmonics; otherwise it is a
    pseudo-tensor such as the axial vector in a p-p block.

    Attributes:
        part: first of the spin parts that it lives in; 0 without spin.
        orbital: the l to which the two shells are coupled; l itself where no spin comes in.
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
    """The change between blocks and their irrep coefficients.

    Blocks are real, (..., M, M), or (..., Q, M, M) in Q spin parts; coefficients (..., F) as many.
    They are ordered by l, natural parity before pseudo, then by shell pair; m = -l..l.

    Attributes:
        basis: with or without spin.
        time_reversal: whether blocks with spin obey it, which halves them: Q is 4, else 8.
    """

    basis: Basis
    time_reversal: bool = True

    @cached_property
    def spins(self) -> tuple[int, ...]:
        """The l of each group of spin parts; none without spin."""
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
        """F, how many coefficients a block has."""
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
        """(F,) which path a coefficient belongs to."""
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
        at = 0
        for p in self.paths:
            la, lb = basis.layout[p.row_shell], basis.layout[p.column_shell]
            r, c = basis.shell_starts[p.row_shell], basis.shell_starts[p.column_shell]
            coupling = _coupling(la, lb, p.orbital)[None]
            if p.part in _VECTORS:
                coupling = np.einsum("nabo,osl->sabl", coupling, _coupling(p.orbital, 1, p.l))
            parts = slice(p.part, p.part + len(coupling))
            width = 2 * p.l + 1
            result[parts, r : r + 2 * la + 1, c : c + 2 * lb + 1, at : at + width] = coupling
            at += width
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
        """The change as an array of another's kind; tensors are kept."""
        if not isinstance(like, torch.Tensor):
            return self.change
        key = like.dtype, like.device
        if key not in self._tensors:
            with torch.inference_mode(False):  # one made while predicting serves training, too
                self._tensors[key] = torch.as_tensor(self.change, dtype=key[0], device=key[1])
        return self._tensors[key]

    @cached_property
    def _tensors(self) -> dict[tuple[torch.dtype, torch.device], torch.Tensor]:
        return {}


def product_to_irreps(la: int, lb: int) -> NDArray[np.float64]:
    """Orthogonal change from the product of two irreps to the direct sum of those it consists of.

    ``Q.T @ kron(D^la, D^lb) @ Q`` is block diagonal in D^l, l = |la - lb| .. la + lb.

    Args:
        la: of the outer index of the product.
        lb: of the inner one.

    Returns:
        (n, n) with n = (2la+1)(2lb+1): its columns are real Clebsch-Gordan coefficients.
    """
    n = (2 * la + 1) * (2 * lb + 1)
    parts = [_coupling(la, lb, l).reshape(n, -1) for l in range(abs(la - lb), la + lb + 1)]
    return np.concatenate(parts, axis=1)


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
    """The irreps of a pair's block: numbers that turn by ``D^l`` among themselves.

    Args:
        matrix: real, or with spin.
        i: row atom.
        j: column atom.
        T: its cell.

    Returns:
        (row shell, column shell, l) -> (P, 2l+1) for m = -l..l, in the unit of the matrix; shells
        named per element. P is 1 without spin; with it, so many irreps share the name.

    Raises:
        KeyError: if the pair is not stored.
    """
    block = matrix.padded_block(i, j, T)
    row, column = int(matrix.numbers[i]), int(matrix.numbers[j])
    found = _components(matrix.basis, row, column, block[None])
    return {key: values[0] for key, values in found.items()}


def irrep_norms(
    matrix: BlockMatrix, i: int, j: int, T: Sequence[int] = (0, 0, 0)
) -> dict[Key, float]:
    """The "X-ray" of a pair's block: the norm of each irrep, which no rotation moves.

    Args:
        matrix: real, or with spin: the norm is then that over all spin parts.
        i: row atom.
        j: column atom.
        T: its cell.

    Returns:
        (row shell, column shell, l) -> norm, in the unit of the matrix; shells named per element.

    Raises:
        KeyError: if the pair is not stored.
    """
    found = components(matrix, i, j, T)
    return {key: float(np.linalg.norm(values)) for key, values in found.items()}


def xrays(
    matrix: BlockMatrix, row_number: int, column_number: int
) -> tuple[NDArray[np.intp], dict[Key, NDArray[np.float64]]]:
    """The X-rays of all blocks between two elements at once.

    Args:
        matrix: real, or with spin.
        row_number: atomic number of the row atoms.
        column_number: of the column atoms.

    Returns:
        Which blocks these are, (P,) positions in ``matrix.edges``; and per irrep their norms (P,),
        in the unit of the matrix.
    """
    row, column = matrix.numbers[matrix.edges]
    blocks = np.flatnonzero((row == row_number) & (column == column_number))
    found = _components(matrix.basis, row_number, column_number, matrix.values[blocks])
    return blocks, {key: np.linalg.norm(v, axis=(1, 2)) for key, v in found.items()}


def is_pseudo(key: Key) -> bool:
    """Whether an irrep is a pseudo-tensor: its parity (-1)^(la + lb) is not that of its l."""
    row, column, l = key
    return (SHELL_LETTERS.index(row[-1]) + SHELL_LETTERS.index(column[-1]) + l) % 2 == 1


def _components(
    basis: Basis, row_number: int, column_number: int, values: NDArray[Any]
) -> dict[Key, NDArray[np.float64]]:
    """Irreps (E, P, 2l+1) of the padded blocks (E, M, M) of two elements."""
    irreps = _block_irreps(basis)
    if basis.spinor:
        values = to_parts(values) * np.sqrt(2.0)  # so that squares add up to those of the block
    coefficients = irreps.encode(values)
    rows, columns = (_shell_names(basis, z) for z in (row_number, column_number))
    found: dict[Key, list[NDArray[np.float64]]] = {}
    at = 0
    for p in irreps.paths:
        start, at = at, at + 2 * p.l + 1
        if p.row_shell in rows and p.column_shell in columns:
            key = rows[p.row_shell], columns[p.column_shell], p.l
            found.setdefault(key, []).append(coefficients[:, start:at])
    return {key: np.stack(parts, axis=1) for key, parts in found.items()}


@lru_cache(maxsize=2)  # with spin the change is a large matrix
def _block_irreps(basis: Basis) -> BlockIrreps:
    return BlockIrreps(basis, time_reversal=False)


def _shell_names(basis: Basis, number: int) -> dict[int, str]:
    """Padded shell -> name such as 2p, for the shells that an element has."""
    slots, labels = basis.slots(number), basis.labels(number)
    starts = {start: shell for shell, start in enumerate(basis.shell_starts)}
    first = {starts[s]: k for k, s in enumerate(slots.tolist()) if s in starts}
    return {shell: labels[k][:2] for shell, k in first.items()}
