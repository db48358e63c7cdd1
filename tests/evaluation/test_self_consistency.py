"""The error bar without a label: what the difference F[P] - H says, and how often it is right."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import workbench as wb
from workbench.evaluation.errors import matrix_errors
from workbench.evaluation.self_consistency import calibrate, check


@pytest.fixture(scope="module")
def organic():
    return wb.load_model("organic")


@pytest.fixture(scope="module")
def acetone():
    return wb.load("smiles:CC(=O)C")


def test_an_estimate_lies_in_its_interval_and_follows_the_residual(organic, acetone):
    found = check(organic, acetone)
    for name, estimate in found.estimates.items():
        low, middle, high = organic.info["calibration"]["ratios"][name]
        assert estimate.low < estimate.value < estimate.high
        assert estimate.value == pytest.approx(middle * found.residuals[name])
        assert (estimate.low, estimate.high) == pytest.approx(
            (low * found.residuals[name], high * found.residuals[name])
        )
    residual = matrix_errors(found.step.F, organic(acetone)).mae_mev
    assert found.residuals["matrix"] == pytest.approx(residual, rel=1e-9)
    assert found.usable
    assert "as on the validation molecules" in found.verdict


def test_the_check_does_not_depend_on_the_orientation(organic, acetone):
    here = check(organic, acetone)
    there = check(organic, wb.rotate(acetone, wb.rotation((1, 2, 3), 70)))
    assert there.estimates["matrix"].value == pytest.approx(
        here.estimates["matrix"].value,
        rel=0.1,  # a mean modulus depends on the axes a little
    )
    assert there.step.energy == pytest.approx(here.step.energy, abs=0.01)  # noise of the grid


def test_a_stretched_molecule_is_found_out(organic, acetone):
    for factor in (1.1, 1.2):
        stretched = acetone.copy()
        stretched.positions *= factor
        found = check(organic, stretched)
        assert not found.usable
        assert "Do not rely on this prediction" in found.verdict


def test_ghost_levels_are_found_out(organic):
    """The model's answer before it takes nearly dependent orbitals from the guess."""
    atoms = wb.load("smiles:N#Cc1ccccc1")  # benzonitrile
    kept = organic.scaling
    try:
        organic.scaling = replace(kept, kappa=torch.zeros_like(kept.kappa))
        haunted = check(organic, atoms)
    finally:
        organic.scaling = kept
    assert not haunted.usable
    assert check(organic, atoms).usable
    assert haunted.gap < 1 < check(organic, atoms).gap


def test_the_total_energy_is_above_the_self_consistent_one(organic, acetone):
    reference = wb.reference(acetone, grid=1, density_fitting=True)
    found = check(organic, acetone)
    assert 0 < found.step.energy - reference.energy < 0.1  # eV


def test_a_true_hamiltonian_has_a_residual_far_below_a_prediction(organic, acetone):
    reference = wb.reference(acetone, grid=1, density_fitting=True)
    prediction = organic.predict(acetone)
    true = replace(prediction, refined=reference.H)
    assert (
        check(organic, acetone, true).residuals["matrix"]
        < 1e-2 * check(organic, acetone).residuals["matrix"]
    )


def test_intervals_hold_the_true_errors_of_unseen_molecules_as_often_as_they_say(organic):
    """68 of 100 by construction; here 40 molecules of the test split, one geometry each."""
    with wb.Dataset("organic") as data:
        test = data.split("test")
        first_of_each = test[np.unique(data.groups[test], return_index=True)[1]][20:60]
        inside = []
        for i in first_of_each.tolist():
            sample = data[i]
            prediction = organic.predict(sample.atoms)
            estimate = check(organic, sample.atoms, prediction).estimates["matrix"]
            true = matrix_errors(prediction.refined, sample.H).mae_mev
            inside.append(estimate.low <= true <= estimate.high)
    # Of 40 intervals of 68 %, binomially, 19 to 35 hold the error in 99.7 % of all cases.
    assert 19 <= sum(inside) <= 35


def test_a_calibration_states_its_settings_and_its_data(organic):
    model = wb.load_model("ethanol")
    with wb.Dataset("ethanol") as data:
        found = calibrate(model, data, data.split("valid")[:20], progress=False)
        assert found["settings"] == {"xc": "pbe", "grid": 1, "density_fitting": False}
        assert found["samples"] == 20
        assert found["dataset"]["sha256"] == data.hash
        with pytest.raises(ValueError, match="19 samples are too few"):
            calibrate(model, data, data.split("valid")[:19], progress=False)
    for low, middle, high in found["ratios"].values():
        assert 0 < low < middle < high


def test_what_cannot_be_checked_is_refused():
    with wb.Dataset("mm-mini") as crystals, pytest.raises(ValueError, match="holds crystals"):
        calibrate(wb.load_model("mm-mini"), crystals, range(3))
    with pytest.raises(ValueError, match="no calibration"):
        check(wb.load_model("mm-mini"), wb.load("mos2"))
