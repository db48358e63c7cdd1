"""Expressiveness of non-linearities: random features with a readout solved by least squares.

A sample has a scalar s, a vector v and the unit vector r of an edge. Each kind of layer makes many
random vector features; a target vector is then fitted as a linear combination of them. No feature
is trained, so a target that a kind cannot fit here is one that it cannot represent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.errors import aligned_rows
from workbench.hamiltonians.rotations import INVERSION, random_rotation

__all__ = ["KINDS", "TARGETS", "Sample", "draw", "learned", "table"]

Array = NDArray[np.float64]

_WIDTH = 200  # random features
_RIDGES = tuple(10.0**-k for k in range(1, 13))  # relative; chosen by validation


@dataclass(frozen=True)
class Sample:
    """Scalars (n,), vectors (n, 3) and edges (n, 3) of length one."""

    s: Array
    v: Array
    r: Array

    def turned(self, R: Array) -> Sample:
        """All vectors rotated by R (3, 3); scalars do not change."""
        return Sample(self.s, self.v @ R.T, self.r @ R.T)


def draw(count: int, rng: np.random.Generator) -> Sample:
    """Random samples in random orientations: |v| up to 2, s from -1 to 1.

    >>> from workbench.course import nonlinearity
    >>> x = nonlinearity.draw(5, np.random.default_rng(0))
    >>> x.s.shape, x.v.shape, bool(np.allclose(np.linalg.norm(x.r, axis=1), 1))
    ((5,), (5, 3), True)
    """
    r, direction = (rng.normal(size=(count, 3)) for _ in range(2))
    r, direction = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (r, direction))
    length = rng.uniform(0, 2, (count, 1))
    return Sample(rng.uniform(-1, 1, count), length * direction, r)


def _along(x: Sample) -> Array:
    return (x.v * x.r).sum(axis=1)


TARGETS: dict[str, Callable[[Sample], Array]] = {
    "2 v": lambda x: 2 * x.v,
    "sin(3s) v": lambda x: np.sin(3 * x.s)[:, None] * x.v,
    "v/(1+v²)": lambda x: x.v / (1 + (x.v**2).sum(axis=1, keepdims=True)),
    "(v·r)² v": lambda x: _along(x)[:, None] ** 2 * x.v,
}
"""Formula -> target vector; all targets are equivariant."""


def _gated(*invariants: Array) -> Callable[[np.random.Generator], Array]:
    """Random functions (n, width) of invariants: SiLU of linear combinations."""

    def make(rng: np.random.Generator) -> Array:
        x = np.stack([*invariants, np.ones_like(invariants[0])], axis=1)
        return _silu(x @ rng.normal(scale=2.0, size=(x.shape[1], _WIDTH)))

    return make


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def _times(factors: Array, *vectors: Array) -> Array:
    """(n, 3, features): each vector times each factor."""
    products = [vector[:, :, None] * factors[:, None, :] for vector in vectors]
    return np.concatenate(products, axis=2)


def _none(x: Sample, rng: np.random.Generator) -> Array:
    del rng
    return x.v[:, :, None]


def _norm(x: Sample, rng: np.random.Generator) -> Array:
    return _times(_gated(np.linalg.norm(x.v, axis=1))(rng), x.v)


def _gate(x: Sample, rng: np.random.Generator) -> Array:
    return _times(_gated(x.s)(rng), x.v)


def _edge_gate(x: Sample, rng: np.random.Generator) -> Array:
    along = _along(x)
    return _times(_gated(x.s, along)(rng), x.v, along[:, None] * x.r)


def _components(x: Sample, rng: np.random.Generator) -> Array:
    """An ordinary layer: SiLU of mixtures of all seven numbers, fitted for each component."""
    inner = np.concatenate([x.s[:, None], x.v, x.r, np.ones((len(x.s), 1))], axis=1)
    hidden = _silu(inner @ rng.normal(size=(inner.shape[1], 2 * _WIDTH)))
    # Block diagonal: separate weights for each of the three components.
    return np.einsum("nk,ij->nijk", hidden, np.eye(3)).reshape(len(x.s), 3, -1)


KINDS: dict[str, Callable[[Sample, np.random.Generator], Array]] = {
    "none": _none,
    "norm |v|": _norm,
    "gate s": _gate,
    "gate s, v·r": _edge_gate,
    "SiLU on all": _components,
}
"""Input of the non-linearity -> function that makes random vectors (n, 3, features)."""


def learned(kind: str, target: str, seed: int = 0) -> tuple[float, float, float]:
    """Error of the fit of a target with features of a kind, and its equivariance errors.

    Args:
        kind: key of `KINDS`.
        target: key of `TARGETS`.
        seed: seed of samples and features.

    Returns:
        Root mean square of the error on new samples, of f(Rx) - R f(x) for a rotation and for the
        inversion R = -1, all relative to the root mean square of the target.

    >>> from workbench.course import nonlinearity
    >>> error, rotation, inversion = nonlinearity.learned("gate s", "sin(3s) v")
    >>> error < 0.01, rotation < 1e-10, inversion < 1e-10
    (True, True, True)
    """
    rng = np.random.default_rng(seed)
    training, valid, new = (draw(count, rng) for count in (2000, 300, 300))
    R = random_rotation(rng)

    def features(x: Sample) -> Array:
        return KINDS[kind](x, np.random.default_rng([seed, 1]))

    right = TARGETS[target]
    values, vectors, cross = _equations(features(training), right(training))
    validation, targets = features(valid), right(valid)

    def solution(ridge: float) -> Array:
        return vectors @ (cross / (values + ridge * values.mean()))

    weights = min(map(solution, _RIDGES), key=lambda w: _rms(validation @ w - targets))
    predicted, size = features(new) @ weights, _rms(right(new))

    def violation(g: Array) -> float:
        return _rms(features(new.turned(g)) @ weights - predicted @ g.T) / size

    return _rms(predicted - right(new)) / size, violation(R), violation(INVERSION)


def table(seed: int = 0) -> str:
    """Errors of all kinds on all targets, and the equivariance errors of each kind, in percent."""
    rows = [["error in %", *TARGETS, "equivariance error: rotations", "inversion"]]
    for kind in KINDS:
        results = [learned(kind, target, seed) for target in TARGETS]
        errors = (f"{100 * e:.0f}" if e > 0.1 else f"{100 * e:.2g}" for e, *_ in results)
        largest = (max(violations) for violations in zip(*(v for _, *v in results), strict=True))
        rows.append([kind, *errors, *(f"{100 * violation:.2g} %" for violation in largest)])
    return "\n".join(aligned_rows(rows))


def _equations(features: Array, targets: Array) -> tuple[Array, Array, Array]:
    """Least squares: eigenvalues and eigenvectors of the Gram matrix, and right-hand side."""
    flat = features.reshape(-1, features.shape[2])
    values, vectors = np.linalg.eigh(flat.T @ flat)
    return values.clip(min=0.0), vectors, vectors.T @ (flat.T @ targets.ravel())


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2)))
