"""What axe-core finds, and that it finds what is wrong; test_notebooks.py lets it see each page."""

from __future__ import annotations

from pathlib import Path

from tests.support.accessibility import show_whole, violations
from tests.support.jupyter import LabPage, write_notebook

NAMELESS = """
import ipywidgets as widgets
pale = '<p style="margin-top: 3000px; color: #eee; background: #fff">pale, and out of sight</p>'
widgets.VBox([widgets.FloatSlider(description="angle"), widgets.HTML(pale)])
"""
NAMED = """
import workbench as wb
lab = wb.TurnedHeat(lambda R: [R], ["R"])
lab
"""
SLIDERS = """() => [...document.querySelectorAll('.wb-lab [role=slider]')].map(
    ({ ariaLabel, ariaValueText }) => [ariaLabel, ariaValueText])"""


def test_the_check_sees_what_is_wrong(page: LabPage, notebooks: Path):
    """A slider as ipywidgets makes it, and pale words, are both found."""
    write_notebook(notebooks / "nameless.ipynb", NAMELESS)
    page.open("nameless.ipynb")
    page.run_all()
    page.page.locator(".noUi-handle").wait_for()
    show_whole(page.page)
    assert {rule["id"] for rule in violations(page.page)} == {
        "aria-input-field-name",
        "color-contrast",
    }


def test_sliders_say_what_they_are_and_where_they_stand(page: LabPage, notebooks: Path):
    write_notebook(notebooks / "named.ipynb", NAMED)
    page.open("named.ipynb")
    page.run_all()
    angle = page.page.get_by_role("slider", name="angle")
    angle.press("ArrowRight")
    page.page.wait_for_function(
        "() => document.querySelectorAll('.wb-lab [role=slider]')[2].ariaValueText === '1'"
    )
    assert page.page.evaluate(SLIDERS) == [["axis θ", "90"], ["axis φ", "0"], ["angle", "1"]]
    invert = page.page.get_by_role("button", name="invert")
    assert invert.get_attribute("aria-pressed") == "false"
    invert.click()
    page.page.wait_for_function(
        "() => document.querySelector('.wb-lab .widget-toggle-button').ariaPressed === 'true'"
    )
    for bar in page.page.get_by_role("textbox", name="angle, number").all():
        assert bar.inner_text() == "1"
