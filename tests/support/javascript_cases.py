"""Numbers of Python for the tests of the browser's side, which must find the same ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import workbench as wb
from tests.support.networks import SMALL, distorted_ethanol, random_model, refining_model
from workbench.engines.dispatch import by_method
from workbench.evaluation.energy_zero import energy_shift, gauge_free_errors
from workbench.evaluation.errors import Errors, matrix_errors
from workbench.evaluation.orientation_comparison import Experiment
from workbench.hamiltonians.eigenproblem import levels
from workbench.hamiltonians.rotations import random_rotations, rotation_from_quaternion
from workbench.hamiltonians.wigner import wigner_d
from workbench.structures.loading import rotate
from workbench.views.numbers import milli, milli_signed
from workbench.views.page_data import page_data

_LMAX = 6
_NUMBERS = (
    0,
    3e-7,
    4.4e-5,
    0.00099,
    0.001,
    0.0421,
    0.0999,
    0.1,
    0.9996,
    9.995,
    12.34,
    999.6,
    54321,
)


def cases() -> dict[str, Any]:
    """All cases, JSON-able."""
    return {
        "wigner": [_wigner(R) for R in random_rotations(4, 5, improper="half")],
        "quaternions": [_quaternion(q) for q in np.random.default_rng(1).normal(size=(5, 4))],
        "numbers": [[x, milli(x), milli_signed(-x)] for x in _NUMBERS],
        "levels": [_levels(n) for n in (1, 2, 7, 24)],
        "experiments": {"water": _water()},
        "corrections": {
            "atoms and guess": _correction(replace(SMALL, guess="atoms"), solved=False),
            "solved readouts": _correction(replace(SMALL, guess="none"), solved=True),
            "geometry only": _correction(
                replace(SMALL, guess="none", refiner_features=False, refiner_baseline=False),
                solved=False,
            ),
        },
    }


def snapshot_numbers(experiment: Experiment, R: np.ndarray) -> dict[str, Any]:
    """What Python finds at R: by predictor H and the shift in eV and errors in meV; levels in eV.

    A stage that obeys the rotation law by construction has the rotated prediction: the network's
    own answer differs from it by rounding, which `rounding_mev` measures.
    """
    reference, S = experiment.reference, experiment.overlap
    assert reference is not None
    assert S is not None
    truth, S = reference.H.rotate(R), S.rotate(R)
    exact = exact_stages(experiment)
    fresh = {} if "refined" in exact else experiment.predict(rotate(experiment.atoms, R))
    found: dict[str, Any] = {"R": R.tolist(), "reference": truth.dense().tolist()}
    found["levels"] = {"reference": levels(truth, S).tolist()}
    for name, upright in experiment.upright.predictions.items():
        turned = upright.rotate(R)
        H = turned if name in exact else fresh[name]
        found["levels"][name] = levels(H, S).tolist()
        found[name] = {
            "matrix": H.dense().tolist(),
            "shift": energy_shift(H, truth, S),
            "errors": _pair(matrix_errors(H, truth)),
            "gauge_free": _pair(gauge_free_errors(H, truth, S)),
            "symmetry": _pair(matrix_errors(H, turned)),
            "inversion": [0.0, 0.0]
            if _inverts(experiment, name)
            else _pair(experiment.inversion[name]),
        }
    return found


def exact_stages(experiment: Experiment) -> list[str]:
    """The predictors that obey the rotation law by construction."""
    return ["baseline", "refined"] if experiment.model.is_local else ["baseline"]


def rounding_mev(experiment: Experiment, R: np.ndarray) -> float:
    """The largest error of the rotation law of the exact stages, meV: rounding of the networks."""
    symmetry = experiment.at(R).symmetry
    return max(symmetry[name].max_mev for name in exact_stages(experiment))


def _inverts(experiment: Experiment, name: str) -> bool:
    """Whether a predictor is exact under inversion by construction."""
    model = experiment.model
    return name == "baseline" or (model.is_local and model.averages_inversion)


def experiment_of(name: str) -> Experiment:
    """A bundled molecule with the model of its name and its reference by the model's method."""
    model, atoms = wb.load_model(name), wb.load(name)
    return Experiment(atoms, model, by_method(atoms, model.info["method"]))


def _pair(errors: Errors) -> list[float]:
    return [errors.mae_mev, errors.max_mev]


def _water() -> dict[str, Any]:
    experiment = experiment_of("water")
    at = [snapshot_numbers(experiment, R) for R in random_rotations(3, 7)]
    return {"data": page_data(experiment), "at": at}


def _wigner(R: np.ndarray) -> dict[str, Any]:
    return {"R": R.tolist(), "D": [wigner_d(l, R).tolist() for l in range(_LMAX + 1)]}


def _quaternion(q: np.ndarray) -> dict[str, Any]:
    return {"q": q.tolist(), "R": rotation_from_quaternion(q).tolist()}


def _levels(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    H, S = rng.normal(size=(2, n, n))
    H, S = 10 * (H + H.T), S @ S.T + np.eye(n)
    H[: n // 2, : n // 2] = 0.0  # equal levels, and zeros beside the diagonal
    from scipy.linalg import eigvalsh

    return {"n": n, "H": H.tolist(), "S": S.tolist(), "levels": eigvalsh(H, S).tolist()}


def _correction(config: Any, solved: bool) -> dict[str, Any]:
    """An untrained model in the global frame: what the page reads, and the correction at R x."""
    model = (random_model if solved else refining_model)(config).to(torch.float64)
    if solved:
        torch.manual_seed(3)
        for head in (model.refiner.node_head, model.refiner.pair_head):
            head.readout.adopt([torch.randn_like(head.readout.solution_0)])
    atoms = distorted_ethanol()
    data = page_data(Experiment(atoms, model))
    R = random_rotations(1, 9, improper="all")[0]
    correction = model(rotate(atoms, R)) - model.stage2_input(rotate(atoms, R)).base
    return {"stage2": data["stage2"], "R": R.tolist(), "correction": correction.dense().tolist()}
