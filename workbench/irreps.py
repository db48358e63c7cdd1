"""Blocks of a Hamiltonian as direct sums of irreps, and back (Clebsch-Gordan).

The block of shells la and lb turns as ``D^la h D^lb T``. It is the direct sum of the irreps
l = |la - lb| .. la + lb, each of parity (-1)^(la + lb). One orthogonal matrix takes a whole padded
block to all its irrep coefficients, so norms are kept and decoding is a single contraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
import torch
from e3nn import o3
from numpy.typing import NDArray

from workbench.basis import Basis
from workbench.matrices import BlockMatrix

Array = TypeVar("Array", NDArray[np.float64], torch.Tensor)


@dataclass(frozen=True, order=True)
class Path:
    """One irrep of one shell pair of the padded frame.

    ``natural`` says that the parity is (-1)^l, that of the harmonics; otherwise it is a
    pseudo-tensor such as the axial vector in a p-p block.
    """

    l: int
    pseudo: bool
    row_shell: int
    column_shell: int

    @property
    def natural(self) -> bool:
        """Whether the irrep has the parity of the spherical harmonic of its l."""
        return not self.pseudo


@dataclass(frozen=True)
class BlockIrreps:
    """The change between blocks (..., M, M) and their irrep coefficients (..., M*M).

    Coefficients are ordered by l, natural parity before pseudo, then by shell pair; m = -l..l.
    """

    basis: Basis

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """All irreps of all shell pairs, in the order of the coefficients."""
        layout = self.basis.layout
        return tuple(
            sorted(
                Path(l, (la + lb + l) % 2 == 1, a, b)
                for a, la in enumerate(layout)
                for b, lb in enumerate(layout)
                for l in range(abs(la - lb), la + lb + 1)
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
        """(M*M,) which path a coefficient belongs to."""
        return np.repeat(np.arange(len(self.paths)), [2 * p.l + 1 for p in self.paths])

    @cached_property
    def m(self) -> NDArray[np.intp]:
        """(M*M,) the m of each coefficient."""
        return np.concatenate([np.arange(-p.l, p.l + 1) for p in self.paths])

    @cached_property
    def change(self) -> NDArray[np.float64]:
        """(M*M, M*M) orthogonal: ``coefficients = block.ravel() @ change``."""
        basis, size = self.basis, self.basis.dim
        result = np.zeros((size, size, size * size))
        at = 0
        for p in self.paths:
            la, lb = basis.layout[p.row_shell], basis.layout[p.column_shell]
            r, c = basis.shell_starts[p.row_shell], basis.shell_starts[p.column_shell]
            coupling = o3.wigner_3j(la, lb, p.l, dtype=torch.float64).numpy()
            width = 2 * p.l + 1
            result[r : r + 2 * la + 1, c : c + 2 * lb + 1, at : at + width] = coupling * np.sqrt(
                width
            )
            at += width
        return result.reshape(size * size, size * size)

    def encode(self, values: Array) -> Array:
        """Irrep coefficients (..., M*M) of padded blocks (..., M, M), numpy or torch."""
        flat = values.reshape(*values.shape[:-2], -1)
        return flat @ _like(self.change, flat)

    def decode(self, coefficients: Array) -> Array:
        """Padded blocks (..., M, M) of irrep coefficients (..., M*M), numpy or torch."""
        flat = coefficients @ _like(self.change.T, coefficients)
        return flat.reshape(*flat.shape[:-1], self.basis.dim, self.basis.dim)


def _like(matrix: NDArray[np.float64], array: Array) -> Array:
    """The matrix as an array of the other's kind."""
    if isinstance(array, torch.Tensor):
        return torch.as_tensor(matrix, dtype=array.dtype, device=array.device)
    return matrix


def xray(matrix: BlockMatrix, i: int, j: int) -> dict[tuple[str, str, int], float]:
    """The "X-ray" of a pair's block: the norm of each irrep, which no rotation moves.

    Args:
        matrix: a scalar matrix.
        i: row atom.
        j: column atom (of the home cell).

    Returns:
        (row shell, column shell, l) -> norm, in the unit of the matrix; shells named per element.
    """
    basis = matrix.basis
    irreps = BlockIrreps(basis)
    edge = np.flatnonzero((matrix.edges[0] == i) & (matrix.edges[1] == j))
    if not len(edge):
        raise KeyError(f"No block for atoms {i} and {j} is stored.")
    coefficients = irreps.encode(matrix.values[edge[0]])
    squares = np.zeros(len(irreps.paths))
    np.add.at(squares, irreps.path_index, coefficients**2)
    names = [_shell_names(basis, int(matrix.numbers[a])) for a in (i, j)]
    return {
        (names[0][p.row_shell], names[1][p.column_shell], p.l): float(np.sqrt(s))
        for p, s in zip(irreps.paths, squares, strict=True)
        if p.row_shell in names[0] and p.column_shell in names[1]
    }


def _shell_names(basis: Basis, number: int) -> dict[int, str]:
    """Padded shell -> name such as 2p, for the shells that an element has."""
    slots, labels = basis.slots(number), basis.labels(number)
    starts = {start: shell for shell, start in enumerate(basis.shell_starts)}
    first = {starts[s]: k for k, s in enumerate(slots.tolist()) if s in starts}
    return {shell: labels[k][:2] for shell, k in first.items()}
