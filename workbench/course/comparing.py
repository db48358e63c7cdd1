"""Tasks about comparing models: place of an error, padding, zero of energy, leaks, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from workbench.course.answers import (
    UnfitAnswerError,
    block_matrix,
    checks_answer,
    mask,
    number,
    numbers,
)
from workbench.course.verdict import Verdict, explained
from workbench.datasets.dataset import Dataset, Sample
from workbench.evaluation.bootstrap import paired_difference
from workbench.evaluation.energy_zero import energy_shift, without_shift
from workbench.evaluation.errors import aligned_rows, matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import gap, occupied_energy_mae, solve

__all__ = [
    "PLACES",
    "aligned_zero",
    "flattered",
    "interval",
    "mae_within",
    "misplaced",
    "same_error",
    "split_by_group",
    "undiluted",
    "unseen",
]


# ---- the same mean error in different places ----------------------------------------------------

Place = Callable[[Sample, np.random.Generator], NDArray[np.float64]]


def _everywhere(sample: Sample, rng: np.random.Generator) -> NDArray[np.float64]:
    noise = rng.normal(size=(sample.H.n_ao, sample.H.n_ao))
    return noise + noise.T


def _core(sample: Sample, _: np.random.Generator) -> NDArray[np.float64]:
    """The diagonal elements of the 1s orbitals of all atoms except hydrogen."""
    heavy = sample.H.offsets[:-1][sample.H.numbers > 2]
    pattern = np.zeros((sample.H.n_ao, sample.H.n_ao))
    pattern[heavy, heavy] = 1.0
    return pattern


def _least_overlap(sample: Sample, _: np.random.Generator) -> NDArray[np.float64]:
    """The combination of orbitals with the smallest overlap."""
    least = eigh(sample.S.dense())[1][:, 0]
    return np.outer(least, least)


def _orbital(sample: Sample, level: int) -> NDArray[np.float64]:
    """S c c^T S, which shifts only one level; 0 is the lowest empty level."""
    S, C = sample.S.dense(), solve(sample.H, sample.S)[1]
    projected = S @ C[:, sample.n_electrons // 2 + level]
    return np.outer(projected, projected)


PLACES: Mapping[str, Place] = {
    "everywhere": _everywhere,
    "core orbitals": _core,
    "combination of least overlap": _least_overlap,
    "HOMO": lambda sample, _: _orbital(sample, -1),
    "LUMO": lambda sample, _: _orbital(sample, 0),
    "zero of energy": lambda sample, _: sample.S.dense(),
}
"""Place of an error -> its pattern, of any norm."""


def misplaced(sample: Sample, place: str, mae_mev: float, seed: int = 0) -> BlockMatrix:
    """A molecule's H, eV, with an error of this mean modulus in one of `PLACES`.

    >>> from workbench.course import comparing
    >>> sample = wb.Dataset("water")[0]
    >>> H = comparing.misplaced(sample, "HOMO", mae_mev=1.0)
    >>> round(1000 * (H - sample.H).mae(), 6)
    1.0
    """
    pattern = PLACES[place](sample, np.random.default_rng(seed))
    error = BlockMatrix.from_dense(sample.H.basis, sample.H.numbers, pattern)
    return sample.H + (mae_mev / matrix_errors(sample.H + error, sample.H).mae_mev) * error


# ---- means over zeros ---------------------------------------------------------------------------


@checks_answer
def undiluted(answer: float, difference: BlockMatrix) -> Verdict:
    """Check the mean modulus in meV over the existing elements, without padding.

    >>> from workbench.course import comparing
    >>> H = wb.Dataset("water")[0].H
    >>> comparing.undiluted(1000 * abs(H.dense()).mean(), H).right
    True
    """
    submitted, modulus, exists = number(answer), np.abs(difference.values), difference.mask
    right = matrix_errors(difference, 0.0 * difference).mae_mev
    padded, share = float(modulus.mean()) * MEV, float(exists.mean())
    orbitals = exists[:, :, 0].sum() / exists[:, :, 0].size
    wrong = {
        "that is the mean over everything, padding included: most of it is zero by definition.": (
            padded
        ),
        "the factor is inverted: a mean without the zeros is larger.": padded * share,
        "a block has rows and columns: count elements, not orbitals.": padded / orbitals,
        "that is a sum: divide it by the number of elements that exist.": modulus.sum() * MEV,
        "that is in eV; give it in meV.": right / MEV,
    }
    done = f"{share:.0%} of the padded elements exist: {right:.4f} meV."
    fallback = f"the padded mean is {padded:.4f} meV and {share:.1%} of it exist."
    return explained(submitted, right, done, wrong, fallback, digits=4)


def mae_within(a: BlockMatrix, b: BlockMatrix, atoms: Atoms, reach: float) -> float:
    """Mean error in meV over all pairs of atoms within `reach` (A); missing blocks are zero.

    >>> from workbench.course import comparing
    >>> graphene = wb.Dataset("graphene")[0]
    >>> pair = 1.001 * graphene.H, graphene.H
    >>> near, far = (comparing.mae_within(*pair, graphene.atoms, reach) for reach in (3, 20))
    >>> far < 0.1 * near  # far blocks are missing in both and dilute the mean
    True
    """
    i, j, shifts = neighbor_list("ijS", atoms, reach)
    on_site = np.arange(len(atoms))
    edges = np.stack([np.append(on_site, i), np.append(on_site, j)])
    cells = np.concatenate([np.zeros((len(atoms), 3), dtype=int), shifts])
    both = (BlockMatrix(m.basis, m.numbers, edges, cells, m.over(edges, cells)) for m in (a, b))
    return matrix_errors(*both).mae_mev


# ---- the zero of energy -------------------------------------------------------------------------

_ROUNDED = 6e-4  # eV; a shift typed with three decimals
_SHIFTED_OR_USELESS = ("zero of energy", "everywhere", "HOMO")


@checks_answer
def aligned_zero(
    answer: BlockMatrix | ArrayLike, shifted: BlockMatrix, H: BlockMatrix, S: BlockMatrix
) -> Verdict:
    """Check whether the zero of energy of a shifted matrix was corrected, so that it is H.

    >>> from workbench.course import comparing
    >>> H, S = (water := wb.Dataset("water")[0]).H, water.S
    >>> comparing.aligned_zero((H + 0.1 * S) - 0.1 * S, H + 0.1 * S, H, S).right
    True
    """
    if answer is H:
        raise UnfitAnswerError(
            "that is sample.H itself: correct `shifted`, as if H were not known."
        )
    matrix = block_matrix(answer, H)
    error = matrix_errors(matrix, H).mae_mev
    only_shifted = (without_shift(matrix, H, S) - H).max_abs() < 1e-9
    if error < 1e-6 or (only_shifted and abs(energy_shift(matrix, H, S)) < _ROUNDED):
        before = matrix_errors(shifted, H).mae_mev
        return Verdict(True, f"{before:.1f} meV of mean error had no physical meaning.")
    if matrix_errors(matrix, shifted).mae_mev < 1e-9:
        return Verdict(False, f"that is the shifted matrix itself: {error:.1f} meV from H.")
    if only_shifted:
        shift = energy_shift(matrix, H, S)
        return Verdict(False, f"a shift of {shift:+.3f} eV is left: check the sign and the size.")
    if np.abs(np.diag((matrix - H).at_gamma())).max() < 1e-9:
        return Verdict(
            False, "the diagonal is right, but c S also has elements outside of the diagonal."
        )
    return Verdict(
        False,
        "the rest is not a multiple of S. Adding c S to H shifts all levels by c, since "
        "H C = S C e; adding the same number to every element does not.",
    )


def same_error(sample: Sample, mae_mev: float, places: Sequence[str] = _SHIFTED_OR_USELESS) -> str:
    """Table of matrices with the same mean error in `PLACES`: what is left without the shift mu S.

    >>> from workbench.course import comparing
    >>> print(comparing.same_error(wb.Dataset("water")[0], mae_mev=10.0))
    meV             matrix MAE  without shift  shift  occupied levels  without shift   gap
    zero of energy  ...
    everywhere      ...
    HOMO            ...
    """
    H, S = sample.H, sample.S
    levels = ("occupied levels", "without shift", "gap")
    rows = [["meV", "matrix MAE", "without shift", "shift", *levels]]
    for place in places:
        wrong = misplaced(sample, place, mae_mev)
        corrected = without_shift(wrong, H, S)
        mae, level_mae, gap_error = _errors(wrong, sample)
        free, free_level_mae, _ = _errors(corrected, sample)
        values = (mae, free, energy_shift(wrong, H, S) * MEV, level_mae, free_level_mae, gap_error)
        rows.append([place, *(f"{value:.1f}" for value in values)])
    return "\n".join(aligned_rows(rows))


# ---- leaks --------------------------------------------------------------------------------------


@checks_answer
def split_by_group(test: ArrayLike, groups: ArrayLike) -> Verdict:
    """Check that the test samples (n,), a boolean mask, share no group with the other samples.

    >>> from workbench.course import comparing
    >>> comparing.split_by_group(np.array([True, False, False]), ["a", "b", "b"]).right
    True
    """
    names = np.asarray(groups)
    tested = mask(test, len(names), "structures")
    share = tested.mean()
    if not 0.1 <= share <= 0.5:
        return Verdict(False, f"{share:.0%} are test samples: use between 10 and 50 %.")
    both = set(names[tested].tolist()) & set(names[~tested].tolist())
    if both:
        count = len(set(names.tolist()))
        return Verdict(False, f"{len(both)} of {count} molecules are on both sides: a leak.")
    count = len(set(names[tested].tolist()))
    return Verdict(
        True, f"{count} molecules, {int(tested.sum())} structures, none of them in training."
    )


def unseen(dataset: Dataset, samples: ArrayLike, test: ArrayLike) -> float:
    """Error in meV of a small model that is trained on some structures and tested on others.

    It predicts gaps from the eigenvalues of the Coulomb matrix (Rupp et al. 2012, doi
    10.1103/PhysRevLett.108.058301) by kernel ridge regression, which suffices to show a leak.

    Args:
        dataset: dataset of molecules.
        samples: (n,) sample numbers.
        test: (n,) boolean mask of the test samples.

    >>> from workbench.course import comparing
    >>> water, n = wb.Dataset("water"), np.arange(12)
    >>> leak = comparing.unseen(water, np.r_[n, n], np.arange(24) > 11)  # tested on copies
    >>> leak < comparing.unseen(water, n, n > 5)
    True
    """
    tested = np.asarray(test, dtype=bool)
    used = [dataset[int(i)] for i in np.asarray(samples)]
    gaps = np.array([gap(s.H, s.S, s.n_electrons) for s in used])
    x = _coulomb_spectra([s.atoms for s in used])
    distances = np.abs(x[:, None] - x[None]).sum(axis=-1)
    kernel = np.exp(-distances / np.median(distances))
    training, mean = kernel[~tested][:, ~tested], gaps[~tested].mean()
    weights = np.linalg.solve(training + 1e-6 * np.eye(len(training)), gaps[~tested] - mean)
    predicted = kernel[tested][:, ~tested] @ weights + mean
    return float(np.abs(predicted - gaps[tested]).mean()) * MEV


def _coulomb_spectra(structures: list[Atoms]) -> NDArray[np.float64]:
    """(n, most atoms) eigenvalues of each Coulomb matrix, largest first, padded with zeros."""
    spectra = np.zeros((len(structures), max(len(a) for a in structures)))
    for row, atoms in zip(spectra, structures, strict=True):
        z, distances = atoms.numbers.astype(float), atoms.get_all_distances()
        np.fill_diagonal(distances, 1.0)
        matrix = np.outer(z, z) / distances
        np.fill_diagonal(matrix, 0.5 * z**2.4)
        row[: len(z)] = np.linalg.eigvalsh(matrix)[::-1]
    return spectra


# ---- noise --------------------------------------------------------------------------------------


@checks_answer
def interval(answer: ArrayLike, a: ArrayLike, b: ArrayLike, groups: ArrayLike) -> Verdict:
    """Check the paired 95 % bootstrap interval (low, high) of the mean of a - b, by groups.

    >>> from workbench.course import comparing
    >>> from workbench.evaluation.bootstrap import paired_difference
    >>> a, b, groups = np.arange(8.0), np.zeros(8), np.repeat([0, 1, 2, 3], 2)
    >>> found = paired_difference(a, b, groups)
    >>> comparing.interval((found.low, found.high), a, b, groups).right
    True
    """
    submitted = np.sort(numbers(answer, "two numbers, low and high").ravel())
    if submitted.shape != (2,):
        return Verdict(False, "an interval is two numbers, low and high.")
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    right = paired_difference(one, other, groups)
    middle, width = (right.low + right.high) / 2, right.high - right.low
    if np.abs(submitted - [right.low, right.high]).max() < 0.15 * width:
        side = "zero is outside" if right.decided else "zero is inside: no significant difference"
        return Verdict(True, f"{right.low:.3g} to {right.high:.3g}; {side}.")
    spread = np.percentile(one - other, [2.5, 97.5])
    if np.abs(submitted - spread).max() < 0.05 * np.ptp(spread):
        return Verdict(
            False,
            "that is the interval of single structures; the task asks for that of their mean.",
        )
    if np.abs(submitted + np.array([right.high, right.low])).max() < 0.15 * width:
        return Verdict(False, "the sign is reversed: subtract the second from the first.")
    size = np.ptp(submitted) / width
    if abs(submitted.mean() - middle) > width:
        return Verdict(False, f"its middle, {submitted.mean():.3g}, is not near {middle:.3g}.")
    hint = (
        "did you resample the structures of the two models separately? Resample the differences."
        if size > 1
        else "frames of one trajectory are similar: resample whole groups."
    )
    return Verdict(False, f"it is {size:.2f} times as wide as it should be; {hint}")


# ---- break it -----------------------------------------------------------------------------------


@checks_answer
def flattered(
    sample: Sample, predicted: BlockMatrix, repaired: float, planted_mev: float
) -> Verdict:
    """Check for a change of a prediction that lowers the mean error and makes the gap worse.

    Args:
        sample: a molecule with its label.
        predicted: its predicted matrix, eV.
        repaired: fraction of the error that is removed, 0 to 1.
        planted_mev: mean error that is added to the HOMO instead, meV.

    >>> from workbench.course import comparing
    >>> water = wb.Dataset("water")[0]
    >>> comparing.flattered(water, 1.001 * water.H, repaired=0.9, planted_mev=1.0).right
    True
    """
    share, added = number(repaired), number(planted_mev)
    if not (0 <= share <= 1 and added >= 0):
        return Verdict(False, "remove a share between 0 and 1, and add a positive error.")
    changed = sample.H + (1 - share) * (predicted - sample.H)
    if added:
        changed = changed + (misplaced(sample, "HOMO", added) - sample.H)
    (mae, levels, gaps), (mae0, levels0, gaps0) = (_errors(m, sample) for m in (changed, predicted))
    numbers = (
        f"matrix MAE {mae0:.3f} to {mae:.3f} meV, occupied levels {levels0:.2f} to {levels:.2f} "
        f"meV, gap {gaps0:.1f} to {gaps:.1f} meV."
    )
    if mae >= mae0:
        return Verdict(
            False, f"{numbers} The metric is not better: repair more, or add less to the HOMO."
        )
    if gaps <= 5 * gaps0:
        return Verdict(
            False, f"{numbers} The gap is not five times worse yet: add more to the HOMO."
        )
    return Verdict(True, f"{numbers} By this metric alone the model has improved.")


def _errors(H: BlockMatrix, sample: Sample) -> tuple[float, float, float]:
    """Mean error of the matrix, of the occupied levels and of the gap, meV."""
    molecule: tuple[Any, Any] = (sample.S, sample.n_electrons)
    return (
        matrix_errors(H, sample.H).mae_mev,
        occupied_energy_mae(H, sample.H, *molecule) * MEV,
        abs(gap(H, *molecule) - gap(sample.H, *molecule)) * MEV,
    )
