"""How far a rule for Wigner matrices is from the laws that it has to obey.

A *rule* is any callable (l, R) -> (2l+1, 2l+1): `conventions.wigner_d`, e3nn's, a broken toy. All
orders and signs of orbitals pass the group law; only the harmonics tell which is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.conventions import harmonics

__all__ = ["Rule", "group_error", "harmonics_error"]

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
