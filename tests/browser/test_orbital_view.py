"""OrbitalView in real JupyterLab: surfaces where an orbital has its isovalue, rotated together."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.jupyter import LabPage, write_notebook

SETUP = """
import json
import numpy as np
import workbench as wb
from workbench.engines.pyscf_orbitals import atomic_orbitals
from workbench.evaluation.orbital_overlap import orbitals
water = wb.load("water")
reference = wb.reference(water, basis="def2-svp", xc="hf")
noise = np.random.default_rng(1).normal(scale=0.3, size=(24, 24))
H = wb.BlockMatrix.from_dense(
    reference.H.basis, water.numbers, reference.H.dense() + noise + noise.T)
view = wb.OrbitalView(water, reference, matrices={"off": H})
view
"""
DRAWN = """sequence => {
    const pictures = document.querySelector('.wb-orbitals');
    return Number(pictures?.dataset.sequence) >= sequence &&
        [...pictures.querySelectorAll('figure')].every(f => f.dataset.triangles);
}"""
# Corners of the surfaces in every picture: [picture][plus, minus][corner][x, y, z].
CORNERS = """() => [...document.querySelectorAll('.wb-orbitals figure > div')].map(scene =>
    scene.surfaces.map(s => s.vertexArr.map(({ x, y, z }) => [x, y, z])))"""
NAMED = "name => document.querySelector('.wb-errors').innerText.startsWith(name)"
VIEWS = """() => [...document.querySelectorAll('.wb-orbitals figure > div')].map(scene =>
    scene.viewer.getView())"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The view on the page, drawn."""
    write_notebook(notebooks / "orbital_view.ipynb", SETUP)
    page.open("orbital_view.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(".wb-orbital-view").evaluate("e => e.scrollIntoView({ block: 'start' })")
    drawn(page)
    return page


def drawn(lab: LabPage) -> None:
    """Wait until the browser shows what the kernel has sent last."""
    lab.page.wait_for_function(DRAWN, arg=int(lab.evaluate("view.view.sequence")))


def away(lab: LabPage, corners: list, columns: str, level: float) -> float:
    """How far, in A, corners of a surface lie from where PySCF's orbital takes the level."""
    lab.run_code(
        f"points = np.array({json.dumps(corners[:: max(1, len(corners) // 300)])})\n"
        "steps = 1e-4 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])[:, None]\n"
        "places = (points + steps).reshape(-1, 3)\n"
        f"values = atomic_orbitals(water, reference.H.basis, places, {columns})\n"
        "values = values.reshape(7, -1)\n"
        "slopes = np.linalg.norm(values[1:4] - values[4:], axis=0) / 2e-4\n"
        f"far = (abs(values[0] - {level}) / slopes).max()"
    )
    return float(lab.evaluate("far"))


def screenshot(lab: LabPage, name: str) -> None:
    """Kept where WORKBENCH_SCREENSHOTS names a folder, for whoever wants to look."""
    folder = os.environ.get("WORKBENCH_SCREENSHOTS")
    if folder:
        lab.page.screenshot(path=Path(folder) / f"{name}.png")


def test_surfaces_lie_where_the_orbital_takes_its_isovalue(shown: LabPage):
    pictures = shown.page.evaluate(CORNERS)
    assert len(pictures) == 2
    for name, (plus, minus) in zip(("reference", "off"), pictures, strict=True):
        columns = f"view.state.solutions['{name}'].coefficients[:, [4]]"
        assert away(shown, plus, columns, 0.1) < 0.05
        assert away(shown, minus, columns, -0.1) < 0.05
        assert away(shown, minus, columns, 0.1) > 0.05
    screenshot(shown, "orbital_homo")


def test_dragging_one_picture_turns_both(shown: LabPage):
    before = json.loads(shown.evaluate("json.dumps(view.rotation.tolist())"))
    box = shown.page.locator(".wb-orbitals figure").nth(1).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.8 * box["height"]
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    for k in range(15):
        shown.page.mouse.move(x + 4 * k, y - 3 * k)
    shown.page.mouse.up()
    shown.wait_until_turned(".wb-orbitals")
    first, second = np.array(shown.page.evaluate(VIEWS))
    np.testing.assert_allclose(first, second, atol=1e-6)
    kernel = json.loads(shown.evaluate("json.dumps(view.rotation.tolist())"))
    np.testing.assert_allclose(kernel, Rotation.from_quat(first[4:]).as_matrix(), atol=1e-6)
    assert np.abs(np.subtract(kernel, before)).max() > 0.1
    screenshot(shown, "orbital_turned")


def test_arrow_keys_turn_both_and_the_wheel_zooms_both(shown: LabPage):
    shown.page.locator(".wb-orbitals").focus()
    shown.page.keyboard.press("Home")
    for _ in range(4):
        shown.page.keyboard.press("ArrowRight")
    shown.wait_until_turned(".wb-orbitals")
    expected = Rotation.from_euler("y", 20, degrees=True).as_quat()
    views = np.array(shown.page.evaluate(VIEWS))
    np.testing.assert_allclose(views[:, 4:], [expected, expected], atol=1e-6)
    shown.page.locator(".wb-orbitals figure").nth(0).hover()
    shown.page.mouse.wheel(0, -200)
    shown.page.wait_for_function(f"z => Math.abs(({VIEWS})()[1][3] - z) > 1", arg=views[1, 3])
    zoomed = np.array(shown.page.evaluate(VIEWS))
    np.testing.assert_allclose(zoomed[0], zoomed[1], atol=1e-6)


def test_a_level_chosen_by_keys_and_an_isovalue_are_shown(shown: LabPage):
    shown.page.get_by_role("button", name="LUMO", exact=True).click()
    shown.page.wait_for_function(NAMED, arg="LUMO")
    drawn(shown)
    lumo = shown.page.locator(".wb-orbitals figcaption").first.inner_text()
    shown.page.locator(".wb-orbital-view .noUi-handle").first.focus()
    shown.page.keyboard.press("ArrowLeft")
    shown.page.wait_for_function(NAMED, arg="HOMO")
    assert shown.page.locator(".wb-orbitals figcaption").first.inner_text() != lumo
    drawn(shown)
    wide = shown.page.evaluate(CORNERS)[0][0]
    shown.run_code("view.iso.value = 0.3")
    drawn(shown)
    narrow = shown.page.evaluate(CORNERS)[0][0]
    assert np.ptp(narrow, axis=0).max() < 0.8 * np.ptp(wide, axis=0).max()
    columns = "view.state.truth.coefficients[:, [4]]"
    assert away(shown, narrow, columns, 0.3) < 0.05


def test_two_atomic_orbitals_and_their_product(shown: LabPage):
    shown.run_code("view.iso.value = 0.1")
    shown.page.get_by_role("button", name="atomic orbitals").click()
    shown.page.wait_for_function(
        "() => document.querySelectorAll('.wb-orbitals figure').length === 3"
    )
    selects = shown.page.locator(".wb-orbital-view select")
    selects.nth(1).select_option("2px")
    selects.nth(2).select_option("H2")
    selects.nth(3).select_option("1s")
    shown.page.wait_for_function(
        "() => /2px . … . H2 1s/.test(document.querySelector('.wb-errors').innerText)"
    )
    drawn(shown)
    plus, minus = shown.page.evaluate(CORNERS)[2]
    assert len(plus) > 100
    assert np.mean(plus, axis=0) == pytest.approx(np.mean(minus, axis=0) * [-1, 1, 1], abs=0.05)
    cell = shown.page.locator(".wb-errors tbody td").first
    assert cell.inner_text() == "0.0000"  # S: red and blue cancel
    screenshot(shown, "orbital_pair")


def test_the_view_is_described_and_closes(shown: LabPage):
    shown.page.wait_for_function(
        "() => /Atomic orbitals O1 2px and H2 1s: overlap 0.0000/.test("
        "document.querySelector('.wb-orbitals-live').textContent)"
    )
    shown.run_code("view.close()")
    shown.page.wait_for_function("() => !document.querySelector('.wb-orbitals')")
    assert shown.page.locator(".wb-orbitals").count() == 0


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.errors == []
    assert shown.foreign == []
    assert shown.cell_errors() == []
