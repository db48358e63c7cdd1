"""The widgets' state and wiring, without a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk
from ipywidgets.widgets.widget import _instances
from scipy.spatial.transform import Rotation

import workbench as wb
from workbench.engines.pyscf_molecules import overlap, reference
from workbench.evaluation.orientation_comparison import Experiment
from workbench.views.level_picture import level_picture, tick_values, window
from workbench.views.numbers import milli, orientation
from workbench.views.structure import SCRIPT
from workbench.widgets import Heat, RotationLab, StructureView
from workbench.widgets.orbital_pictures import OrbitalPictures
from workbench.widgets.page import Names
from workbench.widgets.parts.guard import RAISE, Guard
from workbench.widgets.parts.readout import error_table
from workbench.widgets.structure_view import bonds, bonds_across, cell_lines

STATIC = Path(wb.__file__).parent / "widgets" / "static"
TURN = wb.rotation((1, 1, 0), 40)
pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture(scope="module")
def ref(water):
    return reference(water, basis="sto-3g", xc="hf")


@pytest.fixture(scope="module")
def model(ref):
    """Two stages that need no training: the overlap is exactly equivariant, a constant is not."""

    def predict(atoms):
        exact = overlap(atoms, ref.H.basis)
        return SimpleNamespace(baseline=exact, refined=exact + 0.01 * ref.H)

    return SimpleNamespace(predict=predict)


@pytest.fixture
def lab(water, model, ref):
    made = RotationLab(water, model=model, reference=ref)
    yield made
    made.close()


def receive(view, content):
    """What the browser would send."""
    view._receive(view, content, [])


def turn_message(R, **more):
    quaternion = Rotation.from_matrix(R).as_quat().tolist()
    return {"kind": "turn", "view": "v", "tick": 1, "quaternion": quaternion, **more}


# ---- the package ----------------------------------------------------------------------------


def test_widgets_load_neither_torch_nor_pyscf_nor_plotly():
    heavy = "{'torch', 'pyscf', 'plotly', 'e3nn'}"
    code = f"import sys, workbench.widgets; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_3dmol_is_shipped_once_and_sent_once(water):
    shipped = Path(wb.__file__).parent.rglob("*.js")
    copies = [path for path in shipped if "createViewerGrid" in path.read_text()]
    assert copies == [SCRIPT]
    views = [StructureView(water), StructureView(water), OrbitalPictures(water)]
    assert len({view.script for view in views}) == 1
    assert views[0].script.text == SCRIPT.read_text()
    sent = [len(json.dumps(view.get_state(), default=str)) for view in views]
    assert max(sent) < 40_000
    assert views[0].get_state()["script"] == f"IPY_MODEL_{views[0].script.model_id}"


def test_the_script_comes_again_after_it_was_closed(water):
    first = StructureView(water).script
    first.close()
    again = StructureView(water).script
    assert first.comm is None
    assert again.comm is not None


# ---- StructureView --------------------------------------------------------------------------


def test_bonds_and_cell_of_known_structures(water):
    assert bonds(water) == [(0, 1), (0, 2)]
    assert cell_lines(water) == []
    lines = np.array(cell_lines(bulk("Si", cubic=True)))
    assert lines.shape == (12, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1), 5.43)
    assert bonds_across(water) == []
    stubs = np.array(bonds_across(bulk("Si")))  # two atoms, each with three of its four bonds
    assert stubs.shape == (6, 2, 3)
    half = 5.43 * np.sqrt(3) / 8
    np.testing.assert_allclose(np.linalg.norm(stubs[:, 1] - stubs[:, 0], axis=1), half)


def test_a_turn_is_acknowledged_after_the_callbacks(water, monkeypatch):
    view, events = StructureView(water), []
    monkeypatch.setattr(view, "send", lambda content: events.append(content["kind"]))
    view.on_turn(lambda R, moving: events.append((R, moving)))
    receive(view, turn_message(TURN, moving=True))
    (R, moving), answer = events
    np.testing.assert_allclose(R, TURN, atol=1e-12)
    assert moving is True
    assert answer == "ack"


def test_a_failing_callback_is_acknowledged_too(water, monkeypatch):
    view, sent = StructureView(water), []
    monkeypatch.setattr(view, "send", sent.append)
    view.on_turn(lambda R, moving: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        receive(view, turn_message(TURN))
    assert sent == [{"kind": "ack", "view": "v", "tick": 1}]


def test_a_new_view_is_told_the_present_orientation(water, monkeypatch):
    view, sent = StructureView(water), []
    view.turn_to(wb.rotation((0, 0, 1), 90))
    monkeypatch.setattr(view, "send", sent.append)
    receive(view, {"kind": "hello"})
    np.testing.assert_allclose(sent[0]["quaternion"], [0, 0, 0.5**0.5, 0.5**0.5])


# ---- Heat -----------------------------------------------------------------------------------


def test_heat_sends_the_matrix_row_by_row_with_names(ref):
    heat = Heat([ref.H, ref.S], ["H", "S"])
    np.testing.assert_allclose(heat.painted()[0], ref.H.dense(), rtol=1e-6)
    assert heat.rows["atoms"] == ["O1", "H2", "H3"]
    assert heat.rows["borders"] == [0, 5, 6, 7]
    assert heat.rows["orbitals"][:3] == ["1s", "2s", "2py"]
    assert heat.limit >= ref.H.max_abs()


def test_heat_scales_leaves_gaps_and_counts(ref):
    heat = Heat([np.eye(2), None], ["a", "b"], factor=1000.0, limit=5)
    first = heat.sequence
    heat.show([2 * np.eye(2), None], tick=7)
    assert (heat.sequence, heat.tick, heat.limit) == (first + 1, 7, 5)
    assert heat.painted()[0, 0, 0] == 2000
    assert np.isnan(heat.painted()[1]).all()


@pytest.mark.parametrize("wrong", [[np.eye(2), np.eye(3)], [np.eye(2)], [np.zeros((2, 2, 2))] * 2])
def test_heat_refuses_what_it_cannot_show(wrong):
    with pytest.raises(ValueError, match=r"Heat shows"):
        Heat([np.eye(2), np.eye(2)], ["a", "b"]).show(wrong)


# ---- Experiment -----------------------------------------------------------------------------


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


# ---- texts and pictures ---------------------------------------------------------------------


def test_the_level_diagram_stands_still_exactly_when_the_levels_do(water, model, ref):
    experiment = Experiment(water, model, ref)
    before = experiment.upright.levels

    def picture(name):
        now = {name: experiment.at(TURN).levels[name]}
        return level_picture(now, before, 5, {name: 0.0})

    unmoved = level_picture({"baseline": before["baseline"]}, before, 5, {"baseline": 0.0})
    assert picture("baseline") == unmoved
    assert picture("refined") != level_picture(
        {"refined": before["refined"]}, before, 5, {"refined": 0.0}
    )


def test_the_window_leaves_the_core_out_and_ticks_are_round():
    low, high = window(np.array([-510.0, -25, -13, -7, 1, 20, 400]), 4)
    assert -30 < low < -25
    assert 20 < high < 30
    assert tick_values(-26, 21) == [-20, -10, 0, 10, 20]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2e-10, "2e−10"),
        (2.1e-4, "2e−4"),
        (0.187, "0.187"),
        (0.0421, "0.042"),
        (12.34, "12.3"),
        (150, "150"),
    ],
)
def test_milli_electron_volts_are_short(value, text):
    assert milli(value) == text


def test_orientations_in_words():
    assert orientation(np.eye(3)) == "not turned"
    assert orientation(TURN) == "40.0° about (0.71, 0.71, 0.00)"


def test_the_table_has_a_row_per_stage_and_the_floor(water, model, ref):
    experiment = Experiment(water, model, ref)
    table = error_table(experiment.at(TURN), experiment.recompute(TURN))
    for word in ("baseline", "refined", "DFT floor", "measured 40.0°"):
        assert word in table


# ---- RotationLab ----------------------------------------------------------------------------


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


def test_differences_are_to_the_reference_or_to_the_turned_prediction(lab):
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
    assert lab.matrices.notes[0] == "turned: D H Dᵀ"
    lab.button.click()
    assert "recomputed here" in lab.matrices.notes[0]
    assert "measured 40.0°" in lab.errors.value
    assert lab.button.disabled is False
    lab.turn_to(np.eye(3))
    assert lab.matrices.notes[0] == "turned: D H Dᵀ"


def test_the_text_twin_follows(lab):
    lab.turn_to(TURN)
    assert "40.0° about (0.71, 0.71, 0.00)" in lab.view.announcement
    assert "refined: breaks the rotation law by" in lab.view.announcement


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


def test_closing_leaves_no_widget_behind(water, model, ref):
    before = set(_instances)
    made = RotationLab(water, model=model, reference=ref)
    assert set(_instances) - before
    made.close()
    assert set(_instances) == before


# ---- errors ---------------------------------------------------------------------------------


def test_an_error_becomes_a_sentence_and_is_raised_in_tests(water, ref):
    def fragile(atoms):
        if abs(atoms.positions - water.positions).max() > 1:
            raise ValueError("This <toy> cannot be turned so far.")
        return ref.H

    made = RotationLab(water, predictors={"fragile": fragile}, reference=ref)
    with pytest.raises(ValueError, match="so far"):
        made.controls.preset("180° y")
    assert "This &lt;toy&gt; cannot be turned so far." in made.guard.panel.value
    made.controls.preset("identity")
    assert made.guard.panel.value == ""
    made.close()


def test_without_tests_the_page_lives_on(monkeypatch):
    monkeypatch.delenv(RAISE)
    guard = Guard()
    guard(lambda: {}["key"])()
    assert "KeyError" in guard.panel.value


def test_a_lab_names_its_controls(lab):
    """What puts the names there is in the lab; tests/browser reads them on the page."""
    assert any(isinstance(widget, Names) for widget in lab.children[0].children)
