"""Errors of a model on labelled structures: matrix, levels, orbitals, symmetry; for each stage."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset, Sample
from workbench.engines.level_of_theory import mismatch
from workbench.evaluation.band_errors import BandErrors, BandWindow
from workbench.evaluation.energy_zero import energy_shift, without_shift
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.evaluation.literature_columns import block_errors, block_name, challenging
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE, MEV
from workbench.hamiltonians.eigenproblem import (
    gap_error,
    levels,
    occupied_energy_mae,
    occupied_similarity,
)
from workbench.hamiltonians.rotations import INVERSION, random_rotation
from workbench.models.applicability import DomainWarning
from workbench.models.twostage import TwoStageModel
from workbench.storage.value_checks import Range, check_arguments
from workbench.structures.loading import rotate

__all__ = ["Stage", "evaluate"]


MOST_ORBITALS = 2000
"""Crystals with more orbitals are left out of the band error: a k-point would take minutes."""

GHOST = 1000.0
"""An error of the gap above this, meV, is taken for a ghost level among the true ones; see
`workbench.hamiltonians.near_dependence`."""

Stage = Callable[[Atoms], BlockMatrix]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_modulus(values: Sequence[float]) -> float:
    return float(np.mean(np.abs(values)))


def _largest(values: Sequence[float]) -> float:
    return float(max(values))


_OVER_STRUCTURES: dict[str, Callable[[Sequence[float]], float]] = {
    "mae_hartree": _mean,
    "mae_mev": _mean,
    "max_mev": _largest,
    "gauge_free_mae_hartree": _mean,
    "gauge_free_mae_mev": _mean,
    "shift_mev": _mean_modulus,
    "gauge_share": _mean,
    "level_mae_mev": _mean,
    "occupied_level_mae_mev": _mean,
    "aligned_occupied_level_mae_mev": _mean,
    "aligned_band_mae_mev": _mean,
    "gap_mae_mev": _mean,
    "occupied_similarity": _mean,
    "equivariance_mae_mev": _mean,
    "equivariance_max_mev": _largest,
    "inversion_mae_mev": _mean,
    "inversion_max_mev": _largest,
}
"""How the values of a metric on single structures become the split's value.

