"""The picker in real JupyterLab: upload, SMILES, search by keyboard, twist slider, a driven lab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, write_notebook

SETUP = """
import workbench as wb
picker = wb.StructurePicker("water")
picker
"""
DRIVEN = """
basis = wb.Basis("sto-3g", {1: (0,), 6: (0, 0, 1), 7: (0, 0, 1), 8: (0, 0, 1)})
box = picker.drive(lambda a: wb.BlockInspector(a, predictors={"S": lambda x: wb.overlap(x, basis)}))
box
"""
FORMULA = "picker.atoms.get_chemical_formula()"
DRAWN = """count => document.querySelector('.wb-picker .wb-structure-scene')?.viewer
    ?.selectedAtoms({}).length === count"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The picker, wholly in view."""
    write_notebook(notebooks / "picker.ipynb", SETUP, DRIVEN)
    page.open("picker.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(".wb-picker .wb-structure canvas").first.wait_for()
    page.page.locator(".wb-picker").evaluate("e => e.scrollIntoView({ block: 'start' })")
    page.page.wait_for_function(DRAWN, arg=3)
    return page


def said(lab: LabPage, text: str) -> None:
    """Wait until the line below the picture says this."""
    lab.page.locator(".wb-picker .wb-said", has_text=text).wait_for()


def to_panel(lab: LabPage, name: str) -> None:
    lab.page.locator(".wb-picker .wb-head button", has_text=name).click()


def choose_file(lab: LabPage, path: Path) -> None:
    with lab.page.expect_file_chooser() as chooser:
        lab.page.locator(".wb-picker button", has_text="choose a file").click()
    chooser.value.set_files(path)


def screenshot(lab: LabPage, name: str) -> None:
    """Kept where WORKBENCH_SCREENSHOTS names a folder, for whoever wants to look."""
    folder = os.environ.get("WORKBENCH_SCREENSHOTS")
    if folder:
        lab.page.wait_for_timeout(500)
        lab.page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_structure_is_searched_and_chosen_with_keys_alone(shown: LabPage):
    shown.page.locator(".wb-picker select").first.select_option("organic")
    search = shown.page.locator(".wb-picker input[placeholder^='name']")
    search.fill("C1CC1")
    rows = shown.page.locator(".wb-picker .widget-select select option")
    rows.first.filter(has_text="C1CC1 · C3H6 · 9 atoms").wait_for(state="attached")
    shown.page.locator(".wb-picker .widget-select select").focus()
    shown.page.keyboard.press("ArrowDown")
    said(shown, "C3H6")
    shown.page.wait_for_function(DRAWN, arg=9)
    assert shown.evaluate(FORMULA) == "C3H6"
    screenshot(shown, "picker_library")


def test_a_file_is_uploaded(shown: LabPage, tmp_path: Path):
    to_panel(shown, "file")
    good = tmp_path / "nitrogen.xyz"
    good.write_text("2\n\nN 0 0 0\nN 0 0 1.1\n")
    choose_file(shown, good)
    said(shown, "N2")
    shown.page.wait_for_function(DRAWN, arg=2)
    assert shown.evaluate(FORMULA) == "N2"


def test_a_broken_file_is_reported_and_the_former_structure_stays(shown: LabPage, tmp_path: Path):
    shown.run_code("import os; os.environ.pop('WORKBENCH_RAISE', None)")
    bad = tmp_path / "close.xyz"
    bad.write_text("2\n\nN 0 0 0\nN 0 0 0.1\n")
    choose_file(shown, bad)
    alert = shown.page.locator(".wb-picker [role=alert]")
    alert.filter(has_text="0.100 A apart").wait_for()
    said(shown, "N2")
    assert shown.evaluate(FORMULA) == "N2"
    screenshot(shown, "picker_refused")
    bad.write_text("2\n\nO 0 0 0\nO 0 0 1.2\n")  # the same file, corrected
    choose_file(shown, bad)
    said(shown, "O2")
    assert alert.count() == 0


def test_smiles_are_built(shown: LabPage):
    pytest.importorskip("rdkit")
    to_panel(shown, "SMILES")
    shown.page.locator(".wb-picker input[placeholder=CCO]").fill("OCCO")
    shown.page.keyboard.press("Enter")
    said(shown, "C2H6O2")
    shown.page.wait_for_function(DRAWN, arg=10)
    assert shown.evaluate(FORMULA) == "C2H6O2"
    screenshot(shown, "picker_smiles")


def test_a_lab_follows(shown: LabPage):
    assert shown.evaluate("box.inside.experiment.atoms == picker.atoms") == "True"
    assert shown.evaluate("len(box.inside.experiment.atoms) > 1") == "True"


def test_two_sheets_are_twisted_with_the_arrow_keys(shown: LabPage):
    shown.run_code("box.close()")  # of carbon sheets it would compute for minutes
    to_panel(shown, "bilayer")
    said(shown, "C4")
    shown.page.locator(".wb-picker button", has_text="twisted").click()
    said(shown, "28 atoms")
    slider = shown.page.locator(".wb-picker .widget-inline-hbox", has_text="twist")
    assert "21.79°" in slider.inner_text()
    slider.locator(".noUi-handle").focus()
    shown.page.keyboard.press("ArrowLeft")
    said(shown, "C372 · 372 atoms")
    assert "17.90° (4, 7)" in slider.inner_text().replace("\xa0", " ")
    shown.page.wait_for_function(DRAWN, arg=372)
    screenshot(shown, "picker_twist")


def test_nothing_failed_and_nothing_was_fetched(shown: LabPage):
    assert shown.errors == []
    assert shown.foreign == []
    assert shown.cell_errors() == []
