"""Names that contain HTML are text on a page: of structures, predictors, files and datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, write_notebook

HOSTILE = '<img src=x onerror="window.struck=1">'
SETUP = f"""
import warnings
from dataclasses import replace
import workbench as wb
from workbench import views
warnings.simplefilter("ignore")
name = {HOSTILE!r}
water, model = wb.load("water"), wb.load_model("water")
water.info["name"] = name
predictors = {{name: model.stage1}}
ref = wb.reference(water, grid=0)
ref = replace(ref, method=ref.method | {{"program": name, "functional": name, "basis": name}})
"""
WIDGETS = {
    "rotation lab": "wb.RotationLab(water, model=model, reference=ref, predictors=predictors)",
    "inspector": "wb.BlockInspector(water, reference=ref, predictors=predictors)",
    "sphere": "wb.SphereMap(water, predictors=predictors, axes=50)",
    "bench": "wb.TestBench(water, None, predictors, axes=50)",
    "unknown model": "wb.TestBench('water', None, {name: model, 'other': model.stage1}, axes=50)",
    "orbitals": "wb.OrbitalView(water, ref, matrices={name: ref.H})",
    "heat": "wb.Heat([ref.H], titles=[name], unit=name)",
    "view": "wb.view(water)",
    "report": "wb.equivariance({name: model.stage1}, water)",
    "levels": "views.level_diagram({name: wb.levels(ref.H, ref.S)}, ref.n_electrons)",
    "matrices": "views.heat(ref.H, title=name)",
}
TRAINING = """
import shutil
from pathlib import Path
from workbench.storage.bundled import dataset_path
evil = Path(name.replace("/", "_") + ".h5")
shutil.copy(dataset_path("uracil"), evil)
panel = wb.TrainingPanel(wb.ModelConfig(), evil, directory=name)
panel
"""
PICKER = """
picker = wb.StructurePicker("water")
picker
"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """A notebook whose widgets all have hostile names, run to its end."""
    cells = [SETUP, *WIDGETS.values(), TRAINING, PICKER]
    write_notebook(notebooks / "hostile.ipynb", *cells)
    page.open("hostile.ipynb")
    page.hide_sidebar()
    page.run_all()
    return page


def struck(lab: LabPage) -> bool:
    """Whether the image of a name is on the page, or its script has run."""
    return lab.page.evaluate(
        "() => Boolean(window.struck || document.querySelector('img[src=\"x\"]'))"
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, len(WIDGETS) + 3), ids=[*WIDGETS, "training", "picker"])
def test_a_hostile_name_is_shown_as_text(shown: LabPage, number: int):
    """Cells out of sight are not on the page, so each is brought into view."""
    shown.scroll_to(number)
    cell = shown.page.locator(f".jp-Cell[data-windowed-list-index='{number}']")
    cell.locator(".jp-OutputArea-child").first.wait_for()
    error = cell.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert error.all_inner_texts() == []
    shown.page.wait_for_timeout(300)
    assert not struck(shown)


@pytest.mark.slow
def test_a_name_that_is_typed_comes_back_as_text_in_the_error(shown: LabPage):
    shown.page.locator(".wb-picker .wb-head button", has_text="SMILES").click()
    shown.page.locator(".wb-picker input[placeholder=CCO]").fill(HOSTILE)
    shown.page.keyboard.press("Enter")
    said = ".wb-picker [role=alert], .wb-picker .wb-said"
    shown.page.locator(said, has_text="onerror").first.wait_for()
    assert not struck(shown)
    assert shown.errors == []
    assert shown.foreign == []


@pytest.mark.slow
def test_the_name_strikes_where_it_is_not_text(shown: LabPage):
    """What the tests above look for does happen on this page."""
    shown.page.evaluate("name => document.body.insertAdjacentHTML('beforeend', name)", HOSTILE)
    shown.page.wait_for_function("() => window.struck === 1")
    assert struck(shown)