Structures without a value are left out. The share of the gauge is then replaced by that of the
split's two errors.
"""

_OCCUPIED_KEYS = ("occupied_level_mae_mev", "gap_mae_mev", "occupied_similarity")
_GAUGE_KEYS = ("gauge_free_mae_hartree", "gauge_free_mae_mev", "shift_mev", "gauge_share")


@dataclass
class _StageErrors:
    """The errors of one stage; every list has an entry per structure.

    Attributes:
        metrics: key of `_OVER_STRUCTURES` -> value; None where the data do not allow it.
        errors: of the matrix.
        blocks: of crystals, `block_errors`.
        bands: of crystals, error of the bands, meV; None where it could not be measured.
    """

    metrics: list[dict[str, float | None]] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    blocks: list[NDArray[np.float64]] = field(default_factory=list)
    bands: list[float | None] = field(default_factory=list)


def evaluate(
    model: TwoStageModel,
    dataset: Dataset,
    split: str = "test",
    limit: Annotated[int, Range(1, 10**9)] | None = None,
    progress: bool = True,
    symmetrise: Annotated[int, Range(1, 10_000)] = 1,
    samples: Sequence[int] | None = None,
    each: bool = False,
) -> dict[str, Any]:
    """Errors of both stages on a split of a dataset.

    A structure's matrix error is the mean modulus over all its elements, for a crystal over all
    stored blocks, within the model's cutoff or not; reported is the mean over structures. The
    equivariance error is measured with one seeded random rotation per structure (the keys
    ``equivariance_...``), and with the inversion x -> -x (``inversion_...``). On one machine the
    numbers are reproduced bit for bit.

    Part of an error is ``mu S``, a shift of the zero of energy, which is a gauge
    (`workbench.evaluation.energy_zero`). ``gauge_free_mae_mev`` is the matrix error without it,
    ``shift_mev`` the mean ``|mu|`` (of a single structure, mu), and ``gauge_share`` the share of
    the matrix error that the shift makes: one minus the ratio of the two errors. They are None for
    crystals without an overlap.

    Errors of levels are reported for molecules; those under the key that starts with ``aligned``
    are without mu. ``ghost_share`` is the share of structures whose gap is off by more than 1 eV.
    Structures without a LUMO, whose orbitals are all occupied, have no gap and are left out there.
    For crystals there are the literature's columns, see
    `workbench.evaluation.literature_columns`, and ``band_mae_mev`` and ``aligned_band_mae_mev``:
    the means of `BandWindow.errors`, raw and relative to each Hamiltonian's own Fermi level, over
    the structures (``band_structures`` of them) that have an overlap, a Fermi level, at most
    `MOST_ORBITALS` orbitals and a band near that level. They are None if there is none.

    Args:
        model: both stages.
        dataset: with labels in the model's basis.
        split: name of the split.
        limit: evaluate only the first ``limit`` samples.
        progress: show a progress bar.
        symmetrise: number of orientations over which stage 2 is averaged, as in ``predict``.
        samples: evaluate only these samples of the split, given by their numbers in the dataset.
        each: also report every structure by itself, under the key ``each``: its number, formula,
            group and, for each stage, the same metrics and the errors of pairs of shells.

    Returns:
        JSON-able; keys carry units. ``baseline`` (stage 1) and ``refined`` (both stages) hold the
        same metrics.

    Raises:
        ValueError: if the split is empty, lacks one of the samples, or has another basis than the
            model; for a limit or a number of orientations below 1.

    Warns:
        UserWarning: if the labels come from another functional or program than the model's.

    >>> model = wb.load_model("water")
    >>> with wb.Dataset("water") as water:
    ...     errors = wb.evaluate(model, water, limit=2, progress=False)
    >>> errors["structures"], errors["split"]
    (2, 'test')
    >>> errors["refined"]["mae_mev"] < 0.01
    True

    Stage 1 is equivariant to rounding; the error is many times smaller than that of the matrix:

    >>> baseline = errors["baseline"]
    >>> baseline["equivariance_mae_mev"] < 0.01 * baseline["mae_mev"]
    True
    >>> baseline["inversion_mae_mev"] < 0.01 * baseline["mae_mev"]
    True
    """
    check_arguments(evaluate, {"limit": limit, "symmetrise": symmetrise})
    indices = _chosen(dataset, split, samples)[:limit]
    if other := mismatch(model.info.get("method", {}), dataset.method):
        warnings.warn(
            f"Model and labels are of different levels of theory, {other}: the errors include "
            "this difference.",
            stacklevel=2,
        )
    basis = model.basis.merged(dataset.basis)
    stages = {"baseline": _StageErrors(), "refined": _StageErrors()}
    outside_domain = 0
    for i in tqdm(indices, desc=f"evaluate {split}", disable=not progress):
        sample = dataset[int(i)]
        R = random_rotation(np.random.default_rng([int(i), 7]))
        outside_domain += model.outside_domain(sample.atoms) is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DomainWarning)  # they are counted instead
            here, rotated, inverted = (
                model.predict(a, symmetrise=symmetrise)
                for a in (sample.atoms, rotate(sample.atoms, R), rotate(sample.atoms, INVERSION))
            )
        window = _band_window(sample)
        for stage, results in stages.items():
            H = getattr(here, stage)
            errors = matrix_errors(H, sample.H)
            bands = None if window is None else window.errors(H)
            results.errors.append(errors)
            results.metrics.append(
                _metrics(H, sample, errors)
                | _gauge_metrics(H, sample, errors, bands)
                | _symmetry("equivariance", H, getattr(rotated, stage), R)
                | _symmetry("inversion", H, getattr(inverted, stage), INVERSION)
            )
            if dataset.periodic:
                results.blocks.append(block_errors(H, sample.H))
                results.bands.append(None if bands is None else bands.raw * MEV)
    summaries: dict[str, Any] = {stage: _summary(r.metrics) for stage, r in stages.items()}
    if dataset.periodic:
        for stage, results in stages.items():
            summaries[stage] |= _literature_columns(results, stages["baseline"], indices, basis)
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
    chosen = np.asarray(samples, dtype=np.int64)
    if not len(chosen):
        raise ValueError("There is no sample to evaluate: name at least one.")
    if foreign := sorted(set(chosen.tolist()) - set(members.tolist())):
        raise ValueError(
            f"Sample {foreign[0]} is not in the split {split!r}: name samples of this split."
        )
    return chosen


def _structure(dataset: Dataset, i: int, k: int, stages: dict[str, _StageErrors]) -> dict[str, Any]:
    """The entry of ``each`` for the k-th structure, which is sample i."""
    by_stage: dict[str, dict[str, Any]] = {}
    for stage, results in stages.items():
        pairs = results.errors[k].to_json()["shell_pairs"]
        by_stage[stage] = results.metrics[k] | {"shell_pairs": pairs}
        if dataset.periodic:
            by_stage[stage]["band_mae_mev"] = results.bands[k]
    formula = dataset.atoms(i).get_chemical_formula("hill")
    return {"sample": i, "formula": formula, "group": int(dataset.groups[i]), **by_stage}


def _literature_columns(
    results: _StageErrors,
    baseline: _StageErrors,
    indices: NDArray[np.int64],
    basis: Basis,
) -> dict[str, Any]:
    """MAE_all, both readings of MAE_cha_s and MAE_cha_b, and the error of the bands."""
    mae, baseline_mae = ([e.mae_mev for e in r.errors] for r in (results, baseline))
    own = challenging(mae, results.blocks)
    shared = challenging(mae, results.blocks, challenging(baseline_mae, baseline.blocks))
    bands = [error for error in results.bands if error is not None]
    return {
        "mae_all_mev": float(np.mean(mae)),
        "mae_cha_s_mev": own.structure_mae,
        "mae_cha_b_mev": own.block_mae,
        "mae_cha_s_where_baseline_is_worst_mev": shared.structure_mae,
        "mae_cha_b_where_baseline_is_worst_mev": shared.block_mae,
        "cha_s_structure": int(indices[own.structure]),
        "cha_b_block": block_name(basis, own.block),
        "band_mae_mev": float(np.mean(bands)) if bands else None,
        "band_structures": len(bands),
    }


def _band_window(sample: Sample) -> BandWindow | None:
    """The bands of a crystal near its Fermi level; None if the data or the time do not allow it."""
    S, level = sample.stored_overlap, sample.fermi_level
    if S is None or level is None or not np.isfinite(level) or S.n_ao > MOST_ORBITALS:
        return None
    try:
        return BandWindow.of(sample.H, S, sample.atoms, level, sample.n_electrons)
    except np.linalg.LinAlgError:  # the overlap is not positive definite at some k
        return None


def _metrics(H: BlockMatrix, sample: Sample, errors: Errors) -> dict[str, float | None]:
    """Errors of one structure's matrix and, for a molecule, of its levels and orbitals."""
    matrix_metrics: dict[str, float | None] = {
        "mae_hartree": errors.mae_mev / MEV / HARTREE,
        "mae_mev": errors.mae_mev,
        "max_mev": errors.max_mev,
    }
    if sample.atoms.pbc.any():
        return matrix_metrics
    S, n = _overlap(sample), sample.n_electrons
    if S is None:
        return matrix_metrics | dict.fromkeys(("level_mae_mev", *_OCCUPIED_KEYS))
    level_error = float(np.abs(levels(H, S) - levels(sample.H, S)).mean()) * MEV
    if not n:  # another program's, which does not say how many levels are occupied
        return matrix_metrics | {"level_mae_mev": level_error} | dict.fromkeys(_OCCUPIED_KEYS)
    of_gap = gap_error(H, sample.H, S, n)
    return matrix_metrics | {
        "level_mae_mev": level_error,
        "occupied_level_mae_mev": occupied_energy_mae(H, sample.H, S, n) * MEV,
        "gap_mae_mev": None if of_gap is None else of_gap * MEV,
        "occupied_similarity": occupied_similarity(H, sample.H, S, n),
    }


