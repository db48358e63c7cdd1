"""Real spherical harmonics, Wigner matrices in float64, and the laws that Wigner matrices obey.

`wigner_d` is exact to 1e-14; e3nn's matrices carry 1e-7 even in float64. A *rule* is any callable
(l, R) -> (2l+1, 2l+1): `wigner_d`, e3nn's function, a broken toy. Every order and every sign
convention of the orbitals passes the group law (`group_error`); only the harmonics tell which
convention is meant (`harmonics_error`).
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
        vectors: (..., 3), not zero.

    Returns:
        (..., (lmax + 1)^2), ordered l = 0, 1, ..., and m = -l..l within.
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

    Solved from the harmonics of a fixed set of points before and after the rotation, which is
    good to about 1e-14 and needs no table of signs.

    Args:
        l: angular momentum.
        matrix: (..., 3, 3) orthogonal.

    Returns:
        (..., 2l+1, 2l+1), orthogonal; an improper R carries the shell's parity (-1)^l.
    """
    points, inverse = _solved_points(l)
    turned = np.einsum("...ab,pb->...pa", np.asarray(matrix, dtype=float), points)
    after = harmonics(l, turned)[..., l * l :]  # (..., points, 2l+1)
    return np.swapaxes(inverse @ after, -1, -2)


def wigner_blocks(ls: Sequence[int], matrix: ArrayLike) -> NDArray[np.float64]:
    """Block diagonal Wigner matrices (..., K, K) of several shells in turn, K = sum of 2l+1.

    Args:
        ls: angular momentum of each shell; one that comes again is not computed again.
        matrix: (..., 3, 3) orthogonal.
    """
    of_degree = {l: wigner_d(l, matrix) for l in set(ls)}
    size = sum(2 * l + 1 for l in ls)
    result = np.zeros((*np.shape(matrix)[:-2], size, size))
    at = 0
    for l in ls:
        shell = slice(at, at + 2 * l + 1)
        result[..., shell, shell] = of_degree[l]
        at += 2 * l + 1
    return result


@cache
def _solved_points(l: int) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
    """Points (4l+4, 3), and the pseudo-inverse (2l+1, 4l+4) of their harmonics of degree l."""
    points = _points(l)
    return points, np.linalg.pinv(harmonics(l, points)[:, l * l :])


def _points(l: int) -> NDArray[np.float64]:
    """(4l+4, 3) points spread over the sphere, with no symmetry that harmonics could share."""
    return np.random.default_rng(l).normal(size=(4 * l + 4, 3))


Rule = Callable[[int, NDArray[np.float64]], NDArray[Any]]


_DIRECTIONS = 40


def harmonics_error(rule: Rule, l: int, R: ArrayLike) -> float:
    """Largest ``|Y_l(R x) - D^l(R) Y_l(x)|`` over 40 fixed directions x, relative to max |Y_l|.

    Args:
        rule: what is to be tested.
        l: angular momentum.
        R: (3, 3) orthogonal, proper or not.
    """
    matrix = np.asarray(R, dtype=float)
    points = np.random.default_rng(0).normal(size=(_DIRECTIONS, 3))
    before, after = (harmonics(l, p)[:, l * l :] for p in (points, points @ matrix.T))
    return float(np.abs(after - before @ rule(l, matrix).T).max() / np.abs(before).max())


def group_error(rule: Rule, l: int, second: ArrayLike, first: ArrayLike) -> float:
    """Largest element of ``D(R2 R1) - D(R2) D(R1)``, R1 being the turn that comes first.

    Args:
        rule: what is to be tested.
        l: angular momentum.
        second: R2 (3, 3).
        first: R1 (3, 3).
    """
    R2, R1 = np.asarray(second, dtype=float), np.asarray(first, dtype=float)
    return float(np.abs(rule(l, R2 @ R1) - rule(l, R2) @ rule(l, R1)).max())
