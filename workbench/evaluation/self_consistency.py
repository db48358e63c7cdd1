"""How wrong is a prediction of which no label is known? One step of self-consistency tells.

The occupied orbitals of a predicted Hamiltonian H give a density P, and one evaluation of the
integrals gives its Fock matrix F[P]. Only of the true Hamiltonian F[P] = H. The difference
F[P] - H needs no label, and is proportional to the error of H, with some scatter. The factor and
its scatter are measured on validation molecules (`calibrate`) and stored with the model; `check`
then turns the difference of an unknown molecule into an estimate of the error, with an interval.
`workbench.evaluation.coverage` measures how often the intervals hold the true error. The method is
ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset
from workbench.engines.fock import FockStep, fock_step
from workbench.engines.pyscf_molecules import xc_of
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import gap_error, gap_or_none, occupied_energy_mae
from workbench.models.prediction import Prediction
from workbench.models.twostage import TwoStageModel

__all__ = ["Check", "Estimate", "calibrate", "can_check", "check", "errors_by_quantity"]

COVERAGE = 0.68
"""Probability that an interval holds the true error, on molecules like those of validation."""

_QUANTITIES = ("matrix", "occupied levels", "gap")

_TOO_LARGE = 2.0  # times the error that nine of ten validation molecules stay below
_FEWEST = 20  # geometries; with fewer the ends of an interval are guesses


@dataclass(frozen=True)
class Estimate:
    """The estimate of an error and its interval, which holds the true error in 68 % of cases.

    Attributes:
        value: median estimate, meV.
        low: lower end of the interval, meV.
        high: upper end, meV.
    """

    value: float
    low: float
    high: float

    def holds(self, error: float) -> bool:
        """Whether an error in meV lies in the interval.

        >>> from workbench.evaluation.self_consistency import Estimate
        >>> Estimate(1.0, 0.8, 1.5).holds(1.2)
        True
        """
        return self.low <= error <= self.high

    def __str__(self) -> str:
        return f"{_short(self.value, 3)} meV ({_short(self.low)} to {_short(self.high)})"


@dataclass(frozen=True, eq=False)
class Check:
    """A prediction after one step of self-consistency.

    Attributes:
        estimates: "matrix", "occupied levels" and "gap" -> the estimated error; without "gap" where
            all orbitals are occupied, or the calibration had no molecule with a gap.
        residuals: the same names -> difference between F[P] and the prediction, meV, from which the
            estimates follow.
        gap: predicted HOMO-LUMO gap, eV; None where all orbitals are occupied.
        verdict: a sentence.
        usable: whether the estimated error of the matrix is at most twice the one that nine of ten
            validation molecules stay below.
        step: Fock matrix, total energy, dipole and charges of the predicted density.
    """

    estimates: Mapping[str, Estimate]
    residuals: Mapping[str, float]
    gap: float | None
    verdict: str
    usable: bool
    step: FockStep

    def to_json(self) -> dict[str, Any]:
        """JSON-able; keys carry units."""
        named = {
            f"{name.replace(' ', '_')}_error_mev": [e.value, e.low, e.high]
            for name, e in self.estimates.items()
        }
        return named | {
            "gap_ev": self.gap,
            "total_energy_ev": self.step.energy,
            "dipole_debye": self.step.dipole.tolist(),
            "mulliken_charges": self.step.charges.round(4).tolist(),
            "verdict": self.verdict,
            "usable": self.usable,
        }


def can_check(model: Any, atoms: Atoms) -> bool:
    """Whether `check` estimates the error of this model's prediction for these atoms.

    That needs a model with a calibration, which has no spin, and a molecule.

    >>> from workbench.evaluation.self_consistency import can_check
    >>> can_check(wb.load_model("mm-mini"), wb.load("mos2"))
    False
    """
    return "calibration" in getattr(model, "info", {}) and not atoms.pbc.any()


def check(model: TwoStageModel, atoms: Atoms, prediction: Prediction | None = None) -> Check:
    """Estimate the error of a prediction without a label, by one Fock matrix.

    Takes about two seconds for ten heavy atoms on one thread.

    Args:
        model: with a calibration, see `calibrate`.
        atoms: a closed-shell molecule.
        prediction: of this model for these atoms; None: it is made here.

    Raises:
        ValueError: for a crystal, or a model without a calibration.

    >>> model = wb.load_model("organic")
    >>> result = wb.check(model, wb.load("smiles:CC(=O)C"))  # acetone
    >>> print(result.verdict)
    The error of the matrix is about ...
    >>> result.estimates["gap"].high < 100  # meV
    True
    """
    calibration = model.info.get("calibration")
    if calibration is None:
        raise ValueError(
            "This model has no calibration: run `python -m workbench calibrate` with labelled "
            "molecules that it was not trained on."
        )
    if prediction is None:
        prediction = model.predict(atoms)
    residuals, step = _residuals(atoms, prediction.refined, calibration["settings"])
    estimates = {
        name: Estimate(residuals[name] * middle, residuals[name] * low, residuals[name] * high)
        for name, (low, middle, high) in calibration["ratios"].items()
        if name in residuals
    }
    typical = calibration["true_matrix_mae_mev"]
    H = prediction.refined
    found = gap_or_none(H, step.S, step.n_electrons)
    verdict, usable = _verdict(estimates, found, typical)
    return Check(estimates, residuals, found, verdict, usable, step)


def calibrate(
    model: TwoStageModel,
    dataset: Dataset,
    samples: Iterable[int],
    *,
    grid: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure how F[P] - H follows the true error, on labelled molecules.

    Args:
        model: starts from nothing or a guess; molecules without spin.
        dataset: with labels of the model's functional and basis.
        samples: numbers of the validation samples. The model was not trained on them.
        grid: level of the integration grid of the Fock matrices.
        progress: show a progress bar.

    Returns:
        JSON-able, for ``model.info["calibration"]``: settings of the Fock step, quantiles of
        true error / difference, quantiles of the true error, and where they were measured.

    Raises:
        ValueError: for crystals, or fewer than 20 samples.
    """
    chosen = [int(i) for i in samples]
    if dataset.periodic:
        raise ValueError(
            f"{dataset.path} holds crystals: no engine here gives the Fock matrix of a given "
            "density of a crystal cheaply, so their predictions cannot be checked."
        )
    if len(chosen) < _FEWEST:
        raise ValueError(
            f"{len(chosen)} samples are too few for an interval: give {_FEWEST} or more."
        )
    method = dataset.reference(chosen[0]).method
    settings = {
        "xc": xc_of(method),
        "grid": grid,
        "density_fitting": bool(method.get("density_fitting", False)),
    }
    rows: list[dict[str, float]] = []
    true: list[dict[str, float]] = []
    for i in tqdm(chosen, desc="calibrate", disable=not progress):
        sample = dataset[i]
        H = model.predict(sample.atoms).refined
        residuals, _ = _residuals(sample.atoms, H, settings)
        rows.append(residuals)
        true.append(errors_by_quantity(H, sample.H, sample.S, sample.n_electrons))
    tail = (1 - COVERAGE) / 2
    probabilities = [tail, 0.5, 1 - tail]
    pairs = list(zip(true, rows, strict=True))
    ratios = {
        name: np.quantile([t[name] / r[name] for t, r in pairs if name in r], probabilities)
        for name in _QUANTITIES
        if any(name in r for r in rows)  # "gap" is missing where there is no LUMO
    }
    return {
        "settings": settings,
        "ratios": {name: values.tolist() for name, values in ratios.items()},
        "true_matrix_mae_mev": np.quantile([t["matrix"] for t in true], [0.5, 0.9, 1.0]).tolist(),
        "samples": len(chosen),
        "groups": len({int(g) for g in dataset.groups[np.array(chosen)]}),
        "dataset": {"name": dataset.path.name, "sha256": dataset.hash},
    }


