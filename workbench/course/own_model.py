"""Tasks about training a model: interrupted jobs, splits, errors and density matrices."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import UnfitAnswerError, checks_answer, mask, number, numbers
from workbench.course.verdict import Verdict, compared, explained
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import occupied_count, solve

if TYPE_CHECKING:
    from workbench.datasets.dataset import Dataset
    from workbench.models.twostage import TwoStageModel
    from workbench.training.config import TrainConfig

__all__ = [
    "density",
    "held_out",
    "killed_after",
    "learning_curve",
    "matrix_mae",
    "resplit",
]


def killed_after(labels: int, structures: Any, out: str | Path, **arguments: Any) -> int:
    """Start a label job in a separate process and kill it (SIGKILL) while it works.

    Args:
        labels: number of labels on disk at which the job is killed.
        structures, out, arguments: arguments of `workbench.label`.

    Returns:
        Number of labels on disk after the kill; all of them if the job finished before.

    Raises:
        RuntimeError: if the job failed.
    """
    work = Path(f"{out}.partial")
    job = multiprocessing.get_context("spawn").Process(
        target=_label_silently, args=(structures, out), kwargs=arguments
    )
    job.start()
    while job.is_alive() and len(list(work.glob("label-*.npz"))) < labels:
        time.sleep(0.02)
    if job.pid is not None and job.is_alive():
        with contextlib.suppress(ProcessLookupError):  # the job may have ended in the meantime
            os.kill(job.pid, signal.SIGKILL)
    job.join()
    if job.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"The label job of {out} failed: call workbench.label to see the error.")
    return len(list(work.glob("label-*.npz")))


def _label_silently(structures: Any, out: str | Path, **arguments: Any) -> None:
    """Label without output: workers of a killed process would print irrelevant errors."""
    from workbench.datasets.labelling import label

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    label(structures, out, **{**arguments, "progress": False})


@checks_answer
def held_out(answer: ArrayLike, groups: ArrayLike) -> Verdict:
    """Check that the test frames contain only whole trajectories.

    Args:
        answer: (n,) True for a test frame.
        groups: (n,) trajectory number of each frame.

    >>> from workbench.course import own_model
    >>> own_model.held_out(np.array([False, False, True, True]), [0, 0, 1, 1]).right
    True
    """
    groups = np.asarray(groups)
    test = mask(answer, len(groups), "frames")
    count = int(test.sum())
    if count in (0, len(test)):
        return Verdict(
            False, f"{'all' if count else 'no'} frames are test frames: both kinds are needed."
        )
    both = [int(g) for g in np.unique(groups) if len(set(test[groups == g])) == 2]
    if both:
        first = np.flatnonzero(groups == both[0])
        k = next(k for k in first[:-1] if test[k] != test[k + 1])
        return Verdict(
            False,
            f"{len(both)} of {len(np.unique(groups))} trajectories have frames on both sides: "
            f"frames {k} and {k + 1} are neighbours in trajectory {both[0]}, but one is a training "
            "frame and the other a test frame.",
        )
    if count > len(test) / 2:
        return Verdict(False, "no trajectory is on both sides, but most frames are test frames.")
    kept = len(np.unique(groups[test]))
    return Verdict(
        True, f"{kept} whole trajectories with {count} frames are never used in training."
    )


@checks_answer
def matrix_mae(answer: float, H: BlockMatrix, reference: BlockMatrix) -> Verdict:
    """Check the mean modulus of a matrix's error, in meV.

    >>> from workbench.course import own_model
    >>> prediction = wb.load_model("water").predict(wb.load("water"))
    >>> error = prediction.baseline.dense() - prediction.refined.dense()
    >>> mae = 1000 * np.abs(error).mean()
    >>> own_model.matrix_mae(mae, prediction.baseline, prediction.refined).right
    True
    """
    error = H.dense() - reference.dense()
    if isinstance(answer, np.ndarray) and answer.ndim:
        raise UnfitAnswerError("give one number for the whole matrix: the mean over all elements.")
    submitted = number(answer)
    mae = float(np.abs(error).mean())
    wrong = {
        "that is the error in eV: one eV is 1000 meV.": mae,
        "positive and negative errors cancel in a mean: take the moduli first.": MEV * error.mean(),
        "positive and negative errors cancel, and this is in eV: take moduli, then meV.": (
            error.mean()
        ),
        "that is the root mean square, which large errors dominate.": (
            MEV * np.sqrt((error**2).mean())
        ),
        "that is the largest error of any element, not the mean.": MEV * np.abs(error).max(),
        "that is the sum: divide by the number of elements.": MEV * np.abs(error).sum(),
        "that is the mean over a row's sum: divide by all elements, not by the rows.": (
            MEV * np.abs(error).sum() / len(error)
        ),
    }
    largest = MEV * np.abs(error).max()
    done = f"{MEV * mae:.3f} meV on average, and {largest:.2f} meV at most."
    factor = submitted / (MEV * mae)
    otherwise = f"it is off by a factor of {factor:.3g}."
    return explained(submitted, MEV * mae, done, wrong, otherwise)


@checks_answer
def density(answer: ArrayLike, H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> Verdict:
    """Check the density matrix ``2 C C^T`` of the occupied orbitals.

    Args:
        answer: (n_ao, n_ao), electrons.
        H: eV.
        S: its overlap.
        n_electrons: number of electrons, two per orbital.

    >>> from workbench.course import own_model
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> C = wb.solve(water.H, water.S)[1][:, :5]
    >>> own_model.density(2 * C @ C.T, water.H, water.S, 10)
    Right: tr(P S) = 10.000000 electrons.
    """
    filled, C = occupied_count(H, n_electrons), solve(H, S)[1]
    occupied, overlap = C[:, :filled], S.dense()
    submitted = numbers(answer, "the density matrix P")
    if submitted.shape != overlap.shape:
        return Verdict(
            False,
            f"P has {len(overlap)} x {len(overlap)} elements, one per pair of orbitals, but your "
            f"answer has the shape {submitted.shape}. Try C @ C.T, not C.T @ C.",
        )
    right = 2 * occupied @ occupied.T
    electrons = float(np.trace(right @ overlap))
    wrong = {
        "each orbital holds two electrons: this counts only half of them.": right / 2,
        "this fills every orbital, the empty ones too, and with one electron each: take the first "
        "n/2 columns, times two.": C @ C.T,
        "this also fills the empty orbitals: take the first n/2 columns.": 2 * C @ C.T,
        "this fills one orbital per electron: each orbital holds two.": (
            2 * C[:, :n_electrons] @ C[:, :n_electrons].T
        ),
        "these are the highest orbitals: electrons occupy the lowest.": (
            2 * C[:, -filled:] @ C[:, -filled:].T
        ),
        "orbitals are the columns of C, not its rows.": 2 * C[:filled].T @ C[:filled],
    }
    trace = float(np.trace(submitted @ overlap))
    done = f"tr(P S) = {electrons:.6f} electrons."
    return compared(submitted, right, done, wrong, f"tr(P S) is {trace:.3f} electrons", "")


def resplit(dataset: Dataset, out: str | Path, splits: Mapping[str, Sequence[int]]) -> Path:
    """Write the same labels with other splits, also unsuitable ones, as a new dataset.

    Args:
        dataset: source of the labels.
        out: file to write.
        splits: name -> sample numbers.

    >>> from tempfile import TemporaryDirectory
    >>> from workbench.course import own_model
    >>> with TemporaryDirectory() as folder, wb.Dataset("water") as water:
    ...     path = own_model.resplit(water, folder + "/few.h5", {"train": [5, 7], "test": [9]})
    ...     wb.Dataset(path).split("test")
    array([2])
    """
    from workbench.datasets.writing import write

    numbers = [int(i) for members in splits.values() for i in members]
    position = iter(range(len(numbers)))
    positions = {name: [next(position) for _ in members] for name, members in splits.items()}
    provenance = {"split": "by hand", "the_whole": dataset.provenance}
    write(Path(out), (dataset[i] for i in numbers), positions, provenance)
    return Path(out)


def learning_curve(
    dataset: Dataset,
    sizes: Sequence[int],
    folder: str | Path,
    how: TrainConfig,
    start: TwoStageModel | None = None,
) -> NDArray[np.float64]:
    """Test errors of models trained on parts of a dataset of increasing size.

    Args:
        dataset: with the splits "train", "valid" and "test".
        sizes: numbers of training geometries, taken from the start of the split.
        folder: folder for the parts.
        how: training settings.
        start: a model to fine-tune instead of training a new one.

    Returns:
        (sizes,) mean error of the matrix over the test split, meV.
    """
    from workbench.datasets.dataset import Dataset as Opened
    from workbench.datasets.writing import write_part
    from workbench.models.config import ModelConfig
    from workbench.training.loop import train

    config = ModelConfig() if start is None else start.config
    rest = {name: len(dataset.split(name)) for name in ("valid", "test")}
    errors = []
    for size in sizes:
        path = Path(folder) / f"first-{size}.h5"
        if not path.exists():
            write_part(dataset, path, {"train": size, **rest})
        with Opened(path) as part:
            *_, last = train(config, part, how, start=start)
            errors.append(_test_error(last.model, part))
    return np.array(errors)


def _test_error(model: TwoStageModel, dataset: Dataset) -> float:
    """The mae_mev of `workbench.evaluate` without its other errors, in a third of the time.

    Structures outside the applicability domain are included.
    """
    from workbench.models.applicability import DomainWarning

    members = dataset.split("test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DomainWarning)
        predictions = model.predict(dataset.atoms(int(i)) for i in members)
    pairs = zip(predictions, dataset.hamiltonians(members), strict=True)
    return float(np.mean([matrix_errors(p.refined, H).mae_mev for p, H in pairs]))
