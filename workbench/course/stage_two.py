"""Tasks about stage 2: freedom and symmetry, data that are turned, averages over orientations."""

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

_CLOSE = 1e-9  # relative; the same vector by another way
_SHARE = 0.01  # relative; what an answer in numbers may be off by
_SAME_PLACE = 1e-6  # A
_SAME_MEV = 1e-6


def laid_alike(name: str, train: int, valid: int) -> Dataset:
    """A part of a dataset of one molecule, with all geometries turned to lie like the first.

    So come the data of a crystal, or of a molecule that does not tumble: shaken, but never turned.

    Args:
        name: of the dataset, or its path.
        train: how many training geometries.
        valid: how many validation geometries.

    Returns:
        It, open; its file is gone when it is closed.
    """
    source = Dataset(name)
    chosen = [*source.split("train")[:train], *source.split("valid")[:valid]]
    first = source.positions(int(chosen[0]))

    def samples() -> Iterator[Sample]:
        for sample in (source[int(i)] for i in chosen):
            R = superposing(sample.atoms.positions, first)
            yield replace(sample, atoms=rotate(sample.atoms, R), H=sample.H.rotate(R))

    splits = {"train": range(train), "valid": range(train, train + valid)}
    with TemporaryDirectory() as folder:  # an open file outlives its name
        path = Path(folder) / f"{source.path.stem}-laid-alike.h5"
        provenance = {"laid_alike": source.path.name, "the_whole": source.provenance}
        write(path, samples(), {k: list(v) for k, v in splits.items()}, provenance)
        return Dataset(path)


def superposing(places: ArrayLike, onto: ArrayLike) -> NDArray[np.float64]:
    """The proper rotation that brings places (N, 3) nearest to others (Kabsch 1976)."""
    p, q = (np.asarray(x, dtype=float) for x in (places, onto))
    u, _, v = np.linalg.svd((q - q.mean(axis=0)).T @ (p - p.mean(axis=0)))
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v


def free_and_equivariant(answer: Callable[[NDArray[np.float64]], ArrayLike]) -> Verdict:
    """Whether a function of a vector is equivariant, f(R v) = R f(v), and yet not linear.

    Args:
        answer: (3,) -> (3,).
    """
    rng = np.random.default_rng(0)
    v, w, R = rng.normal(size=3), rng.normal(size=3), random_rotation(rng)
    found = np.asarray(answer(v), dtype=float)
    if found.shape != (3,):
        return Verdict(
            False, f"it turns a vector into something of shape {found.shape}: give a vector (3,)."
        )
    size = max(float(np.abs(found).max()), 1e-12)
    off = float(np.abs(np.asarray(answer(R @ v)) - R @ found).max())
    if off > _CLOSE * size:
        return Verdict(
            False,
            f"f(Rv) and R f(v) differ by {off / size:.0%} of f(v): it treats components one by one "
            "or by axis, and axes are ours, not the vector's.",
        )
    both = np.asarray(answer(v + w)) - found - np.asarray(answer(w))
    if np.abs(both).max() <= _CLOSE * size:
        return Verdict(
            False, "equivariant, but linear: f(v + w) = f(v) + f(w). Depth would add nothing."
        )
    return Verdict(
        True,
        "equivariant and not linear: a number that no rotation changes stretches the vector. "
        "Its direction is still that of v: this is all that a gate can do.",
    )


