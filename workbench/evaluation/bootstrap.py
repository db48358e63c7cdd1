"""Whether one model is better than another on the same structures, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "paired_difference"]


@dataclass(frozen=True)
class Interval:
    """A mean and the range that resampling gives it.

    Attributes:
        mean: of the differences, in their unit.
        low: the 2.5th percentile of the resampled means.
        high: the 97.5th.
    """

    mean: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether zero lies outside."""
        return not self.low <= 0 <= self.high


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    groups: ArrayLike | None = None,
    draws: int = 4000,
    seed: int = 0,
) -> Interval:
    """Mean of a - b over structures with its 95 % interval by the bootstrap.

    Both models meet each structure, so that what makes it hard for both cancels in the difference.
    Resampled are structures or, where frames of one trajectory resemble each other, whole groups
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13). The interval
    speaks of other structures of the same kind, and not of models trained with another seed.

    Args:
        a: (n,) errors of one model.
        b: (n,) those of the other, of the same structures in the same order.
        groups: (n,) the group of each structure, or None to draw single ones.
        draws: how many times.
        seed: of the draws.

    Raises:
        ValueError: for errors that do not pair, or fewer than two things to draw.
    """
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"{one.shape} and {other.shape} errors do not pair: measure both alike.")
    names = np.arange(len(one)) if groups is None else np.asarray(groups)
    _, member = np.unique(names, return_inverse=True)
    sums = np.bincount(member, weights=one - other)
    counts = np.bincount(member)
    if len(counts) < 2:
        raise ValueError("One structure, or one group, says nothing of others: measure more.")
    drawn: NDArray[np.intp] = np.random.default_rng(seed).integers(
        len(counts), size=(draws, len(counts))
    )
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float((one - other).mean()), float(low), float(high))
