"""Tasks about comparing models: where an error sits, diluted means, shifted zeros, leaks, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from workbench.course.verdict import Verdict
from workbench.datasets.dataset import Dataset, Sample
from workbench.evaluation.bootstrap import paired_difference
from workbench.evaluation.errors import matrix_errors
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
    """The diagonal elements of the 1s orbitals of all atoms but hydrogen."""
    heavy = sample.H.offsets[:-1][sample.H.numbers > 2]
    found = np.zeros((sample.H.n_ao, sample.H.n_ao))
    found[heavy, heavy] = 1.0
    return found


def _nearly_nothing(sample: Sample, _: np.random.Generator) -> NDArray[np.float64]:
    """The combination of orbitals with the least overlap."""
    least = eigh(sample.S.dense())[1][:, 0]
    return np.outer(least, least)


def _orbital(sample: Sample, place: int) -> NDArray[np.float64]:
    """What moves one level, counted from the lowest empty one, and no other: S c c^T S."""
    S, C = sample.S.dense(), solve(sample.H, sample.S)[1]
    seen = S @ C[:, sample.n_electrons // 2 + place]
    return np.outer(seen, seen)


PLACES: Mapping[str, Place] = {
    "everywhere": _everywhere,
    "core orbitals": _core,
    "combination of least overlap": _nearly_nothing,
    "HOMO": lambda sample, _: _orbital(sample, -1),
    "LUMO": lambda sample, _: _orbital(sample, 0),
    "zero of energy": lambda sample, _: sample.S.dense(),
}
"""Where an error may sit -> its pattern, of any size."""


def misplaced(sample: Sample, place: str, mae_mev: float, seed: int = 0) -> BlockMatrix:
    """A molecule's H with an error of this mean modulus, all of it in one of `PLACES`, eV."""
    pattern = PLACES[place](sample, np.random.default_rng(seed))
    error = BlockMatrix.from_dense(sample.H.basis, sample.H.numbers, pattern)
    return sample.H + (mae_mev / matrix_errors(sample.H + error, sample.H).mae_mev) * error


# ---- means over zeros ---------------------------------------------------------------------------


def undiluted(answer: float, difference: BlockMatrix) -> Verdict:
    """Whether an answer is the mean modulus in meV over elements that exist, padding left out."""
    modulus, mask = np.abs(difference.values), difference.mask
    right = matrix_errors(difference, 0.0 * difference).mae_mev
    padded, share = float(modulus.mean()) * MEV, float(mask.mean())
    if np.isclose(answer, right, rtol=1e-6):
        return Verdict(True, f"{share:.0%} of the padded elements exist: {right:.4f} meV.")
    orbitals = difference.mask[:, :, 0].sum() / difference.mask[:, :, 0].size
    wrong = {
        "that is the mean over everything, padding included: most of it is zero by definition.": (
            padded
        ),
        "the wrong way round: leaving zeros out makes a mean larger.": padded * share,
        "a block has rows and columns: count elements, not orbitals.": padded / orbitals,
        "that is a sum: divide it by the number of elements that exist.": modulus.sum() * MEV,
        "in eV; asked were meV.": right / MEV,
    }
    for why, mistaken in wrong.items():
        if np.isclose(answer, mistaken, rtol=1e-6):
            return Verdict(False, why)
    return Verdict(False, f"the padded mean is {padded:.4f} meV and {share:.1%} of it exist.")


def mae_within(a: BlockMatrix, b: BlockMatrix, atoms: Atoms, reach: float) -> float:
    """Mean error in meV over all pairs of atoms within a reach in A; what is not stored is zero."""
    i, j, shifts = neighbor_list("ijS", atoms, reach)
    own = np.arange(len(atoms))
    edges = np.stack([np.append(own, i), np.append(own, j)])
    cells = np.concatenate([np.zeros((len(atoms), 3), dtype=int), shifts])
    both = (BlockMatrix(m.basis, m.numbers, edges, cells, m.over(edges, cells)) for m in (a, b))
    return matrix_errors(*both).mae_mev


