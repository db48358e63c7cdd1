"""SymmetriseSlider without a browser: what it measures, says and forgets."""

from __future__ import annotations

import re

import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from workbench.training.monitor import ErrorMonitor
from workbench.views.averages_plot import averages_plot
from workbench.views.numbers import milli

pytestmark = pytest.mark.usefixtures("raise_errors")


@pytest.fixture(scope="module")
def model():
    return wb.load_model("water")


@pytest.fixture(scope="module")
def meter():
    return ErrorMonitor.of(wb.Dataset("water"), "valid", count=2, turns=2)


@pytest.fixture
def slider(model, meter):
    made = wb.SymmetriseSlider(model, meter)
    yield made
    made.close()


def test_it_starts_with_one_orientation_measured(slider, model, meter):
    assert list(slider.readings) == [1]
    assert slider.readings[1][0] == meter.read(model)
    assert "K = 1" in slider.text.value
    assert 'aria-live="polite"' in slider.text.value


def test_a_move_measures_anew_and_keeps_what_was_known(slider, model, meter):
    slider.slider.value = 4
    assert list(slider.readings) == [1, 4]
    read, spent = slider.readings[4]
    assert read == meter.read(model, symmetrise=4)
    assert spent > 0
    assert read.symmetry_mev < slider.readings[1][0].symmetry_mev
    assert f"equivariance error {milli(read.symmetry_mev)} meV" in slider.text.value
    assert f"{milli(read.inversion_mev)} meV under inversion" in slider.text.value
    assert slider.text.value.count("<tr>") == 4  # a head of two lines and two rows
    assert slider.plot.value.count("<polygon") == 3  # triangles: the legend's and two points
    assert slider.plot.value.count("<rect") == 3  # the legend's and two points
    assert "stroke-dasharray" in slider.plot.value


def test_reset_forgets(slider):
    slider.slider.value = 2
    slider.reset_button.click()
    assert slider.slider.value == 1
    assert list(slider.readings) == [1]
    slider.reset_button.click()
    assert list(slider.readings) == [1]


def test_an_error_is_shown_in_the_panel(slider, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RAISE")
    slider.meter = None
    slider.slider.value = 8
    assert 'role="alert"' in slider.guard.panel.value


def test_closing_leaves_nothing_behind(model, meter):
    before = set(_instances)
    wb.SymmetriseSlider(model, meter).close()
    assert set(_instances) == before


def test_the_law_is_drawn_through_the_first_point():
    svg = averages_plot({1: (1.0, 1.1, 2.0), 16: (0.25, 0.26, 1.9)}, 16)
    number = r"([\d.]+)"
    line = re.search(f'x1="{number}" y1="{number}" x2="{number}" y2="{number}" .*?dasharray', svg)
    assert line
    ends = [(float(line[k]), float(line[k + 1])) for k in (1, 3)]
    points = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="5.5"', svg)
    drawn = [(float(x), float(y)) for x, y in points]
    assert all(end in drawn for end in ends)  # 1/4 of the first error at K = 16 lies on the law
    heights = dict(re.findall(r'y="([\d.]+)"[^>]*>(0.25|0.26|1.9)', svg))
    assert sorted(heights.values()) == ["0.25", "0.26", "1.9"]
    below = {value: float(y) for y, value in heights.items()}
    assert abs(below["0.25"] - below["0.26"]) > 14  # a line apart: the numbers do not overlap


def test_an_error_of_zero_has_a_place():
    assert "<svg" in averages_plot({1: (0.0, 0.0, 0.5)}, 1)
    assert "stroke-dasharray" not in averages_plot({4: (0.1, 0.1, 0.5)}, 4)
