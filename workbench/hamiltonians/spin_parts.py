"""Spinor matrices as sums of real matrices, whose symmetries are explicit.

A block of a matrix with spin is a sum of real matrices times fixed 2 x 2 matrices in spin space,

    H = X_0 1 + sum_a A_a (i sigma_a)  +  Y_0 (i 1) + sum_a X_a sigma_a,      a = y, z, x.

The first four parts are even under time reversal, the other four odd: without magnetisation only
the first four are non-zero. X_0 transforms like a matrix without spin. The three A_a transform in
addition as the components of an axial vector, in the order y, z, x of an l = 1 shell. Hermiticity,
``H_ij(T) = H_ji(-T)^+``, means ``X_ij = X_ji^T`` where the factor is hermitian, and
``A_ij = -A_ji^T`` where it is anti-hermitian.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.conventions import E3NN_AXES
from workbench.hamiltonians.rotations import PAULI

__all__ = [
    "EVEN",
    "FACTORS",
    "MAGNETIC_EV",
    "SIGNS",
    "SPIN_L",
    "from_parts",
    "odd_part",
    "to_parts",
]

_SIGMA = PAULI[list(E3NN_AXES)]  # y, z, x

FACTORS: NDArray[np.complex128] = np.concatenate(
    [np.eye(2)[None], 1j * _SIGMA, 1j * np.eye(2)[None], _SIGMA]
).astype(np.complex128)
"""(8, 2, 2) the spin matrix that multiplies each part."""

SIGNS = tuple(1 if np.allclose(f, f.conj().T) else -1 for f in FACTORS)
"""For hermitian matrices: +1 where ``X_ij = X_ji^T``, -1 where ``X_ij = -X_ji^T``."""

SPIN_L = (0, 1, 0, 1)
"""The l of each group of parts (an l = 1 group has three parts); all even under inversion."""

EVEN = 4
"""Number of parts that are even under time reversal; they come first."""


MAGNETIC_EV = 0.01
"""Elements odd under time reversal above this, eV, are not numerical noise of an engine."""


def to_parts(values: NDArray[Any], count: int = len(FACTORS)) -> NDArray[np.float64]:
    """Blocks (..., 2M, 2M) with spin outermost -> the first ``count`` parts (..., count, M, M).

    >>> from workbench.hamiltonians.spin_parts import from_parts, to_parts
    >>> blocks = wb.Dataset("bb-mini")[0].H.values  # Bi with spin-orbit coupling, M = 14
    >>> parts = to_parts(blocks, count=4)  # without magnetisation four parts suffice
    >>> parts.shape[1:], bool(np.allclose(from_parts(parts), blocks))
    ((4, 14, 14), True)
    """
    m = values.shape[-1] // 2
    quarters = values.reshape(*values.shape[:-2], 2, m, 2, m)
    factors = FACTORS[:count].conj() / 2
    return np.ascontiguousarray(np.einsum("qst,...smtn->...qmn", factors, quarters).real)


def from_parts(parts: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The first Q parts (..., Q, M, M) -> blocks (..., 2M, 2M); the other parts count as zero."""
    count, m = parts.shape[-3], parts.shape[-1]
    blocks = np.einsum("qst,...qmn->...smtn", FACTORS[:count], parts)
    return blocks.reshape(*parts.shape[:-3], 2 * m, 2 * m)


def odd_part(values: NDArray[Any]) -> float:
    """Largest modulus of the parts that are odd under time reversal, in the unit of the values."""
    odd = to_parts(values)[..., EVEN:, :, :]
    return float(np.abs(odd).max(initial=0.0))
