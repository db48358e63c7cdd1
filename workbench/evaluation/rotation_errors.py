"""Equivariance errors of several predictors under any number of rotations.

An operation g is an orthogonal matrix, proper (a rotation) or improper (a rotation and an
inversion). Each predictor's error is ``f(g x) - D(g) f(x) D(g)^+``, measured as in `equivariance`;
here f(x) is computed once, and a two-stage model predicts many structures in one call. The error
under the inversion alone belongs to the structure and is computed once as well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from workbench.evaluation.equivariance import Predictor, checked
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import INVERSION
from workbench.structures.loading import rotate

__all__ = [
    "BASELINE",
    "MEASURES",
    "REFINED",
    "STAGE_NAMES",
    "Measure",
    "RotationErrors",
    "Predictors",
    "about",
    "in_mev",
]

BASELINE, REFINED = "baseline", "refined"

STAGE_NAMES = {BASELINE: "stage 1", REFINED: "stages 1+2"}
"""What texts call the predictions of a two-stage model."""

Measure = Literal["mean", "largest"]
MEASURES: tuple[Measure, ...] = ("mean", "largest")
"""The mean or the largest error over all matrix elements."""

_LONG = 1.0  # s


@runtime_checkable
class PredictsMany(Protocol):
    """A model whose `predict` also takes a list of structures, as that of `TwoStageModel`."""

    predicts_many: bool

    def predict(self, atoms: Any) -> Any:
        """The prediction for a structure, or a list of predictions for a list of structures."""
        ...


class Predictors:
    """A model and further callables atoms -> `BlockMatrix`, each under a name.

    Args:
        model: an object with `predict(atoms)`, which gives both stages in one call; a callable
            atoms -> BlockMatrix; or None.
        predictors: callables by name, e.g. PySCF or a broken example.

    Raises:
        ValueError: if a predictor has the name of one of the model's stages.
    """

    def __init__(self, model: Any = None, predictors: Mapping[str, Predictor] | None = None):
        self.model, self.callables = model, dict(predictors or {})
        taken = set(self.model_names) & set(self.callables)
        if taken:
            raise ValueError(
                f"The name {sorted(taken)[0]!r} is taken: give this predictor another name."
            )

    @property
    def model_names(self) -> list[str]:
        """The names of the model's two stages, or "model" for a callable."""
        if self.model is None:
            return []
        return [BASELINE, REFINED] if hasattr(self.model, "predict") else ["model"]

    @property
    def names(self) -> list[str]:
        """All names: the model's first, then those of the other predictors in their order."""
        return [*self.model_names, *self.callables]

    def predict(
        self, structures: Sequence[Atoms], names: Sequence[str] | None = None
    ) -> list[dict[str, BlockMatrix]]:
        """Each predictor's matrix of each structure, eV.

        Args:
            structures: the structures.
            names: of the predictors to be called; all by default.

        Returns:
            A dictionary name -> matrix per structure.
        """
        chosen = self.names if names is None else list(names)
        predictions: list[dict[str, BlockMatrix]] = [{} for _ in structures]
        if set(chosen) & set(self.model_names):
            for of_structure, stages in zip(predictions, self._by_model(structures), strict=True):
                of_structure |= stages
        for name in (n for n in chosen if n in self.callables):
            for of_structure, atoms in zip(predictions, structures, strict=True):
                of_structure[name] = self.callables[name](atoms)
        return predictions

    def _by_model(self, structures: Sequence[Atoms]) -> list[dict[str, BlockMatrix]]:
        if not hasattr(self.model, "predict"):
            return [{"model": self.model(atoms)} for atoms in structures]
        if len(structures) > 1 and isinstance(self.model, PredictsMany):
            predictions = self.model.predict(structures)
        else:
            predictions = [self.model.predict(atoms) for atoms in structures]
        return [{BASELINE: p.baseline, REFINED: p.refined} for p in predictions]


