"""The slider over orientations in real JupyterLab: keys move it, and what it measures is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, write_notebook

SETUP = """
import workbench as wb
from workbench.training.monitor import ErrorMonitor
model = wb.load_model("water")
slider = wb.SymmetriseSlider(model, ErrorMonitor.of(wb.Dataset("water"), count=2, turns=2))
slider
"""
SAID = ".wb-turn [aria-live]"
POINTS = ".wb-turn svg rect"  # one in the legend, one for each K that was measured


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The slider on the page."""
    write_notebook(notebooks / "slider.ipynb", SETUP)
    page.open("slider.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(SAID).wait_for()
    return page


def wait_until_said(lab: LabPage, words: str) -> None:
    lab.page.wait_for_function(
        "([where, words]) => document.querySelector(where)?.textContent.includes(words)",
        arg=[SAID, words],
    )


@pytest.mark.slow
def test_keys_move_the_slider_and_each_number_is_measured(shown: LabPage):
    assert shown.page.locator(POINTS).count() == 2
    handle = shown.page.locator(".wb-stops .noUi-handle")
    for K in (2, 4, 8, 16):
        handle.press("ArrowRight")
        wait_until_said(shown, f"K = {K}: equivariance error")
    assert shown.page.locator(POINTS).count() == 6
    measured = shown.evaluate("[r.symmetry_mev for r, _ in slider.readings.values()]")
    errors = [float(value) for value in measured.strip("[]").split(",")]
    assert errors[-1] < errors[0]
    assert shown.page.locator(".wb-turn tbody tr").count() == 5


@pytest.mark.slow
def test_reset_empties_the_picture(shown: LabPage):
    shown.page.locator(".wb-lab button", has_text="Reset").click()
    wait_until_said(shown, "K = 1: equivariance error")
    shown.page.wait_for_function(
        "where => document.querySelectorAll(where).length === 2", arg=POINTS
    )
    assert shown.errors == []
    assert shown.foreign == []
