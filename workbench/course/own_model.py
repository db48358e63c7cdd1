"""A model of one's own: jobs that are killed, honest splits, errors and densities by hand."""

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

from workbench.course.verdict import Verdict, compared, same
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
    """Start a label job in a process of its own, and kill it (SIGKILL) in the midst of its work.

    Args:
        labels: how many shall be on disk before the kill.
        structures, out, arguments: as `workbench.label` takes them.

    Returns:
        How many labels were on disk when it was dead; all of them if it was faster.

    Raises:
        RuntimeError: if the job ended by itself without a dataset.
    """
    work = Path(f"{out}.partial")
    job = multiprocessing.get_context("spawn").Process(
        target=_label_silently, args=(structures, out), kwargs=arguments
    )
    job.start()
    while job.is_alive() and len(list(work.glob("label-*.npz"))) < labels:
        time.sleep(0.02)
    if job.pid is not None and job.is_alive():
        with contextlib.suppress(ProcessLookupError):  # it may have ended just now
            os.kill(job.pid, signal.SIGKILL)
    job.join()
    if job.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"The job failed by itself: call workbench.label to see why ({out}).")
    return len(list(work.glob("label-*.npz")))


def _label_silently(structures: Any, out: str | Path, **arguments: Any) -> None:
    """Label without a word: what a killed process's helpers complain of is no news here."""
    from workbench.datasets.labelling import label

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    label(structures, out, **{**arguments, "progress": False})


def held_out(answer: ArrayLike, groups: ArrayLike) -> Verdict:
    """Whether a choice of test frames keeps every trajectory on one side.

    Args:
        answer: (n,) true where a frame is for testing.
        groups: (n,) number of the trajectory that a frame comes from.
    """
    test, groups = np.asarray(answer), np.asarray(groups)
    if test.shape != groups.shape or test.dtype != bool:
        return Verdict(
            False, f"give one True or False for each of the {len(groups)} frames, as an array."
        )
    count = int(test.sum())
    if count in (0, len(test)):
        return Verdict(False, f"{'all' if count else 'no'} frames are for testing: keep both.")
    both = [int(g) for g in np.unique(groups) if len(set(test[groups == g])) == 2]
    if both:
        first = np.flatnonzero(groups == both[0])
        k = next(k for k in first[:-1] if test[k] != test[k + 1])
        return Verdict(
            False,
            f"{len(both)} of {len(np.unique(groups))} trajectories have frames on both sides: "
            f"frames {k} and {k + 1} follow each other in trajectory {both[0]}, one is trained on "
            "and the other tests.",
        )
    if count > len(test) / 2:
        return Verdict(False, "no trajectory is on both sides, but most frames are for testing.")
    kept = len(np.unique(groups[test]))
    return Verdict(True, f"{kept} whole trajectories, {count} frames, that training never meets.")


def matrix_mae(answer: float, H: BlockMatrix, reference: BlockMatrix) -> Verdict:
    """Whether an answer is the mean modulus of a matrix's error, in meV."""
    error = H.dense() - reference.dense()
    if np.ndim(answer):
        return Verdict(False, "one number for the whole matrix: take the mean over all elements.")
    mae = float(np.abs(error).mean())
    wrong = {
        "that is the error in eV: one eV is 1000 meV.": mae,
        "errors of both signs cancel in a mean: take their moduli first.": MEV * error.mean(),
        "errors of both signs cancel in a mean, and this is in eV: moduli first, then meV.": (
            error.mean()
        ),
        "that is the root of the mean square, which large errors rule.": (
            MEV * np.sqrt((error**2).mean())
        ),
        "that is the largest error of any element, not the mean.": MEV * np.abs(error).max(),
        "that is the sum: divide by the number of elements.": MEV * np.abs(error).sum(),
        "that is the mean over a row's sum: divide by all elements, not by the rows.": (
            MEV * np.abs(error).sum() / len(error)
        ),
    }
    for why, mistaken in wrong.items():
        if same(answer, mistaken):
            return Verdict(False, why)
    if not same(answer, MEV * mae):
        return Verdict(False, f"it is off by a factor of {float(answer) / (MEV * mae):.3g}.")
    largest = MEV * np.abs(error).max()
    return Verdict(True, f"{MEV * mae:.3f} meV on average, and {largest:.2f} meV at worst.")


def density(answer: ArrayLike, H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> Verdict:
    """Whether an answer is the density matrix ``2 C C^T`` over the occupied orbitals.

    Args:
        answer: (n_ao, n_ao) electrons.
        H: eV.
        S: its overlap.
        n_electrons: how many, two in each orbital.
    """
    filled, C = occupied_count(H, n_electrons), solve(H, S)[1]
    given, occupied, overlap = np.asarray(answer), C[:, :filled], S.dense()
    if given.shape != overlap.shape:
        return Verdict(
            False,
            f"P has {len(overlap)} x {len(overlap)} elements, one for each pair of orbitals; yours "
            f"has the shape {given.shape}. Try C @ C.T, not C.T @ C.",
        )
    right = 2 * occupied @ occupied.T
    electrons = float(np.trace(right @ overlap))
    wrong = {
        "each orbital holds two electrons: this counts only half of them.": right / 2,
        "all orbitals are filled, the empty ones too: take the first n/2 columns.": 2 * C @ C.T,
        "so many orbitals as electrons are filled: each holds two.": (
            2 * C[:, :n_electrons] @ C[:, :n_electrons].T
        ),
        "these are the highest orbitals: the electrons go into the lowest.": (
            2 * C[:, -filled:] @ C[:, -filled:].T
        ),
        "orbitals stand in the columns of C, not in its rows.": 2 * C[:filled].T @ C[:filled],
    }
    counted = float(np.trace(given @ overlap))
    done = f"tr(P S) = {electrons:.6f} electrons."
    return compared(given, right, done, wrong, f"tr(P S) counts {counted:.3f} electrons")


def resplit(dataset: Dataset, out: str | Path, splits: Mapping[str, Sequence[int]]) -> Path:
    """The same labels in other splits, however unwise these are, as a dataset of its own.

    Args:
        dataset: where the labels are.
        out: the file to write.
        splits: name -> numbers of samples.
    """
    from workbench.datasets.writing import write

    numbers = [int(i) for own in splits.values() for i in own]
    at = iter(range(len(numbers)))
    places = {name: [next(at) for _ in own] for name, own in splits.items()}
    provenance = {"split": "by hand", "the_whole": dataset.provenance}
    write(Path(out), (dataset[i] for i in numbers), places, provenance)
    return Path(out)


def learning_curve(
    dataset: Dataset,
    sizes: Sequence[int],
    folder: str | Path,
    how: TrainConfig,
    start: TwoStageModel | None = None,
) -> NDArray[np.float64]:
    """Test errors of models trained on ever more of a dataset.

    Args:
        dataset: with the splits "train", "valid" and "test".
        sizes: numbers of training geometries, the first of the split.
        folder: for the parts.
        how: to train each of them.
        start: a model to fine-tune in place of a new one.

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
    """What `workbench.evaluate` calls mae_mev, without levels, gaps and turns: a third of its time.

    Structures outside of what the model knows count like all others.
    """
    from workbench.models.applicability import DomainWarning

    members = dataset.split("test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DomainWarning)
        found = model.predict(dataset.atoms(int(i)) for i in members)
    true = dataset.hamiltonians(members)
    return float(
        np.mean([matrix_errors(p.refined, H).mae_mev for p, H in zip(found, true, strict=True)])
    )
