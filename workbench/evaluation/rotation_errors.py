"""Errors of several predictors under any number of rotations, with their matrices at rest kept.

An operation g is an orthogonal matrix, proper (a rotation) or improper (a rotation and an
inversion). Each predictor's error is ``f(g x) - D(g) f(x) D(g)^+``, measured as in `symmetry`; here
f(x) is computed once, and a two-stage model takes many structures at a time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from workbench.evaluation.equivariance import Predictor, checked
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import rotate

__all__ = [
    "BASELINE",
    "MEASURES",
    "REFINED",
    "Measure",
    "RotationErrors",
    "Predictors",
    "about",
    "drawn",
    "in_mev",
]

BASELINE, REFINED = "baseline", "refined"

Measure = Literal["mean", "largest"]
MEASURES: tuple[Measure, ...] = ("mean", "largest")
"""Over all matrix elements."""

_LONG = 1.0  # s


@runtime_checkable
class PredictsMany(Protocol):
    """A model that says its `predict` also takes a list of structures, as `TwoStageModel` does."""

    predicts_many: bool

    def predict(self, atoms: Any) -> Any:
        """The prediction for a structure, or a list of predictions for a list of structures."""
        ...


class Predictors:
    """A model and further callables atoms -> `BlockMatrix`, each under a name.

    Args:
        model: with `predict(atoms)` (both stages from one call), a callable, or None.
        predictors: callables by name, e.g. PySCF or a broken toy.

    Raises:
        ValueError: if a predictor has the name of one of the model's stages.
    """

    def __init__(self, model: Any = None, predictors: Mapping[str, Predictor] | None = None):
        self.model, self.callables = model, dict(predictors or {})
        taken = set(self.model_names) & set(self.callables)
        if taken:
            raise ValueError(
                f"The name {sorted(taken)[0]!r} is taken: call this predictor otherwise."
            )

    @property
    def model_names(self) -> list[str]:
        """What comes from the model: its two stages, or itself."""
        if self.model is None:
            return []
        return [BASELINE, REFINED] if hasattr(self.model, "predict") else ["model"]

    @property
    def names(self) -> list[str]:
        """All of them: the model's, then the others in the order given."""
        return [*self.model_names, *self.callables]

    def predict(
        self, structures: Sequence[Atoms], names: Sequence[str] | None = None
    ) -> list[dict[str, BlockMatrix]]:
        """Each predictor's matrix of each structure, eV; by default of all predictors."""
        wanted = self.names if names is None else list(names)
        found: list[dict[str, BlockMatrix]] = [{} for _ in structures]
        if set(wanted) & set(self.model_names):
            for own, matrices in zip(found, self._by_model(structures), strict=True):
                own |= matrices
        for name in (n for n in wanted if n in self.callables):
            for own, atoms in zip(found, structures, strict=True):
                own[name] = self.callables[name](atoms)
        return found

    def _by_model(self, structures: Sequence[Atoms]) -> list[dict[str, BlockMatrix]]:
        if not hasattr(self.model, "predict"):
            return [{"model": self.model(atoms)} for atoms in structures]
        if len(structures) > 1 and isinstance(self.model, PredictsMany):
            found = self.model.predict(structures)
        else:
            found = [self.model.predict(atoms) for atoms in structures]
        return [{BASELINE: p.baseline, REFINED: p.refined} for p in found]


class RotationErrors:
    """How far each predictor is from the law of turning, at any operations one asks for.

    Args:
        atoms: the structure x, at R = 1.
        model: as of `Predictors`.
        predictors: as of `Predictors`.

    Attributes:
        upright: predictor -> f(x), eV.
        seconds: time of one evaluation of all predictors: first that of f(x), then the mean.

    Raises:
        ValueError: if there is no predictor.
        PredictorError: if a predictor returns no finite matrix of these atoms.

    >>> RotationErrors(atoms, model).under([wb.rotation((0, 0, 1), 90)])[0]["refined"].mae_mev
    """

    def __init__(
        self, atoms: Atoms, model: Any = None, predictors: Mapping[str, Predictor] | None = None
    ):
        self.atoms, self.predictors = atoms, Predictors(model, predictors)
        if not self.names:
            raise ValueError("There is no predictor to test: give a model or predictors.")
        self._spent, self.evaluations = 0.0, 0
        self.seconds = 0.0
        for _ in range(2):  # the first one may load programs, and says too much where it is short
            start = time.perf_counter()
            self.upright = self._checked(self.predictors.predict([atoms]))[0]
            self.seconds = time.perf_counter() - start
            if self.seconds > _LONG:
                break

    @property
    def names(self) -> list[str]:
        """The predictors."""
        return self.predictors.names

    def under(
        self, operations: ArrayLike, names: Sequence[str] | None = None
    ) -> list[dict[str, Errors]]:
        """Errors at each operation by predictor.

        Args:
            operations: (n, 3, 3) orthogonal.
            names: which predictors; all by default.
        """
        matrices = np.asarray(operations, dtype=float).reshape(-1, 3, 3)
        start = time.perf_counter()
        turned = [rotate(self.atoms, R) for R in matrices]
        found = self._checked(self.predictors.predict(turned, names))
        errors = [
            {name: matrix_errors(H, self.upright[name].rotate(R)) for name, H in own.items()}
            for R, own in zip(matrices, found, strict=True)
        ]
        if names is None:
            self._spent += time.perf_counter() - start
            self.evaluations += len(matrices)
            self.seconds = self._spent / self.evaluations
        return errors

    def _checked(self, found: list[dict[str, BlockMatrix]]) -> list[dict[str, BlockMatrix]]:
        return [
            {name: checked(name, matrix, self.atoms) for name, matrix in own.items()}
            for own in found
        ]


def in_mev(errors: Errors, measure: Measure) -> float:
    """The mean or the largest error, meV."""
    return errors.mae_mev if measure == "mean" else errors.max_mev


def about(axes: ArrayLike, degrees: float, improper: bool = False) -> NDArray[np.float64]:
    """Operations (n, 3, 3) by one angle about each of the axes (n, 3), any length but zero.

    Args:
        improper: each turn is followed by an inversion, x -> -x.
    """
    directions = np.atleast_2d(np.asarray(axes, dtype=float))
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    turns = Rotation.from_rotvec(np.deg2rad(degrees) * directions).as_matrix()
    return -turns if improper else turns


def drawn(samples: int, seed: int = 0, improper: bool = False) -> NDArray[np.float64]:
    """Operations (n, 3, 3) from the Haar measure; the rotations that `equivariance` draws."""
    rng = np.random.default_rng(seed)
    turns = np.stack([random_rotation(rng) for _ in range(samples)])
    return -turns if improper else turns
