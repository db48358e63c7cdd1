"""How good a model is on labelled structures: matrix, levels, orbitals and symmetry, per stage."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset, Sample
from workbench.evaluation.band_errors import BandWindow
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE, MEV, SHELL_LETTERS
from workbench.hamiltonians.eigenproblem import (
    gap,
    levels,
    occupied_energy_mae,
    occupied_similarity,
)
from workbench.hamiltonians.rotations import random_rotation
from workbench.models.applicability import DomainWarning
from workbench.models.twostage import TwoStageModel
from workbench.structures.loading import rotate

__all__ = ["Challenging", "Stage", "block_errors", "challenging", "evaluate"]


MOST_ORBITALS = 2000
"""Bands of larger crystals are not compared: each k-point of theirs takes minutes."""

Stage = Callable[[Atoms], BlockMatrix]


@dataclass
class _Found:
    """What was found out about one stage: of each structure, in turn."""

    rows: list[dict[str, float]] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    blocks: list[NDArray[np.float64]] = field(default_factory=list)
    bands: list[float] = field(default_factory=list)


def evaluate(
    model: TwoStageModel,
    dataset: Dataset,
    split: str = "test",
    limit: int | None = None,
    progress: bool = True,
    symmetrise: int = 1,
    samples: Sequence[int] | None = None,
    each: bool = False,
) -> dict[str, Any]:
    """Errors of both stages against a split's labels.

    Matrix errors are means over structures of the mean modulus over all elements, for crystals
    those of all stored blocks, in reach of the model or not. The equivariance error is that of one
    seeded random rotation per structure. On one machine the numbers come out the same bit for bit.

    Levels are measured of molecules. Of crystals there are the literature's columns, see
    `challenging`, and ``band_mae_mev``, the mean of `BandWindow.error` over the structures
    (``band_structures`` of them) that come with overlap and Fermi level, have at most
    `MOST_ORBITALS` orbitals and any band near that level; it is None if there is none.

    Args:
        model: both stages.
        dataset: whose labels are in the model's basis.
        split: which samples.
        limit: only the first so many of them.
        progress: show a bar.
        symmetrise: orientations over which stage 2 is averaged, as in ``predict``.
        samples: these samples of the split and no others, by their numbers in the dataset.
        each: also report every structure by itself, under the key ``each``: its number, formula,
            group and, for each stage, the same metrics and those of pairs of shells.

    Returns:
        JSON-able; keys carry units. ``baseline`` and ``refined`` hold the same metrics.

    Raises:
        ValueError: if the split is empty, lacks one of the samples, or its basis is not the
            model's.
    """
    indices = _chosen(dataset, split, samples)[:limit]
    basis = model.basis.merged(dataset.basis)
    stages = {"baseline": _Found(), "refined": _Found()}
    outside_domain = 0
    for i in tqdm(indices, desc=f"evaluate {split}", disable=not progress):
        sample = dataset[int(i)]
        R = random_rotation(np.random.default_rng([int(i), 7]))
        outside_domain += model.outside_domain(sample.atoms) is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DomainWarning)  # counted instead
            here, there = (
                model.predict(a, symmetrise=symmetrise)
                for a in (sample.atoms, rotate(sample.atoms, R))
            )
        window = _band_window(sample)
        for stage, found in stages.items():
            H, turned = getattr(here, stage), getattr(there, stage)
            found.errors.append(matrix_errors(H, sample.H))
            of_structure = _metrics(H, sample, found.errors[-1]) | _symmetry(H, turned, R)
            found.rows.append(of_structure)
            if dataset.periodic:
                found.blocks.append(block_errors(H, sample.H))
                found.bands.append(np.nan if window is None else window.error(H) * MEV)
    summaries: dict[str, Any] = {stage: _summary(f.rows) for stage, f in stages.items()}
    if dataset.periodic:
        for stage, found in stages.items():
            summaries[stage] |= _literature_columns(found, stages["baseline"], indices, basis)
    if each:
        summaries["each"] = [_structure(dataset, int(i), k, stages) for k, i in enumerate(indices)]
    return {
        "model_trained_on": dict(model.info.get("dataset", {})),
        "dataset": {"name": dataset.path.name, "sha256": dataset.hash},
        "split": split,
        "structures": len(indices),
        "beyond_what_was_trained_on": outside_domain,
        **summaries,
    }


def _chosen(dataset: Dataset, split: str, samples: Sequence[int] | None) -> NDArray[np.int64]:
    """Numbers of the samples to be evaluated."""
    members = dataset.split(split)
    if not len(members):
        raise ValueError(f"The split {split!r} of {dataset.path} is empty: choose another.")
    if samples is None:
        return members
    asked = np.asarray(samples, dtype=np.int64)
    if not len(asked):
        raise ValueError("There is no sample to evaluate: name at least one.")
    if foreign := sorted(set(asked.tolist()) - set(members.tolist())):
        raise ValueError(f"Sample {foreign[0]} is not in the split {split!r}: take its own.")
    return asked


def _structure(dataset: Dataset, i: int, k: int, stages: dict[str, _Found]) -> dict[str, Any]:
    """What was found out about the k-th structure, which is sample i."""
    of_stages: dict[str, dict[str, Any]] = {}
    for stage, found in stages.items():
        pairs = found.errors[k].to_json()["shell_pairs"]
        of_stages[stage] = found.rows[k] | {"shell_pairs": pairs}
        if dataset.periodic:
            error = found.bands[k]
            of_stages[stage]["band_mae_mev"] = error if np.isfinite(error) else None
    formula = dataset.atoms(i).get_chemical_formula("hill")
    return {"sample": i, "formula": formula, "group": int(dataset.groups[i]), **of_stages}


def block_errors(a: BlockMatrix, b: BlockMatrix) -> NDArray[np.float64]:
    """Mean modulus of the difference of two matrices in each block of two shells.

    A block is what a head of DeepH-E3 predicts: all elements between one shell of one element and
    one of another, on-site and off-site, of all spins.

    Args:
        a, b: of the same atoms in the same order, eV.

    Returns:
        (elements, elements, shells, shells) meV, row first, in the order of the common basis's
        elements and of its padded layout; nan where there is no such block.
    """
    difference = a - b
    basis, mask = difference.basis, difference.mask  # (E, M, M)
    kinds = np.searchsorted(basis.elements, difference.numbers)[difference.edges]  # (2, E)
    elements, shells = len(basis.elements), len(basis.layout)
    sums = np.zeros((2, elements, elements, shells, shells))
    for total, values in zip(sums, (np.abs(difference.values), mask.astype(float)), strict=True):
        np.add.at(total, tuple(kinds), _by_shells(values, basis))
    return np.divide(sums[0] * MEV, sums[1], where=sums[1] > 0, out=np.full_like(sums[0], np.nan))


def _by_shells(values: NDArray[np.float64], basis: Basis) -> NDArray[np.float64]:
    """(E, shells, shells) sums over the elements of each pair of shells and all spins."""
    spins = 2 if basis.spinor else 1
    scalar = values.reshape(len(values), spins, basis.dim, spins, basis.dim).sum(axis=(1, 3))
    rows = np.add.reduceat(scalar, basis.shell_starts, axis=1)
    return np.add.reduceat(rows, basis.shell_starts, axis=2)


@dataclass(frozen=True)
class Challenging:
    """Errors where a model finds it hardest, meV.

    Attributes:
        structure: place of the structure with the largest MAE.
        structure_mae: MAE_cha_s, the MAE of that structure.
        block: place in `block_errors` of the block with the largest mean over structures.
        block_mae: MAE_cha_b, that mean.
    """

    structure: int
    structure_mae: float
    block: tuple[int, ...]
    block_mae: float


def challenging(
    structures: Sequence[float],
    blocks: Sequence[NDArray[np.float64]],
    hardest: Challenging | None = None,
) -> Challenging:
    """MAE_cha_s and MAE_cha_b: the errors of the most challenging structure and block.

    The terms are TraceGrad's (arXiv 2405.05722). They may be read as worst for the model itself,
    or as the model's errors where its baseline is worst.

    Args:
        structures: (n,) MAE of each structure, meV.
        blocks: (n,) `block_errors` of each structure.
        hardest: that of the baseline for the second reading; None for the first.
    """
    of_blocks: Any = np.ma.masked_invalid(np.stack(blocks)).mean(axis=0)
    if hardest is None:
        structure = int(np.argmax(structures))
        block = tuple(int(n) for n in np.unravel_index(of_blocks.argmax(), of_blocks.shape))
    else:
        structure, block = hardest.structure, hardest.block
    return Challenging(structure, structures[structure], block, float(of_blocks[block]))


def _literature_columns(
    found: _Found, baseline: _Found, indices: NDArray[np.int64], basis: Basis
) -> dict[str, Any]:
    """MAE_all and both readings of MAE_cha_s and MAE_cha_b, and the error of bands."""
    mae, of_baseline = ([row["mae_mev"] for row in f.rows] for f in (found, baseline))
    own = challenging(mae, found.blocks)
    shared = challenging(mae, found.blocks, challenging(of_baseline, baseline.blocks))
    bands = [error for error in found.bands if np.isfinite(error)]
    return {
        "mae_all_mev": float(np.mean(mae)),
        "mae_cha_s_mev": own.structure_mae,
        "mae_cha_b_mev": own.block_mae,
        "mae_cha_s_where_baseline_is_worst_mev": shared.structure_mae,
        "mae_cha_b_where_baseline_is_worst_mev": shared.block_mae,
        "cha_s_structure": int(indices[own.structure]),
        "cha_b_block": _block_name(basis, own.block),
        "band_mae_mev": float(np.mean(bands)) if bands else None,
        "band_structures": len(bands),
    }


def _block_name(basis: Basis, block: Sequence[int]) -> str:
    """E.g. "Mo 4d, S 3p"; shells of one l are counted as `Basis.labels` counts them."""
    names = []
    for element, shell in zip(block[:2], block[2:], strict=True):
        l = basis.layout[shell]
        n = l + 1 + shell - basis.layout.index(l)
        names.append(f"{chemical_symbols[basis.elements[element]]} {n}{SHELL_LETTERS[l]}")
    return ", ".join(names)


def _band_window(sample: Sample) -> BandWindow | None:
    """The bands of a crystal near its Fermi level, where they can be had at a fair price."""
    S, level = sample.stored_overlap, sample.fermi_level
    if S is None or level is None or not np.isfinite(level) or S.n_ao > MOST_ORBITALS:
        return None
    try:
        return BandWindow.of(sample.H, S, sample.atoms, level)
    except np.linalg.LinAlgError:  # the overlap is not positive at some k: there are no bands
        return None


def _metrics(H: BlockMatrix, sample: Sample, errors: Errors) -> dict[str, float]:
    """Errors of one structure's matrix and, of a molecule, of its levels and orbitals."""
    of_matrix = {
        "mae_hartree": errors.mae_mev / MEV / HARTREE,
        "mae_mev": errors.mae_mev,
        "max_mev": errors.max_mev,
    }
    if sample.atoms.pbc.any():
        return of_matrix
    S, n = sample.S, sample.n_electrons
    frontier = gap(H, S, n) - gap(sample.H, S, n)
    return of_matrix | {
        "level_mae_mev": float(np.abs(levels(H, S) - levels(sample.H, S)).mean()) * MEV,
        "occupied_level_mae_mev": occupied_energy_mae(H, sample.H, S, n) * MEV,
        "gap_mae_mev": abs(frontier) * MEV,
        "occupied_similarity": occupied_similarity(H, sample.H, S, n),
    }


def _symmetry(H: BlockMatrix, turned: BlockMatrix, R: np.ndarray) -> dict[str, float]:
    """How far the prediction for the turned structure is from the turned prediction."""
    errors = matrix_errors(turned, H.rotate(R))
    return {"equivariance_mae_mev": errors.mae_mev, "equivariance_max_mev": errors.max_mev}


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over structures, the largest of largest errors, the median and worst structure."""
    result = {
        key: float(
            max(row[key] for row in rows) if "max" in key else np.mean([r[key] for r in rows])
        )
        for key in rows[0]
    }
    errors = [row["mae_hartree"] for row in rows]
    return result | {
        "median_structure_mae_hartree": float(np.median(errors)),
        "worst_structure_mae_hartree": max(errors),
    }