def errors_by_quantity(
    H: BlockMatrix, true: BlockMatrix, S: BlockMatrix, n_electrons: int
) -> dict[str, float]:
    """Errors of a Hamiltonian in the three quantities that `check` estimates, meV.

    Args:
        H: eV.
        true: the Hamiltonian to compare with, eV.
        S: overlap.
        n_electrons: number of electrons.

    Returns:
        "matrix" (mean over its elements), "occupied levels" (mean) and "gap", which is missing
        where all orbitals are occupied.
    """
    errors = {
        "matrix": matrix_errors(H, true).mae_mev,
        "occupied levels": occupied_energy_mae(H, true, S, n_electrons) * MEV,
    }
    of_gap = gap_error(H, true, S, n_electrons)
    return errors if of_gap is None else errors | {"gap": of_gap * MEV}


def _residuals(
    atoms: Atoms, H: BlockMatrix, settings: Mapping[str, Any]
) -> tuple[dict[str, float], FockStep]:
    """The differences of F[P] from H, meV, and the step."""
    step = fock_step(
        atoms,
        H,
        settings["xc"],
        settings["grid"],
        density_fitting=settings["density_fitting"],
    )
    return errors_by_quantity(H, step.F, step.S, step.n_electrons), step


def _verdict(
    estimates: Mapping[str, Estimate],
    found: float | None,
    typical: NDArray[np.float64] | list[float],
) -> tuple[str, bool]:
    """A sentence on the estimates, and whether validation molecules have such errors."""
    median, most, _ = typical
    matrix = estimates["matrix"]
    of_levels = estimates["occupied levels"]
    numbers = f"The error of the matrix is about {matrix}"
    if found is not None and "gap" in estimates:
        numbers += (
            f", that of the occupied levels {of_levels}, and that of the gap (predicted: "
            f"{found:.2f} eV) {estimates['gap']}"
        )
    else:
        numbers += f", and that of the occupied levels {of_levels}"
    if matrix.value <= most:
        return f"{numbers}: as on the validation molecules.", True
    if matrix.value <= _TOO_LARGE * most:
        return f"{numbers}: larger than on nine of ten validation molecules.", True
    return (
        f"{numbers}: more than twice that of nine of ten validation molecules ({most:.2g} meV; "
        f"median {median:.2g} meV). Do not rely on this prediction.",
        False,
    )


def _short(value: float, digits: int = 2) -> str:
    """A number with few significant digits and without a power of ten."""
    return f"{float(f'{value:.{digits}g}'):g}"
