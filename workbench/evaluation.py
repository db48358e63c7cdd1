"""How good a model is on labelled structures: matrix, levels, orbitals and symmetry, per stage."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from tqdm.auto import tqdm

from workbench.conventions import HARTREE, random_rotation
from workbench.dataset import Dataset, Sample
from workbench.matrices import BlockMatrix
from workbench.models.domain import DomainWarning
from workbench.models.twostage import TwoStageModel
from workbench.physics import gap, levels, occupied_energy_mae, occupied_similarity
from workbench.structures import rotate
from workbench.symmetry import matrix_errors

_MEV = 1000.0  # meV in an eV

Stage = Callable[[Atoms], BlockMatrix]


def evaluate(
    model: TwoStageModel,
    dataset: Dataset,
    split: str = "test",
    limit: int | None = None,
    progress: bool = True,
    symmetrise: int = 1,
) -> dict[str, Any]:
    """Errors of both stages against a split's labels.

    Matrix errors are means over structures of the mean modulus over all elements, for crystals
    those of all stored blocks, in reach of the model or not; levels are measured of molecules. The
    equivariance error is that of one seeded random rotation per structure. On one machine the
    numbers come out the same bit for bit.

    Args:
        model: both stages.
        dataset: whose labels are in the model's basis.
        split: which samples.
        limit: only the first so many of them.
        progress: show a bar.
        symmetrise: orientations over which stage 2 is averaged, as in ``predict``.

    Returns:
        JSON-able; keys carry units. ``baseline`` and ``refined`` hold the same metrics.

    Raises:
        ValueError: if the split is empty or its basis is not the model's.
    """
    indices = dataset.split(split)[:limit]
    if not len(indices):
        raise ValueError(f"The split {split!r} of {dataset.path} is empty: choose another.")
    model.basis.merged(dataset.basis)
    rows: dict[str, list[dict[str, float]]] = {"baseline": [], "refined": []}
    outside = 0
    for i in tqdm(indices, desc=f"evaluate {split}", disable=not progress):
        sample = dataset[int(i)]
        R = random_rotation(np.random.default_rng([int(i), 7]))
        outside += model.beyond(sample.atoms) is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DomainWarning)  # counted instead
            here, there = (
                model.predict(a, symmetrise=symmetrise)
                for a in (sample.atoms, rotate(sample.atoms, R))
            )
        for stage, found in rows.items():
            H, turned = getattr(here, stage), getattr(there, stage)
            found.append(_metrics(H, sample) | _symmetry(H, turned, R))
    return {
        "model_trained_on": dict(model.info.get("dataset", {})),
        "dataset": {"name": dataset.path.name, "sha256": dataset.hash},
        "split": split,
        "structures": len(indices),
        "beyond_what_was_trained_on": outside,
        **{stage: _summary(found) for stage, found in rows.items()},
    }


def _metrics(H: BlockMatrix, sample: Sample) -> dict[str, float]:
    """Errors of one structure's matrix and, of a molecule, of its levels and orbitals."""
    errors = matrix_errors(H, sample.H)
    of_matrix = {
        "mae_hartree": errors.mae_mev / _MEV / HARTREE,
        "mae_mev": errors.mae_mev,
        "max_mev": errors.max_mev,
    }
    if sample.atoms.pbc.any():
        return of_matrix
    S, n = sample.S, sample.n_electrons
    frontier = gap(H, S, n) - gap(sample.H, S, n)
    return of_matrix | {
        "level_mae_mev": float(np.abs(levels(H, S) - levels(sample.H, S)).mean()) * _MEV,
        "occupied_level_mae_mev": occupied_energy_mae(H, sample.H, S, n) * _MEV,
        "gap_mae_mev": abs(frontier) * _MEV,
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