# ---- the zero of energy -------------------------------------------------------------------------


def aligned_zero(
    answer: BlockMatrix, shifted: BlockMatrix, H: BlockMatrix, S: BlockMatrix
) -> Verdict:
    """Whether a matrix is the shifted one with its zero of energy put right, so that it is H."""
    off = matrix_errors(answer, H).mae_mev
    if off < 1e-6:
        before = matrix_errors(shifted, H).mae_mev
        return Verdict(True, f"{before:.1f} meV of mean error were no error of physics at all.")
    if matrix_errors(answer, shifted).mae_mev == 0:
        return Verdict(False, f"that is the shifted matrix itself: {off:.1f} meV from H.")
    left, overlap = (answer - H).at_gamma(), S.at_gamma()
    shift = float((left * overlap).sum() / (overlap * overlap).sum())
    if np.abs(left - shift * overlap).max() < 1e-9:
        return Verdict(False, f"a shift of {shift:+.3f} eV is left: mind the sign and the size.")
    if np.abs(np.diag(left)).max() < 1e-9:
        return Verdict(False, "the diagonal is right; off it c S is left, as S is not diagonal.")
    return Verdict(
        False,
        "what is left is no multiple of S. Where H gains c S all levels move by c, since "
        "H C = S C e; another number in every element is another matter.",
    )


# ---- leaks --------------------------------------------------------------------------------------


def split_by_group(test: ArrayLike, groups: ArrayLike) -> Verdict:
    """Whether a choice of test samples (n,), true or false, shares no group with the rest."""
    names, chosen = np.asarray(groups), np.asarray(test)
    if chosen.shape != names.shape or chosen.dtype != bool:
        return Verdict(False, f"give {len(names)} times true or false, one for each sample.")
    share = chosen.mean()
    if not 0.1 <= share <= 0.5:
        return Verdict(False, f"{share:.0%} are for the test: take between 10 and 50 %.")
    both = set(names[chosen].tolist()) & set(names[~chosen].tolist())
    if both:
        count = len(set(names.tolist()))
        return Verdict(False, f"{len(both)} of {count} molecules stand on both sides: a leak.")
    tested = len(set(names[chosen].tolist()))
    return Verdict(True, f"{tested} molecules, {int(chosen.sum())} structures, none seen before.")


def unseen(dataset: Dataset, samples: ArrayLike, test: ArrayLike) -> float:
    """Error in meV of a small learner that is trained on some structures and tested on others.

    It guesses gaps from the eigenvalues of the Coulomb matrix (Rupp et al. 2012, doi
    10.1103/PhysRevLett.108.058301) by kernel ridge regression: enough to see a leak.

    Args:
        dataset: of molecules.
        samples: (n,) numbers in it.
        test: (n,) which of them are for the test.
    """
    chosen = np.asarray(test, dtype=bool)
    taken = [dataset[int(i)] for i in np.asarray(samples)]
    gaps = np.array([gap(s.H, s.S, s.n_electrons) for s in taken])
    x = _coulomb_spectra([s.atoms for s in taken])
    apart = np.abs(x[:, None] - x[None]).sum(axis=-1)
    kernel = np.exp(-apart / np.median(apart))
    own, mean = kernel[~chosen][:, ~chosen], gaps[~chosen].mean()
    weights = np.linalg.solve(own + 1e-6 * np.eye(len(own)), gaps[~chosen] - mean)
    guessed = kernel[chosen][:, ~chosen] @ weights + mean
    return float(np.abs(guessed - gaps[chosen]).mean()) * MEV


