"""Spinor matrices as real matrices, in which every symmetry is plain.

A block of a matrix with spin is a sum of real matrices times fixed 2 x 2 matrices in spin space,

    H = X_0 1 + sum_a A_a (i sigma_a)  +  Y_0 (i 1) + sum_a X_a sigma_a,      a = y, z, x.

The first four are even under time reversal, the other four odd: of a system without magnetisation
only the first four are left. X_0 turns as a matrix without spin does; the three A_a also turn among
themselves as an axial vector, in the order y, z, x of an l = 1 shell. Hermiticity,
``H_ij(T) = H_ji(-T)^+``, means ``X_ij = X_ji^T`` for the factors that are hermitian and
``A_ij = -A_ji^T`` for those that are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.conventions import E3NN_AXES
from workbench.hamiltonians.rotations import PAULI

__all__ = ["EVEN", "FACTORS", "SIGNS", "SPIN_L", "from_parts", "odd_part", "to_parts"]

_SIGMA = PAULI[list(E3NN_AXES)]  # y, z, x

FACTORS: NDArray[np.complex128] = np.concatenate(
    [np.eye(2)[None], 1j * _SIGMA, 1j * np.eye(2)[None], _SIGMA]
).astype(np.complex128)
"""(8, 2, 2) what each part is multiplied by."""

SIGNS = tuple(1 if np.allclose(f, f.conj().T) else -1 for f in FACTORS)
"""+1 where a part of a hermitian matrix equals its partner's transpose, -1 where its negative."""

SPIN_L = (0, 1, 0, 1)
"""The l of each group of parts, of which an l = 1 holds three, all even under inversion."""

EVEN = 4
"""How many parts time reversal leaves: the first ones."""


def to_parts(values: NDArray[Any], count: int = len(FACTORS)) -> NDArray[np.float64]:
    """Blocks (..., 2M, 2M) with spin outermost -> their first parts (..., count, M, M)."""
    m = values.shape[-1] // 2
    quarters = values.reshape(*values.shape[:-2], 2, m, 2, m)
    factors = FACTORS[:count].conj() / 2
    return np.ascontiguousarray(np.einsum("qst,...smtn->...qmn", factors, quarters).real)


def from_parts(parts: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Parts (..., Q, M, M), those beyond the first Q zero -> blocks (..., 2M, 2M)."""
    count, m = parts.shape[-3], parts.shape[-1]
    blocks = np.einsum("qst,...qmn->...smtn", FACTORS[:count], parts)
    return blocks.reshape(*parts.shape[:-3], 2 * m, 2 * m)


def odd_part(values: NDArray[Any]) -> float:
    """The largest modulus that time reversal would flip, in the unit of the values."""
    odd = to_parts(values)[..., EVEN:, :, :]
    return float(np.abs(odd).max(initial=0.0))
