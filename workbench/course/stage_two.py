"""Tasks about stage 2: expressiveness and equivariance, augmentation, and averaging."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import (
    UnfitAnswerError,
    block_matrix,
    called,
    checks_answer,
    described,
    number,
)
from workbench.course.verdict import Verdict
from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.writing import write
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import random_rotation
from workbench.models.twostage import TwoStageModel
from workbench.structures.loading import rotate
from workbench.training.monitor import StageErrors

__all__ = [
    "enlarged",
    "error_of_average",
    "free_and_equivariant",
    "laid_alike",
    "orientations_for",
    "turned_pair",
]

T = TypeVar("T")

_CLOSE = 1e-9  # relative; allows for rounding
_SHARE = 0.01  # relative tolerance of an answer in numbers
_SAME_PLACE = 1e-6  # A
_SAME_MEV = 1e-6


def laid_alike(name: str, train: int, valid: int) -> Dataset:
    """A part of a dataset of one molecule, with all geometries rotated to align with the first.

    This imitates the data of a crystal or of a molecule that does not rotate: displaced atoms in
    one orientation.

    Args:
        name: name or path of the dataset.
        train: number of training geometries.
        valid: number of validation geometries.

    Returns:
        The open dataset; its temporary file disappears when it is closed.

    >>> from workbench.course import stage_two
    >>> with stage_two.laid_alike("water", train=2, valid=1) as dataset:
    ...     len(dataset)
    3
    """
    source = Dataset(name)
    members = [*source.split("train")[:train], *source.split("valid")[:valid]]
    first = source.positions(int(members[0]))

    def samples() -> Iterator[Sample]:
        for sample in (source[int(i)] for i in members):
            R = superposing(sample.atoms.positions, first)
            yield replace(sample, atoms=rotate(sample.atoms, R), H=sample.H.rotate(R))

    splits = {"train": range(train), "valid": range(train, train + valid)}
    with TemporaryDirectory() as folder:  # an open file can be read after it was deleted
        path = Path(folder) / f"{source.path.stem}-laid-alike.h5"
        provenance = {"laid_alike": source.path.name, "the_whole": source.provenance}
        write(path, samples(), {k: list(v) for k, v in splits.items()}, provenance)
        return Dataset(path)


def superposing(positions: ArrayLike, onto: ArrayLike) -> NDArray[np.float64]:
    """The proper rotation that superposes positions (N, 3) onto others best (Kabsch 1976).

    >>> from workbench.course import stage_two
    >>> R, positions = wb.rotation((1, 1, 0), 40), wb.load("ethanol").positions
    >>> bool(np.allclose(stage_two.superposing(positions, positions @ R.T), R))
    True
    """
    p, q = (np.asarray(x, dtype=float) for x in (positions, onto))
    u, _, v = np.linalg.svd((q - q.mean(axis=0)).T @ (p - p.mean(axis=0)))
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v


@checks_answer
def free_and_equivariant(answer: Callable[[NDArray[np.float64]], ArrayLike]) -> Verdict:
    """Check that a function of a vector is equivariant, f(R v) = R f(v), and not linear.

    Args:
        answer: (3,) -> (3,).

    >>> from workbench.course import stage_two
    >>> stage_two.free_and_equivariant(lambda v: v * np.tanh(v @ v)).right
    True
    """
    rng = np.random.default_rng(0)
    v, w, R = rng.normal(size=3), rng.normal(size=3), random_rotation(rng)
    result = called(answer, v)
    size = max(float(np.abs(result).max()), 1e-12)
    error = float(np.abs(called(answer, R @ v) - R @ result).max())
    if error > _CLOSE * size:
        return Verdict(
            False,
            f"f(Rv) and R f(v) differ by {error / size:.0%} of f(v): it acts on single components, "
            "which depend on the choice of axes.",
        )
    nonlinear = called(answer, v + w) - result - called(answer, w)
    if np.abs(nonlinear).max() <= _CLOSE * size:
        return Verdict(
            False, "equivariant, but linear: f(v + w) = f(v) + f(w). More layers add nothing."
        )
    return Verdict(
        True,
        "equivariant and not linear: an invariant number scales the vector. Its direction is "
        "still that of v: a gate cannot do more.",
    )


@checks_answer
def turned_pair(
    answer: tuple[Atoms, BlockMatrix], atoms: Atoms, H: BlockMatrix, R: ArrayLike
) -> Verdict:
    """Check the training pair (geometry, Hamiltonian) after a rotation by R.

    Args:
        answer: the rotated geometry, and its matrix in eV.
        atoms: geometry before the rotation.
        H: matrix before the rotation, eV.
        R: (3, 3) rotation.

    >>> from workbench.course import stage_two
    >>> atoms, R = wb.load("water"), wb.rotation((0, 0, 1), 90)
    >>> H = wb.load_model("water").predict(atoms).refined
    >>> stage_two.turned_pair((wb.rotate(atoms, R), H.rotate(R)), atoms, H, R).right
    True
    """
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise UnfitAnswerError(
            f"give the pair: geometry, Hamiltonian; this is {described(answer)}."
        )
    if not isinstance(answer[0], Atoms) or len(answer[0]) != len(atoms):
        raise UnfitAnswerError(
            "the first of the pair is the rotated geometry, with all its atoms; this is "
            f"{described(answer[0])}."
        )
    positions, matrix = answer[0].positions, block_matrix(answer[1], H)
    back = np.asarray(R, dtype=float).T
    geometries = {
        "rotated": rotate(atoms, R).positions,
        "not rotated": atoms.positions,
        "rotated backwards": rotate(atoms, back).positions,
    }
    labels = {"rotated": H.rotate(R), "not rotated": H, "rotated backwards": H.rotate(back)}
    geometry = _first(geometries, lambda p: float(np.abs(positions - p).max()) < _SAME_PLACE)
    label = _first(labels, lambda m: matrix_errors(matrix, m).mae_mev < _SAME_MEV)
    if geometry == label == "rotated":
        return Verdict(True, "one more training pair without a reference calculation.")
    if geometry == label == "not rotated":
        return Verdict(False, "this is the original pair: rotate both.")
    if geometry == label == "rotated backwards":
        return Verdict(False, "a valid pair, but of the inverse rotation: use R.")
    if "something else" in (geometry, label):
        which = "geometry" if geometry == "something else" else "Hamiltonian"
        return Verdict(False, f"the {which} is not the result of a rotation by R.")
    teaches = (
        "it would teach that the Hamiltonian does not rotate with the molecule."
        if label == "not rotated"
        else "no molecule has such a pair."
    )
    return Verdict(False, f"the geometry is {geometry}, but the Hamiltonian is {label}: {teaches}")


@checks_answer
def orientations_for(answer: float, factor: float) -> Verdict:
    """Check the number of orientations that reduces the equivariance error by a factor.

    >>> from workbench.course import stage_two
    >>> stage_two.orientations_for(9, 3)
    Right: √9 = 3, and the time grows by a factor of 9.
    """
    answer, right = number(answer), factor**2
    if abs(answer - right) <= _SHARE * right:
        return Verdict(
            True, f"√{right:g} = {factor:g}, and the time grows by a factor of {right:g}."
        )
    if abs(answer - factor) <= _SHARE * factor:
        return Verdict(
            False,
            f"{factor:g} orientations reduce it only by √{factor:g} = {factor**0.5:.1f}: random "
            "errors add up like steps of a random walk.",
        )
    if answer <= 0:
        return Verdict(False, "an average needs at least one orientation.")
    return Verdict(False, f"{answer:g} orientations reduce it by √{answer:g} = {answer**0.5:.2g}.")


@checks_answer
def error_of_average(answer: float, one: StageErrors, count: int) -> Verdict:
    """Check the expected error of the matrix, meV, of an average over orientations.

    Args:
        answer: root mean square, meV.
        one: the errors with one orientation.
        count: number of orientations.

    >>> from workbench.course import stage_two
    >>> from workbench.training.monitor import StageErrors
    >>> one = StageErrors(0, 0, 0, symmetry_rms_mev=2.0, error_rms_mev=2.0, inversion_mev=0)
    >>> stage_two.error_of_average(2.5**0.5, one, 4).right  # v = 2 and b^2 = 2: sqrt(b^2 + v / 4)
    True
    """
    error, symmetry, answer = one.error_rms_mev, one.symmetry_rms_mev, number(answer)
    right = one.averaged(count)[1]
    bias = max(error**2 - symmetry**2 / 2, 0.0) ** 0.5
    if abs(answer - right) <= _SHARE * right:
        return Verdict(
            True, f"{right:.3g} meV. More orientations cannot reduce the bias, {bias:.3g} meV."
        )
    wrong = {
        "only the variance is divided by K; the bias is the same in each orientation.": (
            error / count**0.5
        ),
        "that is divided by K instead of its root, and the bias is not reduced at all.": error
        / count,
        "the equivariance error compares two predictions: v is half of its square.": (
            max(error**2 - symmetry**2 * (1 - 1 / count), 0.0) ** 0.5
        ),
        "that is the bias, the limit of infinitely many orientations.": bias,
        "that is the error with one orientation.": error,
    }
    why = _first(wrong, lambda value: abs(answer - value) <= _SHARE * right)
    if why != "something else":
        return Verdict(False, why)
    return Verdict(False, f"it should lie between the bias, {bias:.3g}, and {error:.3g} meV.")


def enlarged(model: TwoStageModel, factor: float) -> TwoStageModel:
    """A copy of a model whose correction by stage 2 is multiplied by a factor.

    >>> from workbench.course import stage_two
    >>> model, water = wb.load_model("water"), wb.load("water")
    >>> one, two = (m.predict(water) for m in (model, stage_two.enlarged(model, 2.0)))
    >>> (two.refined - two.baseline - 2.0 * (one.refined - one.baseline)).max_abs() < 1e-8  # eV
    True
    """
    other = deepcopy(model)
    s = model.scaling
    other.scaling = replace(
        s, node_residual=factor * s.node_residual, pair_residual=factor * s.pair_residual
    )
    return other


def _first(choices: dict[str, T], fits: Callable[[T], bool]) -> str:
    """The name of the first choice that fits."""
    return next((name for name, value in choices.items() if fits(value)), "something else")
