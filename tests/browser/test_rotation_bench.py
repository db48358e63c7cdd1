"""SphereMap and TestBench in real JupyterLab: filling, picking, slider, stop, and the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.jupyter import LabPage, write_notebook

SETUP = """
import workbench as wb
from workbench.course.bench import preferred_axis, without_parity
from workbench.engines.pyscf_molecules import basis_of, overlap
water = wb.load("water")
basis = basis_of("sto-3g", water.numbers)
exact = lambda atoms: overlap(atoms, basis)
toys = {"exact": exact, "toy": preferred_axis(exact), "no parity": without_parity(exact)}
"""
MAP = """
sphere = wb.SphereMap(water, predictors=toys, axes=50)
lab = wb.RotationLab(water, predictors={"exact": exact})
sphere.drive(lab)
sphere
"""
BENCH = """
bench = wb.TestBench(water, None, toys, axes=50, folder="written")
bench
"""
FILLED = "() => document.querySelector('.wb-sphere').dataset.known === '50'"
REDDEST = """k => {  // of a map: share of white among its pixels
    const canvas = document.querySelectorAll('.wb-sphere figure canvas')[k];
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let [white, seen] = [0, 0];
    for (let p = 0; p < data.length; p += 4) {
        seen += data[p + 3] === 255;
        white += data[p + 3] === 255 && data[p] + data[p + 1] + data[p + 2] === 765;
    }
    return white / seen;
}"""

SHAPE = "shape => document.querySelector('.wb-sphere').dataset.shape === shape"
FACING = """turn => {  // the globe, as it is turned
    const { quaternion } = document.querySelector('.wb-sphere').dataset;
    const overlap = JSON.parse(quaternion).reduce((sum, c, k) => sum + c * turn[k], 0);
    return 1 - Math.abs(overlap) < 1e-9;
}"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The map on the page, filled."""
    write_notebook(notebooks / "sphere_map.ipynb", SETUP, MAP)
    page.open("sphere_map.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(".wb-lab").first.evaluate("e => e.scrollIntoView({ block: 'start' })")
    page.page.wait_for_function(FILLED)
    return page


def chosen(lab: LabPage, *, other_than: str) -> str:
    """Index of the picked axis, once the browser and the kernel agree on another one."""
    lab.page.wait_for_function(
        f"() => document.querySelector('.wb-sphere').dataset.chosen !== '{other_than}'"
    )
    index = lab.page.locator(".wb-sphere").get_attribute("data-chosen")
    for _ in range(100):
        if lab.evaluate("sphere.canvas.chosen") == index:
            return index
        lab.page.wait_for_timeout(50)
    raise AssertionError("the kernel has not heard of the picked axis")


def test_a_map_fills_by_itself_and_white_means_exact(shown: LabPage):
    assert shown.page.evaluate(REDDEST, 0) > 0.9
    assert shown.page.evaluate(REDDEST, 1) < 0.1
    assert "50 of 50 axes" in shown.page.locator(".wb-row [role=status]").inner_text()


def test_a_click_picks_the_axis_there_and_turns_the_lab(shown: LabPage):
    canvas = shown.page.locator(".wb-sphere figure canvas").first
    box = canvas.bounding_box()
    # +x: halfway from the middle to the right edge of the map, whose margin is 22 px.
    x = box["width"] / 2 + (box["width"] / 2 - 22) / 2
    canvas.click(position={"x": x, "y": box["height"] / 2})
    chosen(shown, other_than="0")
    axis = json.loads(shown.evaluate("list(sphere.picked[0])"))
    np.testing.assert_allclose(axis, (1, 0, 0), atol=1e-9)
    turned = json.loads(shown.evaluate("lab.rotation.tolist()"))
    np.testing.assert_allclose(turned, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-9)
    shown.page.wait_for_function(
        "() => /90° about \\(1.00, 0.00, 0.00\\)/.test(document.querySelector('.wb-lab').innerText)"
    )


def test_arrow_keys_walk_over_the_map_and_home_finds_the_worst(shown: LabPage):
    before = shown.page.locator(".wb-sphere").get_attribute("data-chosen")
    shown.page.locator(".wb-sphere").focus()
    shown.page.keyboard.press("ArrowUp")
    up = chosen(shown, other_than=before)
    assert float(shown.evaluate("sphere.picked[0][1]")) > 0.05
    shown.page.keyboard.press("ArrowLeft")
    left = chosen(shown, other_than=up)
    axes = np.array(json.loads(shown.evaluate("sphere.axes.tolist()")))
    longitude = np.arctan2(axes[:, 0], axes[:, 2])
    assert longitude[int(left)] < longitude[int(up)]
    shown.page.keyboard.press("Home")
    worst = chosen(shown, other_than=left)
    assert worst == shown.evaluate("int(sphere.values['exact'].argmax())")


def test_another_angle_fills_another_map_and_values_are_announced(shown: LabPage):
    slider = shown.page.get_by_role("slider").first
    slider.focus()
    shown.page.keyboard.press("ArrowLeft")
    shown.page.wait_for_function(
        "() => /85° about/.test(document.querySelector('.wb-lab').innerText)"
    )
    shown.page.wait_for_function(FILLED)
    assert shown.evaluate("sphere.picked[1]") == "85.0"
    shown.page.locator(".wb-sphere figure canvas").first.hover()
    shown.page.wait_for_function(
        "() => /toy [0-9].* meV/.test(document.querySelector('.wb-sphere-hover').textContent)"
    )


def test_the_globe_turns_by_mouse_and_keys_and_axes_are_picked_on_it(shown: LabPage):
    host = shown.page.locator(".wb-sphere")
    shown.page.get_by_role("button", name="globe", exact=True).click()
    shown.page.wait_for_function(SHAPE, arg="globe")
    assert shown.page.evaluate(REDDEST, 0) > 0.8  # white means exact here too; marks are drawn
    assert shown.page.evaluate(REDDEST, 1) < 0.2
    before, start = host.get_attribute("data-chosen"), globe(shown)
    canvas = shown.page.locator(".wb-sphere figure canvas").first
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    for k in range(1, 11):
        shown.page.mouse.move(x + 10 * k, y)
    shown.page.mouse.up()
    dragged = Rotation.from_euler("y", 60, degrees=True) * start  # 0.6 degrees a pixel
    shown.page.wait_for_function(FACING, arg=dragged.as_quat().tolist())
    for _ in range(2):
        host.press("ArrowDown")
    turned = Rotation.from_euler("x", 10, degrees=True) * dragged
    shown.page.wait_for_function(FACING, arg=turned.as_quat().tolist())
    assert host.get_attribute("data-chosen") == before  # to turn is not to pick
    host.press("Enter")
    front = chosen(shown, other_than=before)
    assert globe(shown).apply(axis(shown, front))[2] > 0.9
    canvas.click(position={"x": 0.75 * box["width"], "y": box["height"] / 2})
    aside = chosen(shown, other_than=front)
    at = globe(shown).apply(axis(shown, aside))
    assert at[0] > 0.3
    assert at[2] > 0.3
    shown.run_code("sphere.pick(-sphere.axes[sphere.canvas.chosen])")  # it lies behind
    behind = chosen(shown, other_than=aside)
    assert globe(shown).apply(axis(shown, behind))[2] > 0.99  # and comes to the front
    shown.page.get_by_role("button", name="map", exact=True).click()
    shown.page.wait_for_function(SHAPE, arg="flat")


def globe(lab: LabPage) -> Rotation:
    """The orientation of the globe."""
    return Rotation.from_quat(
        json.loads(lab.page.locator(".wb-sphere").get_attribute("data-quaternion"))
    )


def axis(lab: LabPage, index: str) -> np.ndarray:
    """One of the axes of the map."""
    return np.array(json.loads(lab.evaluate(f"sphere.axes[{index}].tolist()")))


def test_a_slow_map_can_be_stopped_while_it_fills(shown: LabPage):
    shown.run_code(
        "import time\n"
        "slow = lambda atoms: time.sleep(0.05) or exact(atoms)\n"
        "sphere.errors.predictors.callables['exact'] = slow"
    )
    shown.page.locator(".wb-lab select").first.select_option("400")
    # While it computes the kernel answers: this very question goes through it.
    known = int(shown.evaluate("len(sphere.known()[1])"))
    shown.page.wait_for_function(
        f"() => Number(document.querySelector('.wb-sphere').dataset.known) > {known}"
    )
    shown.page.get_by_role("button", name="stop").click()
    shown.page.get_by_role("button", name="compute").wait_for()
    stopped = int(shown.evaluate("len(sphere.known()[1])"))
    assert 0 < stopped < 400
    shown.page.wait_for_timeout(300)
    assert int(shown.evaluate("len(sphere.known()[1])")) == stopped


def test_the_bench_shows_inversion_searches_and_exports(shown: LabPage, notebooks: Path):
    write_notebook(notebooks / "rotation_bench.ipynb", SETUP, BENCH)
    shown.open("rotation_bench.ipynb")
    shown.hide_sidebar()
    shown.run_all()
    shown.page.locator(".wb-bench").evaluate("e => e.scrollIntoView({ block: 'start' })")
    shown.page.wait_for_function(FILLED)
    assert shown.page.evaluate(REDDEST, 2) > 0.9
    shown.page.get_by_role("button", name="rotations + inversion").click()
    shown.page.wait_for_function(FILLED)
    shown.page.wait_for_function(f"() => ({REDDEST})(2) < 0.1")
    shown.page.get_by_role("tab", name="worst rotation").click()
    shown.page.locator(".wb-bench button:visible", has_text="compute").click()
    shown.page.wait_for_function(
        "() => /Done, after/.test(document.querySelector('.wb-bench').innerText)"
    )
    shown.page.get_by_role("button", name="rotate there").click()
    shown.page.get_by_role("button", name="Export report").click()
    shown.page.wait_for_function(
        "() => /Written: /.test(document.querySelector('.wb-bench').innerText)"
    )
    report = json.loads((notebooks / "written" / "rotations-H2O.json").read_text())
    assert report["series"]["worst"]["errors"]["no parity"][0]["mae_mev"] > 0.1
    said = shown.page.locator(".wb-bench .wb-errors tbody tr", has_text="no parity").first
    shown_value = float(said.locator("td").first.inner_text())
    picked = report["series"]["picked"]["errors"]["no parity"][0]["mae_mev"]
    assert shown_value == pytest.approx(picked, rel=5e-3)


def test_the_page_of_the_report_opens_by_itself(shown: LabPage, notebooks: Path):
    shown.page.goto(f"file://{notebooks / 'written' / 'rotations-H2O.html'}")
    assert "Equivariance errors of H2O" in shown.page.locator("h1").inner_text()
    assert shown.page.locator("svg circle").count() > 100
    assert shown.foreign == [f"file://{notebooks / 'written' / 'rotations-H2O.html'}"]


def test_nothing_went_wrong(shown: LabPage):
    assert shown.errors == []
