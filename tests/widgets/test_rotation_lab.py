"""RotationLab without a browser: its state and callbacks."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from tests.support.live_views import receive, turn_message
from workbench.evaluation.orientation_comparison import Experiment
from workbench.evaluation.self_consistency import check
from workbench.views.numbers import milli
from workbench.widgets import RotationLab
from workbench.widgets.page import Names
from workbench.widgets.parts.readout import error_table, summary

STATIC = Path(wb.__file__).parent / "widgets" / "static"
TURN = wb.rotation((1, 1, 0), 40)
pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture
def lab(water, model, ref):
    made = RotationLab(water, model=model, reference=ref)
    yield made
    made.close()


def test_the_table_has_a_row_per_stage_and_the_floor(water, model, ref):
    experiment = Experiment(water, model, ref)
    snapshot, floor = experiment.at(TURN), experiment.recompute(TURN)
    table = error_table(snapshot, experiment.inversion, floor)
    for word in ("baseline", "refined", "DFT floor", "measured 40.0°", "rotation", "inversion"):
        assert word in table
    [(mean, largest)] = re.findall(r"DFT floor</th>(.*?)</tr>(.*?)</tr>", table)
    assert mean.endswith(f"<td>{milli(floor.inversion.mae_mev)}</td>")
    assert largest.endswith(f"<td>{milli(floor.inversion.max_mev)}</td>")


def test_a_stage_2_of_one_hand_shows_in_every_orientation(water, one_handed):
    calls = []

    def counted(atoms):
        calls.append(atoms)
        return one_handed.predict(atoms)

    made = RotationLab(water, SimpleNamespace(predict=counted))
    wrong = made.experiment.inversion["refined"]
    shown = [f"<td>{milli(error)}</td></tr>" for error in (wrong.mae_mev, wrong.max_mev)]
    assert wrong.mae_mev > 100
    before = len(calls)
    for degrees in (0, 40, 80):
        made.turn_to(wb.rotation((1, 1, 0), degrees))
        assert made.snapshot.symmetry["refined"].max_mev < 1e-3
        assert all(cell in made.errors.value for cell in shown)
        assert f"{milli(wrong.mae_mev)} meV under inversion" in made.view.announcement
    assert len(calls) == before + 3  # one prediction for each orientation, as before
    made.close()


def test_the_table_tells_a_shifted_zero_of_energy_from_an_error(water, ref):
    """H + mu S: a large error against the reference, and none without the shift by mu."""
    shifted = ref.H + 0.25 * ref.S
    experiment = Experiment(water, reference=ref, predictors={"shifted": lambda atoms: shifted})
    snapshot = experiment.at(np.eye(3))
    mean = f"{250 * ref.S.mae():.1f}"
    table = error_table(snapshot, experiment.inversion, None)
    means, largest = (
        row.split("<td>")[1:] for row in table.split("shifted</th>")[1].split("</tr>")[:2]
    )
    assert [cell.removesuffix("</td>") for cell in (means[0], largest[0])] == [mean, "250"]
    assert "Shift μ of the zero of energy: shifted +250 meV" in table
    assert snapshot.gauge_free["shifted"].mae_mev < 1e-9
    sentence = summary(snapshot, experiment.inversion, {})
    assert f"error against the reference {mean} meV on average" in sentence
    assert "without a shift of the zero of energy by +250 meV" in sentence


def test_every_way_of_turning_turns_everything(lab, ref):
    lab.controls.buttons["40° (1,1,0)"].click()
    np.testing.assert_allclose(lab.rotation, TURN, atol=1e-12)
    np.testing.assert_allclose(lab.view.rotation, TURN, atol=1e-12)
    np.testing.assert_allclose(lab.matrices.painted()[0], ref.H.rotate(TURN).dense(), atol=1e-4)
    assert lab.controls.angle.value == pytest.approx(40)
    receive(lab.view, turn_message(wb.rotation((0, 0, 1), 70), moving=False))
    assert lab.controls.angle.value == pytest.approx(70)
    assert lab.matrices.tick == lab.differences.tick == 1
    lab.controls.angle.value = 90
    np.testing.assert_allclose(lab.rotation, wb.rotation((0, 0, 1), 90), atol=1e-12)
    lab.reset_button.click()
    np.testing.assert_allclose(lab.rotation, np.eye(3))


def test_a_slider_echoing_its_rounded_value_turns_nothing(lab):
    exact = wb.rotation((0.3, -0.2, 0.9), 33.3)
    lab.turn_to(exact)
    for slider in lab.controls.sliders:
        slider.value = round(slider.value)
    np.testing.assert_array_equal(lab.rotation, exact)


def test_random_turns_are_seeded_and_reset_repeats_them(lab):
    lab.controls.preset("random")
    first = lab.rotation
    lab.reset()
    lab.controls.preset("random")
    np.testing.assert_array_equal(lab.rotation, first)


def test_a_pair_is_picked_in_the_structure_in_a_map_or_from_the_lists(lab, ref):
    lab.view.pair = [1, 0]
    assert lab.matrices.pair == lab.differences.pair == [1, 0]
    np.testing.assert_allclose(lab.block.heat.painted()[0], ref.H.block(1, 0), atol=1e-5)
    lab.matrices.pair = [2, 2]
    assert lab.block.pair == (2, 2)
    lab.block.column.value = 0
    assert lab.view.pair == [2, 0]
    assert lab.block.heat.rows["atoms"] == ["H3"]
    lab.block.quantity.value = "refined − reference"
    expected = 1000 * lab.snapshot.difference("refined").block(2, 0)
    np.testing.assert_allclose(lab.block.heat.painted()[0], expected, rtol=1e-5, atol=1e-6)
    assert lab.block.heat.unit == "meV"


def test_differences_are_to_the_reference_or_to_the_rotated_prediction(lab):
    lab.turn_to(TURN)
    assert lab.differences.titles == ["baseline − reference", "refined − reference"]
    lab.against.value = lab.against.options[1]
    baseline, refined = lab.differences.painted()
    assert np.abs(baseline).max() < 1e-6
    assert np.abs(refined).max() > 1


def test_colours_keep_their_meaning_until_the_user_changes_them(lab):
    before = lab.matrices.limit, lab.differences.limit
    lab.turn_to(TURN)
    assert (lab.matrices.limit, lab.differences.limit) == before
    lab.limit.value, lab.scale.value = 10, "linear"
    assert (lab.matrices.limit, lab.matrices.scale, lab.block.heat.limit) == (10, "linear", 10)


def test_recomputing_says_so_and_measures_the_floor(lab):
    lab.turn_to(TURN)
    assert lab.matrices.notes[0] == "rotated: D H Dᵀ"
    lab.button.click()
    assert "recomputed here" in lab.matrices.notes[0]
    assert "measured 40.0°" in lab.errors.value
    assert lab.button.disabled is False
    lab.turn_to(np.eye(3))
    assert lab.matrices.notes[0] == "rotated: D H Dᵀ"


@pytest.fixture(scope="module")
def calibrated():
    return wb.load_model("water")


def test_the_error_without_a_label_appears_and_stays_while_the_structure_turns(water, calibrated):
    made = RotationLab(water, calibrated)
    made.turn_to(TURN)
    assert made.checked is None
    made.check_panel.button.click()
    there = check(calibrated, wb.rotate(water, TURN))
    found, shown = made.checked, made.check_panel.result.value
    for name, estimate in there.estimates.items():
        assert found.estimates[name].value == pytest.approx(estimate.value, rel=1e-6)
        assert f"<td>{milli(found.estimates[name].value)}</td>" in shown
    assert found.verdict in shown
    assert f"{np.linalg.norm(there.step.dipole):.2f} D; vector" in shown
    assert "structure 40.0° about (0.71, 0.71, 0.00)" in shown
    assert f"O1\N{NO-BREAK SPACE}−{abs(there.step.charges[0]):.2f}" in shown
    assert "<th>true error</th>" not in shown
    assert made.check_panel.button.description == "Estimate the error without a label"
    assert made.check_panel.button.disabled is False
    made.turn_to(np.eye(3))
    made.reset()
    assert made.checked is found
    assert made.check_panel.result.value == shown
    made.close()


def test_the_true_error_stands_beside_the_estimate_if_a_reference_is_known(calibrated):
    with wb.Dataset("water") as data:
        i = int(data.split("test")[0])
        sample, reference = data[i], data.reference(i)
    made = RotationLab(sample.atoms, calibrated, reference)
    made.check()
    true = made.snapshot.errors["refined"].mae_mev
    inside = made.checked.estimates["matrix"].holds(true)
    words = "inside" if inside else "outside"
    shown = made.check_panel.result.value
    assert "<th>true error</th>" in shown
    assert f"<td>{milli(true)} <small>{words}</small></td>" in shown
    made.close()


def test_a_reference_of_another_functional_is_not_the_true_one(water, calibrated):
    """The errors of a model of PBE against Hartree-Fock say nothing about its estimate."""
    made = RotationLab(water, calibrated, wb.reference(water, xc="hf"))
    made.check()
    assert "<th>true error</th>" not in made.check_panel.result.value
    made.close()


def test_an_error_larger_than_any_of_validation_is_shown_as_a_warning(water, calibrated):
    stretched = water.copy()
    stretched.positions *= 1.3
    with pytest.warns(wb.DomainWarning):
        made = RotationLab(stretched, calibrated)
    with pytest.warns(wb.DomainWarning):
        made.check()
    assert not made.checked.usable
    assert 'class="wb-verdict wb-unusable"' in made.check_panel.result.value
    made.close()


def test_without_a_calibration_there_is_no_button(lab):
    assert lab.check_panel is None
    assert lab.checked is None
    with pytest.raises(ValueError, match="python -m workbench calibrate"):
        lab.check()


def test_the_text_twin_follows(lab):
    lab.turn_to(TURN)
    assert "40.0° about (0.71, 0.71, 0.00)" in lab.view.announcement
    assert "refined: equivariance error" in lab.view.announcement


@pytest.mark.parametrize("parts", ["reference", "model", "predictors", "all"])
def test_labs_with_some_parts_missing_work(water, model, ref, parts):
    available = {"reference": ref, "model": model, "predictors": {"toy": lambda atoms: ref.H}}
    chosen = available if parts == "all" else {parts: available[parts]}
    made = RotationLab(water, **chosen)
    made.turn_to(TURN)
    np.testing.assert_allclose(made.rotation, TURN, atol=1e-12)
    made.pick(1, 1)
    made.reset()
    np.testing.assert_array_equal(made.rotation, np.eye(3))
    made.close()


@pytest.mark.parametrize("checks", [False, True])
def test_closing_leaves_no_widget_behind(water, model, ref, calibrated, checks):
    before, chosen = set(_instances), calibrated if checks else model
    reference = wb.reference(water) if checks else ref
    made = RotationLab(water, model=chosen, reference=reference)
    assert set(_instances) - before
    made.close()
    assert set(_instances) == before


def test_an_error_becomes_a_sentence_and_is_raised_in_tests(water, ref):
    def fragile(atoms):
        _, y, z = atoms.positions[1]  # of one H; its inversion is allowed
        if y > 0.7 and z > 0.5:
            raise ValueError("This <toy> cannot be turned so far.")
        return ref.H

    made = RotationLab(water, predictors={"fragile": fragile}, reference=ref)
    with pytest.raises(ValueError, match="so far"):
        made.controls.preset("180° y")
    assert "This &lt;toy&gt; cannot be turned so far." in made.guard.panel.value
    made.controls.preset("identity")
    assert made.guard.panel.value == ""
    made.close()


def test_a_lab_names_its_controls(lab):
    """What puts the names there is in the lab; tests/browser reads them on the page."""
    assert any(isinstance(widget, Names) for widget in lab.children[0].children)
