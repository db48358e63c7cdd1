"""Numbers of Python for the tests of the browser's side, which must find the same ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import workbench as wb
from tests.support.networks import SMALL, distorted_ethanol, random_model, refining_model
from workbench.engines.dispatch import by_method
from workbench.evaluation.orientation_comparison import Experiment
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
    """What Python finds at one orientation, by predictor: matrices and levels in eV, errors in meV.

    A stage that the page rotates has the rotated prediction, and with it no error of the rotation
    law: Python's own prediction differs from it by the rounding of the network.
    """
    snapshot = experiment.at(R)
    model = experiment.model
    found: dict[str, Any] = {"R": R.tolist()}
    for name in experiment.names:
        turned = name == "baseline" or model.is_local
        found[name] = {
            "matrix": (snapshot.turned if turned else snapshot.predictions)[name].dense().tolist(),
            "errors": _pair(snapshot.errors.get(name)),
            "gauge_free": _pair(snapshot.gauge_free.get(name)),
            "symmetry": _pair(snapshot.symmetry[name]),
            "inversion": _pair(experiment.inversion[name]),
            "shift": 1000 * snapshot.shifts.get(name, np.nan),
        }
    found["levels"] = {name: energies.tolist() for name, energies in snapshot.levels.items()}
    assert snapshot.reference is not None
    found["reference"] = snapshot.reference.dense().tolist()
    return found


def experiment_of(name: str) -> Experiment:
    """A bundled molecule with the model of its name and its reference by the model's method."""
    model, atoms = wb.load_model(name), wb.load(name)
    return Experiment(atoms, model, by_method(atoms, model.info["method"]))


def _pair(errors: Any) -> list[float] | None:
    return None if errors is None else [errors.mae_mev, errors.max_mev]


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
