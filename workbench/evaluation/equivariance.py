"""Equivariance errors: how much a predictor violates the symmetries of space.

A *predictor* f is any callable atoms -> `BlockMatrix`: a model, PySCF itself, a broken example. For
an operation g on the structure x, with the matrix D(g) on the orbitals, its error is

    error = f(g x) - D(g) f(x) D(g)^+

element by element. Rotations alone do not show every violation: a predictor of one hand obeys all
rotations and violates the inversion, x -> -x. Errors under both are therefore measured and shown
together. The reference program has an error as well, since its integration grid is not rotation
invariant. To report this floor, pass the program as one of the predictors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.errors import Errors, aligned_rows, matrix_errors, pair_name
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import INVERSION, random_rotations
from workbench.storage.value_checks import Range, Seed, check_arguments
from workbench.structures.loading import rotate

__all__ = ["EquivarianceReport", "Kind", "Predictor", "PredictorError", "checked", "equivariance"]

Predictor = Callable[[Atoms], BlockMatrix]
Kind = Literal["rotation", "inversion", "translation", "permutation"]


class PredictorError(RuntimeError):
    """A predictor raised an error or returned no finite matrix; the message names the predictor."""


@dataclass(frozen=True)
class EquivarianceReport:
    """Errors of several predictors under the same operations.

    Attributes:
        kind: the symmetry that was tested.
        samples: number of operations.
        seed: with which they were drawn; None if they were passed or there is no choice.
        errors: predictor name -> Errors over all samples (mean of means, largest of maxima).
        largest: predictor name -> largest matrix element of f(x) in meV, the scale of rounding.
        inversion: predictor name -> Errors under x -> -x, measured beside rotations; empty for the
            other kinds.

    >>> program = {"PySCF": wb.pyscf("sto-3g", "hf")}
    >>> report = wb.equivariance(program, wb.load("water"), kind="permutation")
    >>> report["PySCF"].max_mev < 1e-6 * report.largest["PySCF"]
    True
    >>> report.to_json()["predictors"]["PySCF"]["shell_pairs"].keys()
    dict_keys(['ss', 'sp', 'ps', 'pp'])

    A report on rotations holds the errors under inversion as well:

    >>> report = wb.equivariance(program, wb.load("water"))
    >>> print(report)
    f(gx) - D f(x) D^T under 1 rotation, seed 0, and under inversion, x -> -x
    meV                  MAE  max   ss   sp   ps   pp
    PySCF, rotations ...
    PySCF, inversion ...
    """

    kind: Kind
    samples: int
    seed: int | None
    errors: Mapping[str, Errors]
    largest: Mapping[str, float]
    inversion: Mapping[str, Errors] = field(default_factory=dict)

    def __getitem__(self, predictor: str) -> Errors:
        """The errors of one predictor."""
        return self.errors[predictor]

    def table(self) -> str:
        """A row per predictor: MAE, largest error, and the MAE of each shell pair, in meV.

        A report on rotations has two rows per predictor: "rotations" and "inversion".
        """
        pairs = sorted({pair for e in self.errors.values() for pair in e.shell_pairs})
        rows = [["meV", "MAE", "max", *map(pair_name, pairs)]]
        for name, e in self._named_errors():
            means = [e.shell_pairs[p][0] if p in e.shell_pairs else np.nan for p in pairs]
            rows.append([name, *(f"{v:.3g}" for v in (e.mae_mev, e.max_mev, *means))])
        return "\n".join([self._caption(), *aligned_rows(rows)])

    def to_json(self) -> dict[str, Any]:
        """The report, JSON-able, with units in the names of the keys."""
        return {
            "kind": self.kind,
            "samples": self.samples,
            "seed": self.seed,
            "predictors": {
                name: {**e.to_json(), "largest_element_mev": self.largest[name]}
                | ({"inversion": self.inversion[name].to_json()} if self.inversion else {})
                for name, e in self.errors.items()
            },
        }

    def __str__(self) -> str:
        """The table."""
        return self.table()

    def _caption(self) -> str:
        plural = "s" if self.samples > 1 else ""
        drawn = "" if self.seed is None else f", seed {self.seed}"
        then = ", and under inversion, x -> -x" if self.inversion else ""
        return f"f(gx) - D f(x) D^T under {self.samples} {self.kind}{plural}{drawn}{then}"

    def _named_errors(self) -> Iterator[tuple[str, Errors]]:
        """The name and the errors of each row of the table."""
        for name, errors in self.errors.items():
            if self.inversion:
                yield f"{name}, rotations", errors
                yield f"{name}, inversion", self.inversion[name]
            else:
                yield name, errors


def equivariance(
    predictors: Mapping[str, Predictor],
    atoms: Atoms,
    R: ArrayLike | None = None,
    samples: Annotated[int, Range(1, 100_000)] = 1,
    seed: Seed = 0,
    kind: Kind = "rotation",
) -> EquivarianceReport:
    """Errors ``f(g x) - D(g) f(x) D(g)^+`` of every predictor under one kind of operation.

    Args:
        predictors: name -> callable atoms -> BlockMatrix; include the reference to see its floor.
        atoms: the structure x.
        R: (3, 3) or (n, 3, 3) orthogonal matrices, only with kind "rotation"; random by default.
        samples: number of random operations: rotations from the Haar measure of SO(3),
            translations of up to 5 A along each axis, permutations of the atoms. There is only
            one inversion.
        seed: of the random operations, which are the same for every predictor.
        kind: "rotation", "inversion", "translation" or "permutation".

    Returns:
        The errors of each predictor; with kind "rotation" also those under inversion.

    Raises:
        ValueError: if there is no predictor, ``samples`` is below one, ``kind`` is unknown, or R
            has another shape, is not orthogonal or does not go with ``kind``; for numbers outside
            their range.
        PredictorError: if a predictor raises an error or does not return a finite BlockMatrix of
            these atoms; the message names the predictor.

    Stage 1 is equivariant to rounding, stage 2 is not:

    >>> model = wb.load_model("water")
    >>> predictors = {"stage 1": model.stage1, "stages 1+2": model}
    >>> report = wb.equivariance(predictors, wb.load("water"), samples=4)
    >>> report["stage 1"].max_mev < 1e-4
    True
    >>> report["stages 1+2"].mae_mev > report["stage 1"].mae_mev
    True

    So it is under inversion:

    >>> report.inversion["stage 1"].max_mev < 1e-4
    True
    >>> report.inversion["stages 1+2"].mae_mev > report.inversion["stage 1"].mae_mev
    True
    """
    check_arguments(equivariance, {"samples": samples, "seed": seed, "kind": kind})
    if not predictors:
        raise ValueError("There is no predictor to test: give at least one, e.g. {'model': model}.")
    operations = list(_operations(atoms, R, samples, seed, kind))
    errors, largest, inversion = {}, {}, {}
    for name, predictor in predictors.items():
        here = _call(name, predictor, atoms)
        largest[name] = here.max_abs() * MEV
        each = [
            matrix_errors(_call(name, predictor, there), carry(here)) for there, carry in operations
        ]
        errors[name] = Errors.merged(each)
        if kind == "rotation":
            there, carry = _rotate(atoms, INVERSION)
            inversion[name] = matrix_errors(_call(name, predictor, there), carry(here))
    drawn = None if R is not None or kind == "inversion" else seed
    return EquivarianceReport(kind, len(operations), drawn, errors, largest, inversion)


_Operation = tuple[Atoms, Callable[[BlockMatrix], BlockMatrix]]  # g x, and f(x) -> D f(x) D^+


def _operations(
    atoms: Atoms, R: ArrayLike | None, samples: int, seed: int, kind: Kind
) -> Iterator[_Operation]:
    if R is not None and kind != "rotation":
        raise ValueError(f"R belongs to kind='rotation' and cannot be given with kind='{kind}'.")
    rng = np.random.default_rng(seed)
    match kind:
        case "rotation":
            matrices = _rotations(R) if R is not None else random_rotations(samples, seed)
            yield from (_rotate(atoms, matrix) for matrix in matrices)
        case "inversion":
            yield _rotate(atoms, INVERSION)
        case "translation":
            yield from (_shift(atoms, rng.uniform(-5, 5, 3)) for _ in range(samples))
        case "permutation":
            yield from (_reorder(atoms, _permutation(rng, len(atoms))) for _ in range(samples))


def _rotations(R: ArrayLike) -> NDArray[np.float64]:
    """(n, 3, 3) of one matrix or several; `rotate` checks that they are orthogonal."""
    matrices = np.asarray(R, dtype=float)
    if matrices.ndim not in (2, 3) or matrices.shape[-2:] != (3, 3) or not len(matrices):
        raise ValueError(f"R has shape {matrices.shape}: give (3, 3) or (n, 3, 3).")
    return matrices.reshape(-1, 3, 3)


def _rotate(atoms: Atoms, matrix: NDArray[np.float64]) -> _Operation:
    return rotate(atoms, matrix), lambda here: here.rotate(matrix)


def _shift(atoms: Atoms, vector: NDArray[np.float64]) -> _Operation:
    moved = atoms.copy()
    moved.positions = atoms.positions + vector
    return moved, lambda here: here


def _reorder(atoms: Atoms, order: NDArray[np.intp]) -> _Operation:
    return atoms[order], lambda here: here.permute(order.tolist())


def _permutation(rng: np.random.Generator, n: int) -> NDArray[np.intp]:
    """A random permutation other than the identity, which would test nothing."""
    while True:
        order = rng.permutation(n)
        if n < 2 or (order != np.arange(n)).any():
            return order


def _call(name: str, predictor: Predictor, atoms: Atoms) -> BlockMatrix:
    """The predictor's matrix; any error becomes a `PredictorError` with the predictor's name."""
    try:
        matrix = predictor(atoms.copy())  # so that a predictor cannot change the next one's input
    except Exception as error:
        raise PredictorError(
            f"Predictor '{name}' failed: {type(error).__name__}: {error}"
        ) from error
    return checked(name, matrix, atoms)


def checked(name: str, matrix: object, atoms: Atoms) -> BlockMatrix:
    """A predictor's output, checked to be a finite matrix of these atoms.

    Raises:
        PredictorError: if it is not; the message names the predictor.
    """
    if not isinstance(matrix, BlockMatrix):
        raise PredictorError(
            f"Predictor '{name}' returned a {type(matrix).__name__}: it must return a BlockMatrix, "
            "e.g. BlockMatrix.from_dense(basis, numbers, dense)."
        )
    if not np.array_equal(matrix.numbers, atoms.numbers):
        raise PredictorError(
            f"Predictor '{name}' returned a matrix of other atoms than those of its input."
        )
    if not np.isfinite(matrix.values).all():
        raise PredictorError(f"Predictor '{name}' returned elements that are not finite numbers.")
    return matrix
