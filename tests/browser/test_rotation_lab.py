"""RotationLab in real JupyterLab: it renders, drags, repaints, picks, and lets go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.jupyter import LabPage, write_notebook
from tests.support.lab_page import (
    PICTURE,
    STRUCTURE,
    drag,
    kernel_rotation,
    pixels,
    quaternion,
    wait_until_answered,
)

# The model is a stand-in of two lines that needs no training: what is tested here is the page.
SETUP = """
from types import SimpleNamespace
import workbench as wb
atoms = wb.load("water")
ref = wb.reference(atoms, basis="sto-3g", xc="hf")
def predict(atoms):
    exact = wb.overlap(atoms, ref.H.basis)
    return SimpleNamespace(baseline=exact, refined=exact + 0.01 * ref.H)
lab = wb.RotationLab(atoms, model=SimpleNamespace(predict=predict), reference=ref)
lab
"""
CHECKED = """
import workbench as wb
lab = wb.RotationLab(wb.load("water"), model=wb.load_model("water"))
lab
"""
CLIPPED = """() => [...document.querySelectorAll('.wb-left, .wb-right, .wb-check')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""
SAME_TURN = """q => {
    const { quaternion } = document.querySelector('.wb-structure').dataset;
    const cosine = JSON.parse(quaternion).reduce((sum, value, k) => sum + value * q[k], 0);
    return Math.abs(cosine) > 1 - 1e-12;
}"""
TURNED_TO = """z => {
    const { quaternion } = document.querySelector('.wb-structure').dataset;
    return Math.abs(JSON.parse(quaternion)[2] - z) < 1e-6;
}"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The lab on the page, wholly in view."""
    write_notebook(notebooks / "rotation_lab.ipynb", SETUP)
    page.open("rotation_lab.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(PICTURE).first.wait_for()
    page.page.locator(".wb-lab").evaluate("e => e.scrollIntoView({ block: 'start' })")
    page.page.wait_for_function("() => document.querySelectorAll('.wb-heat')[2]?.dataset.sequence")
    return page


def assert_same_orientation(lab: LabPage) -> None:
    """Picture, kernel and reference map agree."""
    seen = Rotation.from_quat(quaternion(lab)).as_matrix()
    np.testing.assert_allclose(kernel_rotation(lab), seen, atol=1e-9)
    shown, expected = json.loads(
        lab.evaluate(
            "[lab.matrices.painted()[0].tolist(), ref.H.rotate(lab.rotation).dense().tolist()]"
        )
    )
    np.testing.assert_allclose(shown, expected, atol=1e-4)


def test_dragging_repaints_and_the_last_position_is_shown(shown):
    before = [pixels(shown, 0, 0), pixels(shown, 1, 1)]
    drag(shown, -90, 40)
    wait_until_answered(shown)
    assert pixels(shown, 0, 0) != before[0]
    assert pixels(shown, 1, 1) != before[1]
    assert abs(quaternion(shown)[3]) < 0.99
    assert_same_orientation(shown)


def test_what_the_picture_shows_is_the_rotated_structure(shown):
    """screen = R x: 3Dmol's own projection agrees with the kernel's rotated positions."""
    turned = np.array(
        json.loads(shown.evaluate("wb.rotate(atoms, lab.rotation).positions.tolist()"))
    )
    seen = shown.page.locator(".wb-structure-scene").evaluate(
        """scene => scene.viewer.modelToScreen(
            scene.viewer.getModel().selectedAtoms({}).map(({ x, y, z }) => ({ x, y, z }))
        ).map(({ x, y }) => [x, y])"""
    )
    ours, theirs = (turned - turned[0])[:, :2] * [1, -1], np.array(seen) - seen[0]  # y is down
    scale = (ours * theirs).sum() / (ours**2).sum()
    assert scale > 10
    np.testing.assert_allclose(theirs, scale * ours, atol=0.5)


def test_arrow_keys_turn_by_five_degrees_and_home_returns(shown):
    shown.page.locator(STRUCTURE).focus()
    shown.page.keyboard.press("Home")
    for _ in range(4):
        shown.page.keyboard.press("ArrowRight")
    wait_until_answered(shown)
    expected = Rotation.from_euler("y", 20, degrees=True).as_quat()
    np.testing.assert_allclose(quaternion(shown), expected, atol=1e-6)
    assert_same_orientation(shown)


def test_presets_and_sliders_turn_the_picture(shown):
    shown.page.locator(".wb-presets button", has_text="90° z").click()
    shown.page.wait_for_function(TURNED_TO, arg=0.5**0.5)
    angle = shown.page.locator(".wb-controls .noUi-handle").nth(2)
    angle.focus()
    angle.press("ArrowRight")
    expected = Rotation.from_euler("z", 91, degrees=True).as_quat()
    shown.page.wait_for_function(TURNED_TO, arg=float(expected[2]))
    assert_same_orientation(shown)


def test_hovering_names_the_orbitals_and_all_values(shown):
    shown.page.locator(".wb-heat figure canvas").first.hover(position={"x": 40, "y": 34})
    readout = shown.page.locator(".wb-heat-hover").first
    shown.page.wait_for_function(
        "() => /O1 1s/.test(document.querySelector('.wb-heat-hover').textContent)"
    )
    text = readout.inner_text()
    for word in ("O1 1s | O1 1s", "reference", "baseline", "refined", "eV"):
        assert word in text


def test_a_pair_is_picked_by_two_clicks_on_atoms_or_one_on_a_map(shown):
    shown.page.locator(".wb-presets button", has_text="identity").click()
    shown.page.wait_for_function(TURNED_TO, arg=0)
    for atom in (1, 2):
        spot = shown.page.locator(".wb-structure-scene").evaluate(
            "({ viewer }, k) => viewer.modelToScreen(viewer.getModel().selectedAtoms({})[k])", atom
        )
        shown.page.mouse.click(spot["x"], spot["y"])
    title = shown.page.locator(".wb-block figcaption b")
    shown.page.wait_for_function(
        "() => document.querySelector('.wb-block figcaption b').textContent.startsWith('H2 | H3')"
    )
    shown.page.locator(".wb-heat figure canvas").first.click(position={"x": 60, "y": 60})
    shown.page.wait_for_function(
        "() => document.querySelector('.wb-block figcaption b').textContent.startsWith('O1 | O1')"
    )
    assert title.inner_text() == "O1 | O1: reference"


def test_an_error_in_the_kernel_shows_as_a_sentence_and_the_page_goes_on(shown):
    shown.run_code(
        "honest = lab.experiment.model.predict\n"
        "def broken(atoms): raise ValueError('The toy broke.')\n"
        "lab.experiment.model.predict = broken"
    )
    drag(shown, 30, 0, steps=4)
    shown.page.locator(".wb-error [role=alert]").wait_for()
    assert shown.page.locator(".wb-error").inner_text().strip() == "The toy broke."
    shown.run_code("lab.experiment.model.predict = honest")
    drag(shown, 30, 0, steps=4)
    wait_until_answered(shown)
    assert shown.page.locator(".wb-error [role=alert]").count() == 0


def test_the_text_twin_is_announced(shown):
    shown.page.wait_for_function(
        "() => /Structure .*refined: equivariance error/.test("
        "document.querySelector('.wb-structure-live').textContent)"
    )
    live_region = shown.page.locator(".wb-structure-live")
    assert live_region.get_attribute("aria-live") == "polite"  # so a screen reader speaks it


def test_a_page_that_is_loaded_anew_shows_the_lab_as_it_was_and_goes_on(shown):
    drag(shown, 90, 20)
    wait_until_answered(shown)
    before, seen = kernel_rotation(shown), quaternion(shown).tolist()
    shown.command("docmanager:save")
    shown.open("rotation_lab.ipynb")
    shown.page.locator(PICTURE).first.wait_for()
    shown.page.locator(".wb-lab").evaluate("e => e.scrollIntoView({ block: 'start' })")
    shown.page.wait_for_function(SAME_TURN, arg=seen)
    assert np.array_equal(kernel_rotation(shown), before)
    drag(shown, 90, 20)
    wait_until_answered(shown)
    assert np.abs(kernel_rotation(shown) - before).max() > 0.1
    assert_same_orientation(shown)


def test_closing_frees_the_graphics_context_and_the_comms(shown):
    shown.page.evaluate(
        """() => {
            const { viewer } = document.querySelector('.wb-structure-scene');
            window.gl = viewer.getRenderer().getContext();
        }"""
    )
    assert shown.page.evaluate("() => window.gl.isContextLost()") is False
    shown.run_code("lab.close()")
    shown.page.wait_for_function("() => window.gl.isContextLost()")
    assert shown.page.locator(".wb-structure, .wb-heat").count() == 0
    left = "__import__('ipywidgets').widgets.widget._instances.values()"
    kinds = shown.evaluate(f"sorted(type(widget).__name__ for widget in {left})")
    assert kinds == "['Layout', 'MoleculeScript']"  # which the next picture will need


def test_the_error_without_a_label_appears_and_stays_while_the_structure_turns(shown, notebooks):
    write_notebook(notebooks / "checked.ipynb", CHECKED)
    shown.open("checked.ipynb")
    shown.run_all()
    shown.page.locator(PICTURE).first.wait_for()
    shown.page.get_by_role("button", name="Estimate the error without a label").click()
    verdict = shown.page.locator(".wb-verdict[role=status]")
    verdict.wait_for()
    assert verdict.inner_text() == shown.evaluate("lab.checked.verdict")
    shown.page.get_by_role("button", name="Estimate the error without a label").wait_for()
    assert shown.page.evaluate(CLIPPED) == []
    before = shown.page.locator(".wb-check").inner_text()
    shown.page.locator(".wb-lab").evaluate("e => e.scrollIntoView({ block: 'start' })")
    drag(shown, 60, 20)
    wait_until_answered(shown)
    assert abs(quaternion(shown)[3]) < 0.99
    assert shown.page.locator(".wb-check").inner_text() == before


def test_nothing_went_wrong_and_nothing_left_the_machine(shown):
    assert shown.errors == []
    assert shown.foreign == []
    assert shown.cell_errors() == []
