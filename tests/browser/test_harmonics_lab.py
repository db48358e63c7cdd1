"""HarmonicsLab in real JupyterLab: two pictures that agree, by mouse, keys and controls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.jupyter import LabPage, write_notebook

SETUP = """
import workbench as wb
from workbench.course.rotations import MISTAKES
lab = wb.HarmonicsLab("d", rules=MISTAKES)
lab
"""
TURNED = ".wb-surface >> nth=0"
READY = """() => [...document.querySelectorAll('.wb-surface')]
    .filter(view => view.dataset.sequence).length === 2"""
# Share of the coloured pixels at which one picture is red, blue or white and the other is not.
DIFFERENT = """() => {
    const signs = [...document.querySelectorAll('.wb-surface canvas')].map(canvas => {
        const { width, height } = canvas;
        const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
        return Array.from({ length: width * height }, (_, k) =>
            data[4 * k + 3] ? Math.sign(data[4 * k] - data[4 * k + 2]) : 0);
    });
    const coloured = signs[0].filter(sign => sign).length;
    return signs[0].filter((sign, k) => sign !== signs[1][k]).length / coloured;
}"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The lab on the page, wholly in view."""
    write_notebook(notebooks / "harmonics_lab.ipynb", SETUP)
    page.open("harmonics_lab.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(".wb-lab").evaluate("e => e.scrollIntoView({ block: 'start' })")
    page.page.wait_for_function(READY)
    return page


def orientation(lab: LabPage) -> np.ndarray:
    """Quaternion that the left picture shows, scalar last."""
    return np.array(json.loads(lab.page.locator(TURNED).get_attribute("data-quaternion")))


def assert_agree(lab: LabPage) -> None:
    """Kernel and browser hold one orientation, and both pictures look the same."""
    seen = Rotation.from_quat(orientation(lab)).as_matrix()
    kernel = json.loads(lab.evaluate("lab.turned.rotation.tolist()"))
    np.testing.assert_allclose(kernel, seen, atol=1e-9)
    lab.page.wait_for_function(f"() => ({DIFFERENT})() < 0.04")


def test_dragging_turns_the_picture_and_the_numbers_follow(shown: LabPage):
    box = shown.page.locator(TURNED).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    for k in range(20):
        shown.page.mouse.move(x + 4 * k, y + 2 * k)
    shown.page.mouse.up()
    shown.wait_until_turned(".wb-surface", ".wb-heat")
    assert abs(orientation(shown)[3]) < 0.99
    assert_agree(shown)


def test_arrow_keys_turn_by_five_degrees(shown: LabPage):
    shown.page.locator(TURNED).focus()
    shown.page.keyboard.press("Home")
    for _ in range(6):
        shown.page.keyboard.press("ArrowRight")
    shown.wait_until_turned(".wb-surface", ".wb-heat")
    expected = Rotation.from_euler("y", 30, degrees=True).as_quat()
    np.testing.assert_allclose(orientation(shown), expected, atol=1e-6)
    assert_agree(shown)


def test_controls_inversion_and_other_shells(shown: LabPage):
    shown.page.locator(".wb-presets button", has_text="40° (1,1,0)").click()
    shown.page.locator(".wb-lab select").first.select_option("spd")
    shown.page.get_by_role("button", name="invert").click()
    shown.page.wait_for_function(
        "() => document.querySelectorAll('.wb-components tbody tr').length === 12"
    )
    assert_agree(shown)


def test_a_wrong_rule_parts_the_pictures_and_moves_the_meter(shown: LabPage):
    shown.page.locator(".wb-lab select").nth(2).select_option("OpenMX's order")
    shown.page.wait_for_function(f"() => ({DIFFERENT})() > 0.1")
    laws = shown.page.locator("table.wb-errors", has_text="laws")
    shown.page.wait_for_function(
        "() => [...document.querySelectorAll('.wb-lab td')].some(td => /✗/.test(td.textContent))"
    )
    assert laws.locator("td").nth(0).inner_text() == "✓ 0"
    assert laws.locator("td").nth(1).inner_text() == "✓ 0"


def test_the_lab_is_described_and_closes(shown: LabPage):
    shown.page.wait_for_function(
        "() => /Function 40.0°.*has error/.test("
        "document.querySelector('.wb-surface-live').textContent)"
    )
    shown.run_code("lab.close()")
    shown.page.wait_for_function("() => !document.querySelector('.wb-surface, .wb-heat')")
    assert shown.page.locator(".wb-surface, .wb-heat").count() == 0


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.errors == []
    assert shown.foreign == []
    assert shown.cell_errors() == []