def _overlap(sample: Sample) -> BlockMatrix | None:
    """S if it is stored or, of a molecule, can be computed."""
    if sample.atoms.pbc.any():
        return sample.stored_overlap
    try:
        return sample.S
    except ValueError:  # another program's orbitals, imported without their overlap
        return None


def _gauge_metrics(
    H: BlockMatrix, sample: Sample, errors: Errors, bands: BandErrors | None
) -> dict[str, float | None]:
    """The rigid shift of one structure's zero of energy, and the errors without it."""
    periodic = bool(sample.atoms.pbc.any())
    S = _overlap(sample)
    level_key = "aligned_band_mae_mev" if periodic else "aligned_occupied_level_mae_mev"
    if S is None:
        return dict.fromkeys((*_GAUGE_KEYS, level_key))
    shifted_back = without_shift(H, sample.H, S)
    free = matrix_errors(shifted_back, sample.H).mae_mev
    shift = energy_shift(H, sample.H, S) * MEV
    values = (free / MEV / HARTREE, free, shift, _gauge_share(free, errors.mae_mev))
    result: dict[str, float | None] = dict(zip(_GAUGE_KEYS, values, strict=True))
    if periodic:
        return result | {level_key: None if bands is None else bands.aligned * MEV}
    if not sample.n_electrons:
        return result | {level_key: None}
    levels_mae = occupied_energy_mae(shifted_back, sample.H, S, sample.n_electrons)
    return result | {level_key: levels_mae * MEV}


