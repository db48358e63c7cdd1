"""The page about blocks in real JupyterLab: it runs, and its inspector turns, picks and aligns."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.jupyter import LabPage

NAME = "03_blocks_to_irreps.ipynb"
SHOW_CELL = """source => {
    const { content } = window.jupyterapp.shell.currentWidget;
    const has = cell => cell.model.sharedModel.getSource().includes(source);
    const k = content.widgets.findIndex(cell => cell.model.type === 'code' && has(cell));
    content.scrollToItem(k, 'start');
    return k;
}"""
NORMS = "{ '/'.join(map(str, k)): float(np.linalg.norm(v)) for k, v in inspector.irreps.items() }"
VALUES = "{ '/'.join(map(str, k)): v.tolist() for k, v in inspector.irreps.items() }"


@pytest.fixture(scope="module")
def shown(page: LabPage) -> LabPage:
    """The notebook, run, with its first inspector wholly in view."""
    page.open(NAME)
    page.hide_sidebar()
    page.run_all()
    page.run_code("import json")
    show_cell(page, "inspector = wb.")
    page.page.locator(".wb-inspector .wb-structure canvas").first.wait_for()
    page.page.locator(".wb-inspector").first.evaluate("e => e.scrollIntoView({ block: 'start' })")
    page.page.wait_for_function(
        "() => document.querySelector('.wb-inspector .wb-where .wb-heat')?.dataset.sequence"
    )
    return page


def show_cell(lab: LabPage, source: str) -> int:
    """Scroll to the code cell that contains this, as cells out of sight are not on the page."""
    return lab.page.evaluate(SHOW_CELL, source)


def inspected(lab: LabPage, what: str) -> dict:
    return json.loads(lab.evaluate(f"json.dumps({what})"))


def wait_until_turned(lab: LabPage) -> None:
    """Until the kernel has answered the last position, and map and bars show it."""
    lab.wait_until_turned(".wb-inspector .wb-structure", ".wb-inspector .wb-where .wb-heat")
    wait_for_bars(lab, "inspector")


def wait_for_bars(lab: LabPage, name: str) -> None:
    """Until the page shows the bars that an inspector holds in the kernel."""
    for part in ("norms", "components"):
        lab.wait_until_shown(".wb-inspector", f"{name}.{part}.value")


def picture(lab: LabPage, name: str) -> str:
    """What is drawn on the page: the bars of the norms or of the components."""
    drawings = lab.page.locator(".wb-inspector").first.locator(".wb-xray svg")
    return drawings.nth({"norms": 0, "components": 1}[name]).inner_html()


def screenshot(lab: LabPage, name: str) -> None:
    """Kept where WORKBENCH_SCREENSHOTS names a folder, for whoever wants to look."""
    folder = os.environ.get("WORKBENCH_SCREENSHOTS")
    if folder:
        lab.page.wait_for_timeout(300)
        lab.page.screenshot(path=Path(folder) / f"{name}.png")


def test_keys_turn_the_components_and_leave_the_norms(shown: LabPage):
    norms, values = inspected(shown, NORMS), inspected(shown, VALUES)
    before = {name: picture(shown, name) for name in ("norms", "components")}
    screenshot(shown, "inspector_upright")
    shown.page.locator(".wb-inspector .wb-structure").first.focus()
    for _ in range(6):
        shown.page.keyboard.press("ArrowRight")
    wait_until_turned(shown)
    assert inspected(shown, NORMS) == pytest.approx(norms, abs=1e-9)
    moved = inspected(shown, VALUES)
    assert np.abs(np.subtract(moved["2p/2p/2"], values["2p/2p/2"])).max() > 0.5
    assert picture(shown, "norms") == before["norms"]
    assert picture(shown, "components") != before["components"]
    screenshot(shown, "inspector_turned")


def test_dragging_does_too(shown: LabPage):
    norms, before = inspected(shown, NORMS), picture(shown, "components")
    box = shown.page.locator(".wb-inspector .wb-structure").first.bounding_box()
    assert box is not None
    x, y = box["x"] + 0.8 * box["width"], box["y"] + 0.8 * box["height"]
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    for k in range(20):
        shown.page.mouse.move(x - 4 * k, y - 3 * k)
    shown.page.mouse.up()
    wait_until_turned(shown)
    assert picture(shown, "components") != before
    assert inspected(shown, NORMS) == pytest.approx(norms, abs=1e-9)


def test_a_pair_is_picked_in_the_map_and_rotated_along_its_bond(shown: LabPage):
    inspector = shown.page.locator(".wb-inspector").first
    heat = inspector.locator(".wb-where .wb-heat figure canvas")
    heat.scroll_into_view_if_needed()
    box = heat.bounding_box()
    assert box is not None
    # The map's margins are 30 px to the left and 20 px above; C1 and C2 have 14 of 72 orbitals.
    cell = (box["width"] - 32) / 72, (box["height"] - 22) / 72
    heat.click(position={"x": 30 + 20 * cell[0], "y": 20 + 6 * cell[1]})
    shown.page.wait_for_function(
        "() => document.querySelector('.wb-inspector .wb-block figcaption b')"
        ".textContent.startsWith('C1 | C2')"
    )
    inspector.get_by_role("button", name="bond along z").click()
    shown.page.wait_for_function(
        "() => /Block C1 with C2/.test(document.querySelector('.wb-structure-live').textContent)"
    )
    along = np.array(inspected(shown, VALUES)["2p/2p/2"])
    assert np.abs(along[[0, 1, 3, 4]]).max() < 0.1 * abs(along[2])
    inspector.evaluate("e => e.scrollIntoView({ block: 'start' })")
    screenshot(shown, "inspector_along_bond")
    inspector.locator(".wb-where").evaluate("e => e.scrollIntoView({ block: 'end' })")
    screenshot(shown, "inspector_map")


def test_blocks_fade_in_a_figure(shown: LabPage):
    show_cell(shown, "views.irrep_decay(")
    title = shown.page.get_by_text("Irreps of all blocks against distance")
    title.wait_for()
    assert title.is_visible()
    screenshot(shown, "irreps_by_distance")


def test_a_wrong_order_moves_the_norms(shown: LabPage):
    k = show_cell(shown, "broken = wb.")
    cell = shown.page.locator(f".jp-Cell[data-windowed-list-index='{k}']")
    cell.locator(".wb-structure canvas").first.wait_for()
    before = cell.locator(".wb-xray svg").first.inner_html()
    cell.get_by_role("button", name="90° x").click()
    cell.locator(".wb-said", has_text="rotation law is violated by").wait_for()
    wait_for_bars(shown, "broken")
    assert cell.locator(".wb-xray svg").first.inner_html() != before
    cell.locator(".wb-inspector").evaluate("e => e.scrollIntoView({ block: 'start' })")
    screenshot(shown, "inspector_broken")


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.page.locator(".wb-error [role=alert]").count() == 0
    assert shown.cell_errors() == []
    assert shown.errors == []
    assert shown.foreign == []