class RotationErrors:
    """The equivariance errors of each predictor on one structure under chosen operations.

    Args:
        atoms: the structure x, at R = 1.
        model: as for `Predictors`.
        predictors: as for `Predictors`.

    Attributes:
        upright: predictor -> f(x), eV.
        seconds: wall time of one evaluation of all predictors: that of f(x), later the mean.

    Raises:
        ValueError: if there is no predictor.
        PredictorError: if a predictor returns no finite matrix of these atoms.

    >>> from workbench.evaluation.rotation_errors import RotationErrors
    >>> errors = RotationErrors(wb.load("water"), wb.load_model("water"))
    >>> [at_90_degrees] = errors.under([wb.rotation((0, 0, 1), 90)])
    >>> list(at_90_degrees)
    ['baseline', 'refined']
    >>> at_90_degrees["baseline"].mae_mev < at_90_degrees["refined"].mae_mev
    True
    >>> errors.inversion["baseline"].mae_mev < errors.inversion["refined"].mae_mev
    True
    """

    def __init__(
        self, atoms: Atoms, model: Any = None, predictors: Mapping[str, Predictor] | None = None
    ):
        self.atoms, self.predictors = atoms, Predictors(model, predictors)
        if not self.names:
            raise ValueError("There is no predictor to test: give a model or predictors.")
        self._spent, self.evaluations = 0.0, 0
        self.seconds = 0.0
        for _ in range(2):  # the first call may load programs: if it is short, time a second one
            start = time.perf_counter()
            self.upright = self._checked(self.predictors.predict([atoms]))[0]
            self.seconds = time.perf_counter() - start
            if self.seconds > _LONG:
                break

    @property
    def names(self) -> list[str]:
        """The names of the predictors."""
        return self.predictors.names

    @cached_property
    def inversion(self) -> dict[str, Errors]:
        """Predictor -> errors under x -> -x; computed when first asked for."""
        return self.under([INVERSION], self.names)[0]

    def under(
        self, operations: ArrayLike, names: Sequence[str] | None = None
    ) -> list[dict[str, Errors]]:
        """The errors at each operation.

        Args:
            operations: (n, 3, 3) orthogonal matrices.
            names: of the predictors to be evaluated; all by default.

        Returns:
            A dictionary predictor -> errors per operation.
        """
        matrices = np.asarray(operations, dtype=float).reshape(-1, 3, 3)
        start = time.perf_counter()
        rotated = [rotate(self.atoms, R) for R in matrices]
        predictions = self._checked(self.predictors.predict(rotated, names))
        errors = [
            {name: matrix_errors(H, self.upright[name].rotate(R)) for name, H in by_name.items()}
            for R, by_name in zip(matrices, predictions, strict=True)
        ]
        if names is None:
            self._spent += time.perf_counter() - start
            self.evaluations += len(matrices)
            self.seconds = self._spent / self.evaluations
        return errors

    def _checked(self, predictions: list[dict[str, BlockMatrix]]) -> list[dict[str, BlockMatrix]]:
        return [
            {name: checked(name, matrix, self.atoms) for name, matrix in by_name.items()}
            for by_name in predictions
        ]


def in_mev(errors: Errors, measure: Measure) -> float:
    """The mean or the largest error, meV."""
    return errors.mae_mev if measure == "mean" else errors.max_mev


def about(axes: ArrayLike, degrees: float, improper: bool = False) -> NDArray[np.float64]:
    """Rotations by one angle about each of several axes.

    Args:
        axes: (n, 3) or (3,), of any length except zero.
        degrees: the angle.
        improper: follow each rotation by an inversion, x -> -x.

    Returns:
        (n, 3, 3) orthogonal matrices.

    >>> from workbench.evaluation.rotation_errors import about
    >>> bool(np.allclose(about([(0, 0, 2)], 90)[0], wb.rotation((0, 0, 1), 90)))
    True
    """
    directions = np.atleast_2d(np.asarray(axes, dtype=float))
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    turns = Rotation.from_rotvec(np.deg2rad(degrees) * directions).as_matrix()
    return -turns if improper else turns
