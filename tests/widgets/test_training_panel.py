"""The training panel without a browser: buttons, pictures, words, and errors that are shown."""

import re
from dataclasses import replace

import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from tests.support.short_training import CONFIG, HOW, RARE, assert_same, until
from workbench.models.checkpoint import load_model
from workbench.training.background import LiveTraining
from workbench.training.config import Budget, TrainingError
from workbench.training.curves import Curves, Point
from workbench.views.numbers import milli
from workbench.views.training_plot import error_plot, symmetry_plot
from workbench.widgets import TrainingPanel


@pytest.fixture(scope="module")
def undisturbed(tiny_path, tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    with wb.Dataset(tiny_path) as dataset:
        list(wb.train(CONFIG, dataset, RARE, directory))
    return directory


@pytest.fixture
def panel(tiny, tmp_path):
    made = TrainingPanel(CONFIG, tiny, RARE, tmp_path / "run")
    yield made
    made.stop()
    made.close()


def enabled(panel):
    return {name for name, button in panel.buttons.items() if not button.disabled}


def test_the_panel_says_what_a_short_cutoff_leaves_out(tiny):
    panel = TrainingPanel(replace(CONFIG, cutoff=1.2), tiny, replace(HOW, stage2=None))
    panel.start()
    assert panel.wait(120)
    assert "cutoff of 1.2 A leaves out" in panel.status.value  # the hydrogens of water, 1.5 A
    panel.close()


def test_buttons_start_pause_go_on_and_stop_to_the_bits_of_an_undisturbed_run(panel, undisturbed):
    assert enabled(panel) == {"Start"}
    assert "Ready" in panel.status.value
    panel.buttons["Start"].click()
    assert enabled(panel) == {"Pause", "Stop"}
    until(panel.run, 3)
    panel.buttons["Pause"].click()
    assert panel.wait(60)
    assert enabled(panel) == {"Resume", "Stop"}
    panel.buttons["Resume"].click()
    until(panel.run, 8)
    panel.buttons["Stop"].click()
    assert panel.wait(60)
    panel.run.stop()
    panel.refresh()
    assert enabled(panel) == {"Resume"}
    assert "on disk" in panel.status.value
    panel.buttons["Resume"].click()
    assert panel.wait(120)
    assert enabled(panel) == set()
    assert "Finished" in panel.status.value
    made = panel.run.directory / "model.safetensors"
    assert_same(undisturbed / "model.safetensors", made)
    atoms = panel.run.example
    assert (panel.model(atoms) - load_model(made)(atoms)).max_abs() == 0


def test_pictures_and_numbers_are_those_of_the_run(panel):
    panel.start()
    panel.wait()
    curves = panel.curves
    assert panel.errors.value == error_plot(curves)
    assert panel.errors.value.count("<polyline") == 4
    assert panel.symmetry.value == symmetry_plot(curves)
    solved = [p for p in curves.validation if p.solved]
    assert panel.errors.value.count('r="8.5"') == len(solved) == 2
    row = re.search(r"stages 1\+2</th>(.*?)</tr>", panel.numbers.value)[1]
    assert "100 %" in row
    assert "<td>20</td>" in row
    history = panel.model.info["history"]
    assert [p.values[0] for p in curves.validation] == [1000 * h["valid_mae_ev"] for h in history]
    values = curves.symmetry[-1].values
    for first, both in (values[:2], values[2:]):  # rotations, inversion
        assert first < 1e-3 < both
    assert panel.symmetry.value.count("<polyline") == 4
    assert row.count(f"<td>{milli(values[1])}</td><td>{milli(values[3])}</td>") == 1
    said = panel.spoken.value
    assert 'aria-live="polite"' in said
    assert "stage 2, step 20 with solved readouts: validation error" in said
    assert "Equivariance error of stage 1: rotations" in said
    assert f"Equivariance error of both: rotations {milli(values[1])} meV, inversion" in said


def test_a_run_that_an_older_version_began_has_no_errors_under_inversion(panel):
    run = panel.run
    run.curves.losses.append(Point(1, 5, 2.0, (3.0,)))
    run.curves.symmetry.append(Point(1, 5, 2.0, (1e-6, 0.5)))
    panel.refresh()
    assert panel.symmetry.value.count("<polyline") == 2
    row = re.search(r"stages 1\+2</th>(.*?)</tr>", panel.numbers.value)[1]
    assert f"<td>{milli(0.5)}</td><td>–</td>" in row


def test_a_folder_below_the_working_one_is_named_from_there(panel, tmp_path, monkeypatch):
    panel.start()
    panel.wait()
    assert f"{tmp_path}/run/model.safetensors" in panel.status.value
    monkeypatch.chdir(tmp_path)
    panel.refresh()
    assert "and run/model.safetensors" in panel.status.value


def test_a_model_asked_for_early_says_so_and_one_underway_predicts(panel):
    with pytest.raises(TrainingError, match="before the first step"):
        _ = panel.model
    panel.start()
    until(panel.run, 2)
    underway = panel.model
    assert underway.info["dataset"]["name"] == "tiny.h5"
    assert underway.outside_domain(wb.load("methane")) is not None
    assert underway(panel.run.example).max_abs() > 0


def test_an_error_is_shown_and_raised_by_wait(tiny_path, tmp_path, monkeypatch):
    place = tmp_path / "tiny.h5"
    place.write_bytes(tiny_path.read_bytes())
    panel = TrainingPanel(CONFIG, place, RARE)
    place.unlink()
    panel.start()
    with pytest.raises(Exception, match=r"tiny\.h5"):
        panel.wait(60)
    panel.refresh()
    assert 'role="alert"' in panel.guard.panel.value
    assert "tiny.h5" in panel.guard.panel.value
    assert enabled(panel) == {"Start"}
    place.write_bytes(tiny_path.read_bytes())
    panel.buttons["Start"].click()
    assert panel.wait(120)
    assert panel.guard.panel.value == ""
    panel.close()


def test_a_second_panel_on_a_directory_shows_the_same_run(panel, tiny):
    panel.start()
    until(panel.run, 2)
    second = TrainingPanel(CONFIG, tiny, RARE, panel.run.directory)
    assert second.run is panel.run
    second.close()
    panel.stop()
    third = TrainingPanel(CONFIG, tiny, RARE, panel.run.directory)
    assert third.run is not panel.run
    assert enabled(third) == {"Resume"}
    assert third.errors.value.count("<polyline") >= 1
    third.close()


def test_a_panel_without_stage_2_or_without_data_yet(tiny):
    made = TrainingPanel(CONFIG, tiny, replace(HOW, stage2=None))
    assert "not trained" in made.numbers.value
    assert "nothing measured yet" in made.errors.value
    assert "in memory only" in made.title.value
    made.close()


def test_a_fresh_panel_says_how_long_it_takes(tiny):
    run = LiveTraining(CONFIG, tiny, replace(HOW, stage1=Budget(steps=10**6)))
    panel = TrainingPanel(CONFIG, tiny, replace(HOW, stage1=Budget(steps=10**6)))
    panel.start()
    until(panel.run, 12)
    panel.refresh()
    assert re.search(r"about [\d.]+ (s|min|h) left, then 20 steps of stage 2", panel.status.value)
    panel.stop()
    panel.close()
    assert run.seconds_left is None


def test_many_losses_are_plotted_as_few_points_on_whole_decades():
    losses = [Point(0, k, 0.01 * k, (10.0 / k,)) for k in range(1, 5001)]
    drawn = error_plot(Curves(losses=losses))
    line = re.search(r'points="([^"]*)"', drawn)[1].split()
    assert len(line) == 240
    heights = [float(p.split(",")[1]) for p in line]
    assert heights == sorted(heights)
    assert ">0.001</text>" in drawn
    assert ">10</text>" in drawn


def test_closing_leaves_no_widget_behind(tiny):
    before = set(_instances)
    made = TrainingPanel(CONFIG, tiny, HOW)
    made.close()
    assert set(_instances) == before
