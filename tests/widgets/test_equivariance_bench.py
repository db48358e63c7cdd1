"""SphereMap and TestBench without a browser: filling, stopping, picking, driving, exporting."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from workbench.course.bench import preferred_axis, without_parity
from workbench.engines.pyscf_molecules import overlap
from workbench.evaluation.rotation_errors import about
from workbench.evaluation.rotation_report import RotationReport
from workbench.views.numbers import milli
from workbench.views.style import number
from workbench.widgets.parts.background import Background
from workbench.widgets.parts.guard import RAISE

pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture(scope="module")
def exact(water):
    basis = wb.reference(water, basis="sto-3g", xc="hf").H.basis
    return lambda atoms: overlap(atoms, basis)


@pytest.fixture(scope="module")
def predictors(exact):
    return {"exact": exact, "toy": preferred_axis(exact), "no parity": without_parity(exact)}


@pytest.fixture
def sphere(water, predictors):
    made = wb.SphereMap(water, predictors=predictors, degrees=90, axes=26)
    yield made
    made.close()


@pytest.fixture
def bench(water, predictors, tmp_path):
    made = wb.TestBench(water, None, predictors, axes=26, folder=tmp_path)
    yield made
    made.close()


# ---- work in the background -------------------------------------------------------------------


def test_background_work_lets_others_run_and_can_be_stopped():
    shown, done, heard = [], [], []
    work = Background(lambda: shown.append(len(done)))

    async def page():
        import itertools

        assert work.start(step for step in itertools.count() if not done.append(step))
        for _ in range(3):
            await asyncio.sleep(0)
            await asyncio.sleep(0.03)
            heard.append(len(done))
        work.stop()
        await work.task
        assert not work.running

    asyncio.run(page())
    assert 0 < heard[0] < heard[-1]
    assert shown[-1] == len(done)
    assert not work.start(iter([1]))  # no loop runs here


def test_an_error_in_the_background_is_shown_and_ends_it(monkeypatch):
    def broken():
        yield 1
        raise ValueError("the grid is too coarse")

    async def page():
        work.start(broken())
        await work.task

    work = Background(lambda: None)
    with pytest.raises(ValueError, match="too coarse"):
        asyncio.run(page())
    monkeypatch.delenv(RAISE)
    asyncio.run(page())
    assert "the grid is too coarse" in work.guard.panel.value
    assert not work.running


# ---- SphereMap --------------------------------------------------------------------------------


def test_a_map_fills_in_the_background_and_holds_what_equivariance_measures(water, predictors):
    async def page():
        sphere = wb.SphereMap(water, predictors=predictors, axes=26)
        assert sphere.job.running
        await sphere.job.background.task
        return sphere

    sphere = asyncio.run(page())
    assert not sphere.job.running
    assert "26 of 26 axes" in sphere.job.said.value
    assert sphere.job.button.description == "compute"
    painted = np.array(sphere.canvas.values, dtype=float)
    for k in (0, 7, 25):
        R = about(sphere.axes[[k]], 90)[0]
        report = wb.equivariance(predictors, water, R)
        for name, values in zip(predictors, painted, strict=True):
            assert values[k] == pytest.approx(report[name].mae_mev, rel=1e-9, abs=1e-12)
    assert sphere.canvas.limits == [sphere.canvas.limits[0]] * 3
    assert sphere.canvas.limits[0] >= painted.max()
    sphere.close()


def test_stopping_keeps_what_is_known_and_starting_goes_on(water, predictors):
    async def page():
        sphere = wb.SphereMap(water, predictors=predictors, axes=400)
        sphere.start()  # on a busy machine 400 axes might not start by themselves
        while not sphere.known()[1]:
            await asyncio.sleep(0.01)
        sphere.job.button.click()
        assert sphere.job.button.description == "compute"
        stopped = len(sphere.known()[1])
        await asyncio.sleep(0.1)
        assert len(sphere.known()[1]) == stopped < 400
        first = sphere.known()[1][0]
        sphere.job.button.click()
        while len(sphere.known()[1]) == stopped:
            await asyncio.sleep(0.01)
        assert sphere.known()[1][0] is first
        sphere.close()

    asyncio.run(page())


def test_expensive_subjects_wait_and_say_what_they_cost(water, predictors, monkeypatch):
    async def page():
        monkeypatch.setattr("workbench.widgets.sphere_map._AT_ONCE", 0.0)
        sphere = wb.SphereMap(water, predictors=predictors, axes=100)
        assert not sphere.job.running
        assert "0 of 100 axes, about" in sphere.job.said.value
        sphere.count.value = 26
        assert "1 of 26 axes" in sphere.job.said.value
        sphere.close()

    asyncio.run(page())


def test_an_unknown_axis_is_measured_when_it_is_picked(sphere):
    assert "not computed yet" in sphere.table.value
    sphere.pick((0.9, 0.1, 0))
    np.testing.assert_allclose(sphere.picked[0], (1, 0, 0))
    assert sphere.picked[1] == 90
    assert len(sphere.known()[1]) == 1
    own = sphere.known()[1][0]["toy"]
    assert f"<td>{milli(own.mae_mev)}</td><td>{milli(own.max_mev)}</td>" in sphere.table.value
    wrong = sphere.errors.inversion["no parity"]  # a fault that no rotation shows
    assert sphere.known()[1][0]["no parity"].max_mev < 1e-9
    assert f"<td>{milli(wrong.mae_mev)}</td><td>{milli(wrong.max_mev)}</td>" in sphere.table.value
    assert f"{milli(wrong.mae_mev)} under inversion" in sphere.canvas.announcement
    assert "90° about (1.00, 0.00, 0.00)" in sphere.canvas.announcement
    sphere.run()
    sphere.pick_worst()
    worst = max(float(v.max()) for v in sphere.values.values())
    assert max(v[sphere.canvas.chosen] for v in sphere.values.values()) == worst


def test_angle_operations_measure_and_colours(sphere):
    sphere.run()
    before = sphere.values["toy"]
    sphere.angle.value = 45
    assert np.isnan(sphere.values["toy"]).sum() == 25  # the picked axis follows at once
    assert sphere.picked[1] == 45
    sphere.angle.value = 90
    np.testing.assert_array_equal(sphere.values["toy"], before)  # nothing is computed twice
    sphere.measure.value = "largest"
    assert (sphere.values["toy"][before > 1e-9] > before[before > 1e-9]).all()
    sphere.colours.value = "separate scales"
    assert sphere.canvas.limits[1] == sphere.values["toy"].max()
    sphere.shape.value = "globe"
    assert sphere.canvas.shape == "globe"
    sphere.operations.value = "rotations + inversion"
    sphere.run()
    np.testing.assert_allclose(sphere.rotation, -about(sphere.axes[[0]], 90)[0])
    assert sphere.values["no parity"].min() > 1
    assert "x → −x" in sphere.table.value


def test_a_lab_is_driven_by_what_is_picked(water, exact, sphere):
    lab = wb.RotationLab(water, predictors={"exact": exact})
    sphere.drive(lab)
    sphere.pick((0, 1, 1))
    np.testing.assert_allclose(lab.rotation, sphere.rotation, atol=1e-12)
    assert lab.controls.angle.value == pytest.approx(90)
    np.testing.assert_allclose(lab.view.rotation, sphere.rotation, atol=1e-12)
    sphere.operations.value = "rotations + inversion"
    still = lab.rotation
    sphere.pick((0, 0, 1))
    np.testing.assert_array_equal(lab.rotation, still)
    lab.close()


# ---- TestBench --------------------------------------------------------------------------------


def test_what_is_picked_turns_the_structure_and_fills_the_tables(bench):
    bench.sphere.pick((1, 0, 0))
    np.testing.assert_allclose(bench.rotation, wb.rotation((1, 0, 0), 90), atol=1e-12)
    np.testing.assert_allclose(bench.view.rotation, bench.rotation, atol=1e-12)
    toy = bench.errors.under([bench.rotation])[0]["toy"]
    assert f"<td>{milli(toy.mae_mev)}</td><td>{milli(toy.max_mev)}</td>" in bench.table.value
    assert f"<b>{milli(toy.shell_pairs[1, 1][0])}</b>" in bench.shells.value
    assert bench.shells.value.count("<b>") == len(bench.errors.names)
    inverted = bench.errors.inversion["no parity"]
    assert inverted.mae_mev > 0.1
    assert f"<td>{milli(inverted.mae_mev)}</td><td>{milli(inverted.max_mev)}</td>" in (
        bench.table.value
    )
    assert ">rotation</th>" in bench.table.value
    bench.sphere.operations.value = "rotations + inversion"
    assert ">rotation + inversion</th>" in bench.table.value
    np.testing.assert_allclose(bench.rotation, -wb.rotation((1, 0, 0), 90), atol=1e-12)
    wrong = bench.errors.under([bench.rotation])[0]["no parity"]
    assert milli(wrong.max_mev) in bench.table.value
    assert "x → −x" in bench.table.value


def test_random_rotations_one_axis_and_the_worst(bench):
    bench.random.samples.value = 6
    bench.random.job.run()
    assert "6 random rotations, seed 0" in bench.random.picture.value
    inverted = number(bench.errors.inversion["no parity"].mae_mev)
    assert f"inversion {inverted} meV" in bench.random.picture.value
    bench.sphere.pick((0, 1, 0))
    bench.axis.job.run()
    assert "Rotations about (0.00, 1.00, 0.00)" in bench.axis.picture.value
    assert f"inversion {inverted} meV" in bench.axis.picture.value
    turned = bench.axis.series.values("mean")["toy"]
    assert turned[18] == pytest.approx(0, abs=1e-9)  # a half turn across the preferred axis
    assert turned[5] > 0.1
    bench.worst.predictor.value, bench.worst.samples.value = "toy", 5
    bench.worst.job.run()
    assert bench.worst.finished
    assert bench.worst.step.worst >= max(bench.random.series.values("mean")["toy"][:5])
    assert "Done, after" in bench.worst.said.value
    assert f"followed by x → −x: {milli(bench.worst.step.inverted)} meV" in bench.worst.said.value
    alone = bench.errors.inversion["toy"].mae_mev
    assert f"Inversion alone: {milli(alone)} meV" in bench.worst.said.value
    assert alone < 1e-9  # u u^T is even
    bench.worst.button.click()
    np.testing.assert_allclose(bench.rotation, bench.worst.worst, atol=1e-12)


def test_the_worst_of_the_improper_half_is_compared_with_its_rotation(bench):
    bench.sphere.operations.value = "rotations + inversion"
    bench.worst.predictor.value, bench.worst.samples.value = "no parity", 2
    bench.worst.job.run()
    assert np.linalg.det(bench.worst.worst) < 0
    assert bench.worst.step.inverted < 1e-9 < 0.1 < bench.worst.step.worst
    proper_mev = milli(bench.worst.step.inverted)
    assert f"without the inversion: {proper_mev} meV" in bench.worst.said.value
    improper, proper = bench.worst.series, bench.worst.inverted_series
    assert (improper.settings["improper"], proper.settings["improper"]) == (True, False)
    assert improper.values("mean")["no parity"] == [pytest.approx(bench.worst.step.worst)]
    assert proper.values("mean")["no parity"] == [pytest.approx(0, abs=1e-9)]


def test_the_report_holds_what_was_shown(bench, tmp_path):
    bench.sphere.run()
    bench.random.samples.value = 4
    bench.random.job.run()
    bench.worst.job.run()
    bench.export_button.click()
    data, page = (tmp_path / f"rotations-H2O.{kind}" for kind in ("json", "html"))
    report = RotationReport.from_json(json.loads(data.read_text()))
    assert sorted(report.series) == ["picked", "random", "sphere", "worst", "worst inverted"]
    for name, errors in bench.errors.inversion.items():
        assert report.inversion[name] == errors.to_json()
    for name, values in bench.sphere.values.items():
        assert report.series["sphere"].values("mean")[name] == values.tolist()
    assert report == bench.report()
    assert bench.random.picture.value in page.read_text()
    assert str(page) in bench.exported.value
    assert sorted(p.name for p in tmp_path.iterdir()) == [page.name, data.name]


def test_another_structure_begins_anew_and_a_wrong_name_says_so(bench, monkeypatch):
    before = bench.sphere
    bench.structure.value = "H2O2"
    bench.predictors.value = ["no parity"]
    bench.open_button.click()
    assert bench.sphere is not before
    assert len(bench.errors.atoms) == 4
    assert bench.errors.names == ["no parity"]
    monkeypatch.delenv(RAISE)
    bench.structure.value = "no such molecule"
    bench.open_button.click()
    assert "no such molecule" in bench.guard.panel.value
    assert bench.errors.names == ["no parity"]  # what was open stays open


def test_closing_leaves_nothing_behind(water, predictors):
    before = len(_instances)
    made = [wb.SphereMap(water, predictors=predictors), wb.TestBench(water, None, predictors)]
    for widget in made:
        widget.close()
    assert len(_instances) == before