def _gauge_share(free: float, raw: float) -> float:
    """The share of an error that a shift of the zero of energy makes; 0 of no error."""
    return 1 - free / raw if raw else 0.0


def _symmetry(name: str, H: BlockMatrix, there: BlockMatrix, R: np.ndarray) -> dict[str, float]:
    """The prediction for the rotated or inverted structure against D H D^T."""
    errors = matrix_errors(there, H.rotate(R))
    return {f"{name}_mae_mev": errors.mae_mev, f"{name}_max_mev": errors.max_mev}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Each metric over all structures; median and worst structure; share of ghost levels."""
    result: dict[str, Any] = {}
    for key in rows[0]:
        values = [row[key] for row in rows if row[key] is not None]
        result[key] = _OVER_STRUCTURES[key](values) if values else None
    if result["gauge_share"] is not None:  # of the split's errors, not a mean of shares
        result["gauge_share"] = _gauge_share(result["gauge_free_mae_mev"], result["mae_mev"])
    errors = [row["mae_hartree"] for row in rows]
    result |= {
        "median_structure_mae_hartree": float(np.median(errors)),
        "worst_structure_mae_hartree": max(errors),
    }
    if "gap_mae_mev" in rows[0]:
        gaps, occupied = (
            [row[key] for row in rows if row[key] is not None]
            for key in ("gap_mae_mev", "occupied_level_mae_mev")
        )
        result |= {
            "median_structure_gap_mae_mev": float(np.median(gaps)) if gaps else None,
            "worst_structure_gap_mae_mev": max(gaps, default=None),
            "worst_structure_occupied_level_mae_mev": max(occupied, default=None),
            "ghost_share": float(np.mean(np.array(gaps) > GHOST)) if gaps else None,
        }
    return result