def _coulomb_spectra(structures: list[Atoms]) -> NDArray[np.float64]:
    """(n, most atoms) eigenvalues of each Coulomb matrix, largest first, filled up with zeros."""
    found = np.zeros((len(structures), max(len(a) for a in structures)))
    for row, atoms in zip(found, structures, strict=True):
        z, distances = atoms.numbers.astype(float), atoms.get_all_distances()
        np.fill_diagonal(distances, 1.0)
        matrix = np.outer(z, z) / distances
        np.fill_diagonal(matrix, 0.5 * z**2.4)
        row[: len(z)] = np.linalg.eigvalsh(matrix)[::-1]
    return found


# ---- noise --------------------------------------------------------------------------------------


def interval(answer: ArrayLike, a: ArrayLike, b: ArrayLike, groups: ArrayLike) -> Verdict:
    """Whether (low, high) is the paired 95 % interval of the mean of a - b, drawn by groups."""
    given = np.sort(np.asarray(answer, dtype=float).ravel())
    if given.shape != (2,):
        return Verdict(False, "an interval is two numbers, low and high.")
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    right = paired_difference(one, other, groups)
    middle, wide = (right.low + right.high) / 2, right.high - right.low
    if np.abs(given - [right.low, right.high]).max() < 0.15 * wide:
        side = "zero is outside" if right.decided else "zero is inside: nothing is decided"
        return Verdict(True, f"{right.low:.3g} to {right.high:.3g}; {side}.")
    spread = np.percentile(one - other, [2.5, 97.5])
    if np.abs(given - spread).max() < 0.05 * np.ptp(spread):
        return Verdict(
            False, "that is the range of single structures; asked is that of their mean."
        )
    if np.abs(given + np.array([right.high, right.low])).max() < 0.15 * wide:
        return Verdict(False, "the sign is turned round: subtract the second from the first.")
    size = np.ptp(given) / wide
    if abs(given.mean() - middle) > wide:
        return Verdict(False, f"its middle, {given.mean():.3g}, is not near {middle:.3g}.")
    hint = (
        "did you draw both models' structures apart? Draw the differences."
        if size > 1
        else "frames of one trajectory resemble each other: draw whole groups."
    )
    return Verdict(False, f"it is {size:.2f} times as wide as it should be; {hint}")


# ---- break it -----------------------------------------------------------------------------------


def flattered(
    sample: Sample, predicted: BlockMatrix, repaired: float, planted_mev: float
) -> Verdict:
    """Whether a prediction was changed so that its mean error falls and its gap gets worse.

    Args:
        sample: a molecule with its labels.
        predicted: of it, eV.
        repaired: share of its error that is taken away, 0 to 1.
        planted_mev: mean error that is put into the HOMO instead, meV.
    """
    changed = sample.H + (1 - repaired) * (predicted - sample.H)
    if planted_mev:
        changed = changed + (misplaced(sample, "HOMO", planted_mev) - sample.H)
    (mae, levels, gaps), (mae0, levels0, gaps0) = (_meters(m, sample) for m in (changed, predicted))
    said = (
        f"matrix MAE {mae0:.3f} to {mae:.3f} meV, occupied levels {levels0:.2f} to {levels:.2f} "
        f"meV, gap {gaps0:.1f} to {gaps:.1f} meV."
    )
    if mae >= mae0:
        return Verdict(False, f"{said} The metric is no better: repair more, or plant less.")
    if gaps <= 5 * gaps0:
        return Verdict(False, f"{said} The gap is not five times worse yet: plant more.")
    return Verdict(True, f"{said} A paper would call this progress.")


def _meters(H: BlockMatrix, sample: Sample) -> tuple[float, float, float]:
    """Mean error of the matrix, of the occupied levels and of the gap, meV."""
    of: tuple[Any, Any] = (sample.S, sample.n_electrons)
    return (
        matrix_errors(H, sample.H).mae_mev,
        occupied_energy_mae(H, sample.H, *of) * MEV,
        abs(gap(H, *of) - gap(sample.H, *of)) * MEV,
    )
