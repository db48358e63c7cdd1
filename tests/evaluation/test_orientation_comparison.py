"""Reference and predictions at one orientation, computed without a widget."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.evaluation.errors import matrix_errors
from workbench.evaluation.orientation_comparison import Experiment

TURN = wb.rotation((1, 1, 0), 40)


def test_an_equivariant_stage_shows_no_symmetry_error_and_a_constant_does(water, model, ref):
    experiment = Experiment(water, model, ref)
    snapshot = experiment.at(TURN)
    assert snapshot.symmetry["baseline"].max_mev < 1e-8
    assert snapshot.symmetry["refined"].max_mev > 1
    drift = experiment.drift_mev(snapshot)
    assert drift["reference"] < 1e-7
    assert drift["baseline"] < 1e-7
    assert drift["refined"] > 1
    assert experiment.n_occupied == 5


def test_the_recomputed_reference_is_used_at_its_orientation_only(water, model, ref):
    experiment = Experiment(water, model, ref)
    floor = experiment.recompute(TURN)
    assert floor.errors.max_mev < 1e-3  # Hartree-Fock has no grid: only the SCF threshold is left
    assert experiment.at(TURN).recomputed
    assert not experiment.at(np.eye(3)).recomputed
    assert 0 < floor.inversion.max_mev < 1e-3
    assert experiment.recompute(np.eye(3)).inversion is floor.inversion  # computed once


def test_the_inversion_of_a_model_of_one_hand(water, one_handed):
    experiment = Experiment(water, one_handed)
    assert experiment.at(TURN).symmetry["refined"].max_mev < 1e-3
    assert experiment.inversion["baseline"].max_mev < 1e-6
    assert experiment.inversion["refined"].mae_mev > 100


def test_an_equivariant_stage_has_the_same_shift_at_every_orientation(water, model, ref):
    experiment = Experiment(water, model, ref)
    upright, turned = experiment.at(np.eye(3)), experiment.at(TURN)
    H, S = turned.predictions["baseline"], ref.S.rotate(TURN)
    assert turned.shifts["baseline"] == pytest.approx(upright.shifts["baseline"], rel=1e-9)
    assert turned.shifts["baseline"] != 0
    without = H - turned.shifts["baseline"] * S
    assert turned.gauge_free["baseline"] == matrix_errors(without, ref.H.rotate(TURN))
    assert turned.gauge_free["baseline"] != turned.errors["baseline"]


def test_levels_need_no_reference(water, ref):
    experiment = Experiment(water, predictors={"fixed": lambda atoms: ref.H})
    np.testing.assert_allclose(
        experiment.upright.levels["fixed"], wb.levels(ref.H, ref.S), atol=1e-8
    )
    assert experiment.at(TURN).difference("fixed", "turned").max_abs() > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to show"),
        ({"reference": True, "predictors": {"reference": abs}}, "taken"),
        ({"reference": True, "other": True}, "other atoms"),
    ],
)
def test_senseless_labs_are_refused(water, ref, arguments, message):
    atoms = wb.load("ammonia") if arguments.pop("other", False) else water
    if arguments.get("reference"):
        arguments["reference"] = ref
    with pytest.raises(ValueError, match=message):
        Experiment(atoms, **arguments)
