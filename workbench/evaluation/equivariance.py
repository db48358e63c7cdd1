"""How far two matrices differ, and how far a predictor is from obeying the symmetries of space.

A *predictor* is any callable atoms -> `BlockMatrix`: a model, PySCF itself, a broken toy. For an
operation g on the structure with the matrix D(g) on the orbitals its error is

    error = f(g x) - D(g) f(x) D(g)^+

element by element. The reference's own floor (its integration grid is not rotation invariant)
stands beside a model's error simply by being a predictor of the same report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.errors import Errors, aligned_rows, matrix_errors, pair_name
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import random_rotations
from workbench.structures.loading import rotate

__all__ = ["EquivarianceReport", "Kind", "Predictor", "PredictorError", "checked", "equivariance"]

Predictor = Callable[[Atoms], BlockMatrix]
Kind = Literal["rotation", "inversion", "translation", "permutation"]


class PredictorError(RuntimeError):
    """A predictor raised, or returned what is no finite matrix; the message names it."""


@dataclass(frozen=True)
class EquivarianceReport:
    """Errors of several predictors under the same operations.

    Attributes:
        kind: which symmetry was tried.
        samples: how many operations.
        seed: of their random draw, None where they were given or there is no choice.
        errors: predictor name -> Errors over all samples (mean of means, largest of maxima).
        largest: predictor name -> largest matrix element of f(x) in meV, the scale of rounding.
    """

    kind: Kind
    samples: int
    seed: int | None
    errors: Mapping[str, Errors]
    largest: Mapping[str, float]

    def __getitem__(self, predictor: str) -> Errors:
        """The errors of one predictor."""
        return self.errors[predictor]

    def table(self) -> str:
        """One row per predictor: MAE, largest error, and the MAE of each shell pair, in meV."""
        pairs = sorted({pair for e in self.errors.values() for pair in e.shell_pairs})
        rows = [["meV", "MAE", "max", *map(pair_name, pairs)]]
        for name, e in self.errors.items():
            means = [e.shell_pairs[p][0] if p in e.shell_pairs else np.nan for p in pairs]
            rows.append([name, *(f"{v:.3g}" for v in (e.mae_mev, e.max_mev, *means))])
        return "\n".join([self._caption(), *aligned_rows(rows)])

    def to_json(self) -> dict[str, Any]:
        """The whole report, JSON-able, units in the key names."""
        return {
            "kind": self.kind,
            "samples": self.samples,
            "seed": self.seed,
            "predictors": {
                name: {**e.to_json(), "largest_element_mev": self.largest[name]}
                for name, e in self.errors.items()
            },
        }

    def __str__(self) -> str:
        """The table."""
        return self.table()

    def _caption(self) -> str:
        plural = "s" if self.samples > 1 else ""
        drawn = "" if self.seed is None else f", seed {self.seed}"
        return f"f(gx) - D f(x) D^T under {self.samples} {self.kind}{plural}{drawn}"


def equivariance(
    predictors: Mapping[str, Predictor],
    atoms: Atoms,
    R: ArrayLike | None = None,
    samples: int = 1,
    seed: int = 0,
    kind: Kind = "rotation",
) -> EquivarianceReport:
    """Errors ``f(g x) - D(g) f(x) D(g)^+`` of every predictor under one kind of operation.

    Args:
        predictors: name -> callable atoms -> BlockMatrix; include the reference to see its floor.
        atoms: the structure x.
        R: (3, 3) or (n, 3, 3) orthogonal, only with kind "rotation"; by default drawn.
        samples: how many operations to draw: rotations from the Haar measure of SO(3),
            translations up to 5 A along each axis, permutations of the atoms. Inversion is one.
        seed: of the draw; every predictor meets the same operations.
        kind: "rotation", "inversion", "translation" or "permutation".

    Returns:
        The errors of each predictor.

    Raises:
        ValueError: for arguments that make no sense.
        PredictorError: if a predictor raises, or returns something else than a finite BlockMatrix
            of these atoms; the message names the predictor.

    >>> report = equivariance({"PySCF": wb.pyscf(), "model": model}, atoms, samples=8)
    >>> report["model"].mae_mev
    """
    if not predictors:
        raise ValueError("There is no predictor to test: give at least one, e.g. {'model': model}.")
    operations = list(_operations(atoms, R, samples, seed, kind))
    errors, largest = {}, {}
    for name, predictor in predictors.items():
        here = _call(name, predictor, atoms)
        largest[name] = here.max_abs() * MEV
        each = [
            matrix_errors(_call(name, predictor, there), carry(here)) for there, carry in operations
        ]
        errors[name] = Errors.merged(each)
    drawn = None if R is not None or kind == "inversion" else seed
    return EquivarianceReport(kind, len(operations), drawn, errors, largest)


_Operation = tuple[Atoms, Callable[[BlockMatrix], BlockMatrix]]  # g x, and f(x) -> D f(x) D^+


def _operations(
    atoms: Atoms, R: ArrayLike | None, samples: int, seed: int, kind: Kind
) -> Iterator[_Operation]:
    if R is not None and kind != "rotation":
        raise ValueError(f"R belongs to kind='rotation' and cannot be given with kind='{kind}'.")
    if samples < 1:
        raise ValueError(f"samples is {samples}: draw at least one operation.")
    rng = np.random.default_rng(seed)
    match kind:
        case "rotation":
            rotations = _rotations(R) if R is not None else random_rotations(samples, seed)
            yield from (_turn(atoms, matrix) for matrix in rotations)
        case "inversion":
            yield _turn(atoms, -np.eye(3))
        case "translation":
            yield from (_shift(atoms, rng.uniform(-5, 5, 3)) for _ in range(samples))
        case "permutation":
            yield from (_reorder(atoms, _permutation(rng, len(atoms))) for _ in range(samples))
        case _:
            raise ValueError(
                f"'{kind}' is no symmetry known here: choose rotation, inversion, translation or "
                "permutation."
            )


def _rotations(R: ArrayLike) -> NDArray[np.float64]:
    """(n, 3, 3) of one matrix or several; `rotate` checks that they are orthogonal."""
    matrices = np.asarray(R, dtype=float)
    if matrices.ndim not in (2, 3) or matrices.shape[-2:] != (3, 3) or not len(matrices):
        raise ValueError(f"R has shape {matrices.shape}: give (3, 3) or (n, 3, 3).")
    return matrices.reshape(-1, 3, 3)


def _turn(atoms: Atoms, matrix: NDArray[np.float64]) -> _Operation:
    return rotate(atoms, matrix), lambda here: here.rotate(matrix)


def _shift(atoms: Atoms, vector: NDArray[np.float64]) -> _Operation:
    moved = atoms.copy()
    moved.positions = atoms.positions + vector
    return moved, lambda here: here


def _reorder(atoms: Atoms, order: NDArray[np.intp]) -> _Operation:
    return atoms[order], lambda here: here.permute(order.tolist())


def _permutation(rng: np.random.Generator, n: int) -> NDArray[np.intp]:
    """Uniform among those that move something: the identity would test nothing."""
    while True:
        order = rng.permutation(n)
        if n < 2 or (order != np.arange(n)).any():
            return order


def _call(name: str, predictor: Predictor, atoms: Atoms) -> BlockMatrix:
    """The predictor's matrix; whatever goes wrong is told with the predictor's name."""
    try:
        matrix = predictor(
            atoms.copy()
        )  # a copy: a predictor must not disturb the next one's input
    except Exception as error:
        raise PredictorError(
            f"Predictor '{name}' failed: {type(error).__name__}: {error}"
        ) from error
    return checked(name, matrix, atoms)


def checked(name: str, matrix: object, atoms: Atoms) -> BlockMatrix:
    """What a predictor returned, if it is a finite matrix of these atoms.

    Raises:
        PredictorError: naming the predictor, if it is not.
    """
    if not isinstance(matrix, BlockMatrix):
        raise PredictorError(
            f"Predictor '{name}' returned a {type(matrix).__name__}: it must return a BlockMatrix, "
            "e.g. BlockMatrix.from_dense(basis, numbers, dense)."
        )
    if not np.array_equal(matrix.numbers, atoms.numbers):
        raise PredictorError(
            f"Predictor '{name}' returned a matrix of other atoms than it was given."
        )
    if not np.isfinite(matrix.values).all():
        raise PredictorError(f"Predictor '{name}' returned elements that are not finite numbers.")
    return matrix