def turned_pair(
    answer: tuple[Atoms, BlockMatrix], atoms: Atoms, H: BlockMatrix, R: ArrayLike
) -> Verdict:
    """Whether an answer is the training pair (geometry, Hamiltonian), turned by R.

    Args:
        answer: the turned geometry, and its matrix in eV.
        atoms: before.
        H: before, eV.
        R: (3, 3) rotation.
    """
    places, matrix = answer[0].positions, answer[1]
    back = np.asarray(R, dtype=float).T
    moves = {
        "turned": rotate(atoms, R).positions,
        "not turned": atoms.positions,
        "turned backwards": rotate(atoms, back).positions,
    }
    turns = {"turned": H.rotate(R), "not turned": H, "turned backwards": H.rotate(back)}
    geometry = _first(moves, lambda p: float(np.abs(places - p).max()) < _SAME_PLACE)
    label = _first(turns, lambda m: matrix_errors(matrix, m).mae_mev < _SAME_MEV)
    if geometry == label == "turned":
        return Verdict(True, "one more training pair, and no reference calculation was needed.")
    if geometry == label == "not turned":
        return Verdict(False, "this is the pair as it was: turn both.")
    if geometry == label == "turned backwards":
        return Verdict(False, "a valid pair, but of the opposite turn: R, not its inverse.")
    if "something else" in (geometry, label):
        which = "geometry" if geometry == "something else" else "Hamiltonian"
        return Verdict(False, f"the {which} is that of no turn by R.")
    teaches = (
        "it would teach that a Hamiltonian does not turn with its molecule."
        if label == "not turned"
        else "no molecule has such a pair."
    )
    return Verdict(False, f"the geometry is {geometry}, but its Hamiltonian {label}: {teaches}")


def orientations_for(answer: float, factor: float) -> Verdict:
    """Whether an answer is how many orientations divide the symmetry error by a factor."""
    right = factor**2
    if abs(answer - right) <= _SHARE * right:
        return Verdict(True, f"√{right:g} = {factor:g}, and the time grows {right:g} times.")
    if abs(answer - factor) <= _SHARE * factor:
        return Verdict(
            False,
            f"{factor:g} orientations divide it by √{factor:g} = {factor**0.5:.1f} only: errors of "
            "either sign add up like steps of a random walk.",
        )
    if answer <= 0:
        return Verdict(False, "an average needs at least one orientation.")
    return Verdict(False, f"{answer:g} of them divide it by √{answer:g} = {answer**0.5:.2g}.")


def error_of_average(answer: float, one: StageErrors, count: int) -> Verdict:
    """Whether an answer is the error of the matrix, meV, expected of a mean over orientations.

    Args:
        answer: root mean square, meV.
        one: the errors with one orientation.
        count: of orientations.
    """
    error, symmetry = one.error_rms_mev, one.symmetry_rms_mev
    right = one.averaged(count)[1]
    bias = max(error**2 - symmetry**2 / 2, 0.0) ** 0.5
    if abs(answer - right) <= _SHARE * right:
        return Verdict(
            True, f"{right:.3g} meV. No number of orientations goes below the bias, {bias:.3g} meV."
        )
    wrong = {
        "only the scatter is divided by K; the bias is the same in each orientation.": (
            error / count**0.5
        ),
        "that is divided by K, not by its root, and the bias is no scatter.": error / count,
        "the symmetry error compares two answers: v is half of its square.": (
            max(error**2 - symmetry**2 * (1 - 1 / count), 0.0) ** 0.5
        ),
        "that is the bias, which takes infinitely many orientations.": bias,
        "that is the error with one orientation.": error,
    }
    why = _first(wrong, lambda value: abs(answer - value) <= _SHARE * right)
    if why != "something else":
        return Verdict(False, why)
    return Verdict(False, f"it should lie between the bias, {bias:.3g}, and {error:.3g} meV.")


def enlarged(model: TwoStageModel, factor: float) -> TwoStageModel:
    """A copy of a model whose stage 2 answers so many times as loudly as it has learned."""
    other = deepcopy(model)
    s = model.scaling
    other.scaling = replace(
        s, node_residual=factor * s.node_residual, pair_residual=factor * s.pair_residual
    )
    return other


def _first(choices: dict[str, T], fits: Callable[[T], bool]) -> str:
    """The name of the first choice that fits."""
    return next((name for name, value in choices.items() if fits(value)), "something else")
