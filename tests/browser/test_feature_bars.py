"""FeatureBars in real JupyterLab: keys turn the bars, and the norms above them stand still."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, write_notebook

CODE = """import workbench as wb
model = wb.load_model("water")
bars = wb.FeatureBars(wb.load("water"), {"stage 1": model})
bars"""
DRAWN = "() => document.querySelector('.wb-features .wb-right svg').innerHTML"
NORMS = """() => Array.from(document.querySelectorAll('.wb-features .wb-right svg text'))
    .filter(t => t.getAttribute('y') === '30.0').map(t => t.textContent)"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    write_notebook(notebooks / "feature_bars.ipynb", CODE)
    page.open("feature_bars.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(".wb-features .wb-structure canvas").first.wait_for()
    page.page.locator(".wb-features .wb-right svg").first.wait_for()
    return page


def test_keys_turn_the_bars_and_leave_the_norms(shown: LabPage):
    page = shown.page
    before, norms = page.evaluate(DRAWN), page.evaluate(NORMS)
    assert len(norms) == 8  # the word and seven irreps
    page.locator(".wb-features .wb-structure").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    shown.wait_until_turned(".wb-features .wb-structure")
    shown.wait_until_shown(".wb-features", "bars.bars.value")
    assert page.evaluate(DRAWN) != before
    assert page.evaluate(NORMS) == norms
    assert float(shown.evaluate("bars.moved[0]")) < 1e-9
    assert float(shown.evaluate("bars.moved[1]")) > 0.05


def test_an_atom_and_a_copy_are_chosen_from_lists(shown: LabPage):
    before = shown.page.evaluate(DRAWN)
    shown.page.locator(".wb-features .wb-head select").nth(1).select_option("H2")
    shown.page.locator(".wb-features svg[aria-label*='of H2']").wait_for()
    assert shown.evaluate("bars.atom.value") == "1"
    shown.wait_until_shown(".wb-features", "bars.bars.value")
    assert shown.page.evaluate(DRAWN) != before


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.page.locator(".wb-error [role=alert]").count() == 0
    assert shown.cell_errors() == []
    assert shown.errors == []
    assert shown.foreign == []
