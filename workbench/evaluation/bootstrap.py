"""Comparing two models on the same structures: the mean difference and its bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "paired_difference"]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval.

    Attributes:
        mean: of the differences, in their unit.
        low: the 2.5th percentile of the resampled means.
        high: the 97.5th percentile of the resampled means.
    """

    mean: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether zero lies outside the interval, so that the sign of the mean is significant."""
        return not self.low <= 0 <= self.high


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    groups: ArrayLike | None = None,
    draws: int = 4000,
    seed: int = 0,
) -> Interval:
    """Mean of a - b over structures with its 95 % bootstrap interval.

    Both models are evaluated on the same structures, so the difficulty that a structure has for
    both cancels in the difference. The bootstrap resamples structures or, if frames of one
    trajectory resemble each other, whole groups (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapters 8 and 13). The interval covers the choice of structures of the same
    kind, not the seed with which the models were trained.

    Args:
        a: (n,) errors of one model.
        b: (n,) errors of the other model on the same structures in the same order.
        groups: (n,) the group of each structure, or None to resample single structures.
        draws: number of resamples.
        seed: of the resampling.

    Returns:
        The mean difference and its interval, in the unit of the errors.

    Raises:
        ValueError: if the two lists of errors differ in length, or there are fewer than two
            structures or groups.

    >>> from workbench.evaluation.bootstrap import paired_difference
    >>> difference = paired_difference([1.0, 2.0, 3.0, 4.0], [1.5, 2.4, 3.6, 4.5])
    >>> difference.mean
    -0.5
    >>> difference.decided  # the first model is better on every structure
    True
    """
    errors_a, errors_b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if errors_a.shape != errors_b.shape or errors_a.ndim != 1:
        raise ValueError(
            f"Errors of shapes {errors_a.shape} and {errors_b.shape} do not pair: pass one error "
            "per structure for both models."
        )
    names = np.arange(len(errors_a)) if groups is None else np.asarray(groups)
    _, member = np.unique(names, return_inverse=True)
    sums = np.bincount(member, weights=errors_a - errors_b)
    counts = np.bincount(member)
    if len(counts) < 2:
        raise ValueError("A bootstrap needs two structures or groups: evaluate more of them.")
    resamples: NDArray[np.intp] = np.random.default_rng(seed).integers(
        len(counts), size=(draws, len(counts))
    )
    means = sums[resamples].sum(axis=1) / counts[resamples].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float((errors_a - errors_b).mean()), float(low), float(high))
