"""Real spherical harmonics, Wigner matrices in float64, and the laws that Wigner matrices obey.

`wigner_d` is exact to 1e-14; e3nn's matrices have errors of 1e-7 even in float64. A *rule* is any
callable (l, R) -> (2l+1, 2l+1): `wigner_d`, e3nn's function, or a deliberately wrong one. Every
orbital order and sign convention obeys the group law (`group_error`). Only the comparison with the
harmonics shows which convention a rule follows (`harmonics_error`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import lpmv

__all__ = ["Rule", "group_error", "harmonics", "harmonics_error", "wigner_blocks", "wigner_d"]


def harmonics(lmax: int, vectors: ArrayLike) -> NDArray[np.float64]:
    """Orthonormal real spherical harmonics of the directions of vectors, m = -l..l.

    ``Y_lm = sqrt(2) N_lm P_l^|m|(cos theta) {cos m phi | sin |m| phi}`` without the
    Condon-Shortley phase, so that l = 1 is proportional to (y, z, x).

    Args:
        lmax: highest l.
        vectors: (..., 3), non-zero; their lengths do not matter.

    Returns:
        (..., (lmax + 1)^2), ordered by l = 0, 1, ..., and by m = -l..l for each l.

    >>> from workbench.hamiltonians.wigner import harmonics
    >>> harmonics(1, (1, 2, 3)).round(3)  # s, and p in the order y, z, x
    array([0.282, 0.261, 0.392, 0.131])
    """
    points = np.asarray(vectors, dtype=float)
    x, y, z = np.moveaxis(points, -1, 0)
    cosine = z / np.linalg.norm(points, axis=-1)
    phi = np.arctan2(y, x)
    columns = []
    for l in range(lmax + 1):
        for m in range(-l, l + 1):
            k = abs(m)
            norm = np.sqrt((2 * l + 1) / (4 * np.pi) * factorial(l - k) / factorial(l + k))
            phase = np.sin(k * phi) if m < 0 else np.cos(k * phi)
            root2 = np.sqrt(2.0) if m else 1.0
            columns.append((-1) ** k * root2 * norm * lpmv(k, l, cosine) * phase)
    return np.stack(columns, axis=-1)


def wigner_d(l: int, matrix: ArrayLike) -> NDArray[np.float64]:
    """Real Wigner matrix of one shell: ``Y_l(R x) = D^l(R) Y_l(x)``, proper or improper R.

    D is the least-squares solution for the harmonics at a fixed set of points before and after the
    rotation. Its error is about 1e-14, and no table of signs is needed.

    Args:
        l: angular momentum.
        matrix: (..., 3, 3) orthogonal.

    Returns:
        (..., 2l+1, 2l+1), orthogonal; an improper R includes the shell's parity (-1)^l.

    >>> from workbench.hamiltonians.wigner import harmonics, wigner_d
    >>> R, x = wb.rotation((1, 1, 0), 40), np.array([0.1, -0.7, 0.3])
    >>> D = wigner_d(2, R)
    >>> bool(np.allclose(D @ D.T, np.eye(5)))
    True
    >>> bool(np.allclose(harmonics(2, R @ x)[4:], D @ harmonics(2, x)[4:]))  # [4:] is l = 2
    True
    """
    points, inverse = _solved_points(l)
    rotated = np.einsum("...ab,pb->...pa", np.asarray(matrix, dtype=float), points)
    after = harmonics(l, rotated)[..., l * l :]  # (..., points, 2l+1)
    return np.swapaxes(inverse @ after, -1, -2)


def wigner_blocks(ls: Sequence[int], matrix: ArrayLike) -> NDArray[np.float64]:
    """Block diagonal Wigner matrices (..., K, K) of several shells, K = sum of 2l+1.

    Args:
        ls: angular momentum of each shell; each distinct l is computed once.
        matrix: (..., 3, 3) orthogonal.

    >>> from workbench.hamiltonians.wigner import wigner_blocks
    >>> D = wigner_blocks([0, 0, 1], wb.rotation((0, 0, 1), 90))  # 1s, 2s, 2p
    >>> D.shape, bool(np.allclose(D @ D.T, np.eye(5)))
    ((5, 5), True)
    """
    matrix_of_l = {l: wigner_d(l, matrix) for l in set(ls)}
    size = sum(2 * l + 1 for l in ls)
    result = np.zeros((*np.shape(matrix)[:-2], size, size))
    start = 0
    for l in ls:
        shell = slice(start, start + 2 * l + 1)
        result[..., shell, shell] = matrix_of_l[l]
        start += 2 * l + 1
    return result


@cache
def _solved_points(l: int) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
    """Points (4l+4, 3), and the pseudo-inverse (2l+1, 4l+4) of their degree-l harmonics."""
    points = _points(l)
    return points, np.linalg.pinv(harmonics(l, points)[:, l * l :])


def _points(l: int) -> NDArray[np.float64]:
    """(4l+4, 3) random points: any symmetry of theirs could make their harmonics dependent."""
    return np.random.default_rng(l).normal(size=(4 * l + 4, 3))


Rule = Callable[[int, NDArray[np.float64]], NDArray[Any]]


_DIRECTIONS = 40


def harmonics_error(rule: Rule, l: int, R: ArrayLike) -> float:
    """Largest ``|Y_l(R x) - D^l(R) Y_l(x)|`` over 40 fixed directions x, relative to max |Y_l|.

    Args:
        rule: the callable to test.
        l: angular momentum.
        R: (3, 3) orthogonal, proper or improper.

    >>> from workbench.hamiltonians.wigner import harmonics_error, wigner_d
    >>> R = wb.rotation((1, 1, 0), 40)
    >>> harmonics_error(wigner_d, 1, R) < 1e-13
    True
    >>> def in_xyz_order(l, R):  # p as (x, y, z), not (y, z, x)
    ...     return R
    >>> harmonics_error(in_xyz_order, 1, R) > 0.1
    True
    """
    matrix = np.asarray(R, dtype=float)
    points = np.random.default_rng(0).normal(size=(_DIRECTIONS, 3))
    before, after = (harmonics(l, p)[:, l * l :] for p in (points, points @ matrix.T))
    return float(np.abs(after - before @ rule(l, matrix).T).max() / np.abs(before).max())


def group_error(rule: Rule, l: int, second: ArrayLike, first: ArrayLike) -> float:
    """Largest modulus in ``D(R2 R1) - D(R2) D(R1)``. R1 is the rotation that is applied first.

    Args:
        rule: the callable to test.
        l: angular momentum.
        second: R2 (3, 3).
        first: R1 (3, 3).

    >>> from workbench.hamiltonians.wigner import group_error, wigner_d
    >>> group_error(wigner_d, 2, wb.rotation((1, 0, 0), 90), wb.rotation((0, 0, 1), 90)) < 1e-13
    True
    """
    R2, R1 = np.asarray(second, dtype=float), np.asarray(first, dtype=float)
    return float(np.abs(rule(l, R2 @ R1) - rule(l, R2) @ rule(l, R1)).max())
