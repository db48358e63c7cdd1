"""Hamiltonians with spin in real JupyterLab: parts are chosen and rotated, and so is a spinor."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.jupyter import LabPage, write_notebook
from tests.support.lab_page import PICTURE, drag, kernel_rotation, pixels, wait_until_answered

SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from types import SimpleNamespace
from tests.support.spinor import coupled, reference_of
import workbench as wb
atoms = wb.load("water")
ref = reference_of(atoms)
def predict(atoms):
    exact = 0.999 * coupled(atoms)[0]
    return SimpleNamespace(baseline=exact, refined=exact + 0.001 * ref.H)
lab = wb.RotationLab(atoms, model=SimpleNamespace(predict=predict), reference=ref)
lab
"""
TURN = "turn = wb.SpinorTurn(ref.H, ref.S, ref.n_electrons)\nturn"
SAID = ".wb-turn [aria-live]"


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The lab on the page, wholly in view."""
    write_notebook(notebooks / "spinors.ipynb", SETUP, TURN)
    page.open("spinors.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(PICTURE).first.wait_for()
    show_cell(page, ".wb-lab:not(:has(.wb-turn))", 0)
    page.page.wait_for_function("() => document.querySelectorAll('.wb-heat')[2]?.dataset.sequence")
    return page


def show_cell(lab: LabPage, selector: str, cell: int) -> None:
    """Scroll to a cell, and to the top of what is meant in it."""
    lab.scroll_to(cell)
    lab.page.locator(selector).wait_for()
    lab.page.locator(selector).evaluate("e => e.scrollIntoView({ block: 'start' })")


def choose(lab: LabPage, part: str) -> None:
    """Choose what is shown, and wait until the kernel has answered and all of it is painted."""
    lab.page.locator(".wb-spin button", has_text=re.compile(f"^{part}$")).click()
    lab.page.wait_for_function(
        "words => document.querySelector('.wb-spin [aria-live]').textContent.includes(words)",
        arg="modulus and phase," if part == "modulus, phase" else f"· {part},",
    )
    painted = int(lab.evaluate("lab.matrices.sequence"))
    lab.page.wait_for_function(
        "n => Number(document.querySelector('.wb-heat').dataset.sequence) >= n", arg=painted
    )


def hover(lab: LabPage, x: int, y: int) -> str:
    """What the first map says at a place."""
    lab.page.locator(".wb-heat figure canvas").first.hover(position={"x": x, "y": y})
    lab.page.wait_for_function(
        "() => / \\| /.test(document.querySelector('.wb-heat-hover').textContent)"
    )
    return lab.page.locator(".wb-heat-hover").first.inner_text()


def wait_until_said(lab: LabPage, words: str) -> None:
    """Until the text shows the rotated spinor."""
    lab.page.wait_for_function(
        "([where, words]) => document.querySelector(where).textContent.includes(words)",
        arg=[SAID, words],
    )


def test_each_part_is_painted_and_described(shown: LabPage, notebooks: Path):
    sums = {pixels(shown, 0, 0)}
    for part in ("iσx", "iσy", "iσz"):
        choose(shown, part)
        sums.add(pixels(shown, 0, 0))
        text = shown.page.locator(".wb-spin [aria-live]").inner_text()
        assert f"spin-orbit part · {part}, of the reference: largest element" in text
        assert " eV between" in text
    assert len(sums) == 4
    assert shown.evaluate("[lab.matrices.limit, lab.block.heat.limit]") == "[1.0, 1.0]"
    shown.page.screenshot(path=notebooks / "spin_part.png")


def test_a_part_follows_the_mouse(shown: LabPage, notebooks: Path):
    before = pixels(shown, 0, 0), pixels(shown, 1, 1)
    drag(shown, -90, 40)
    wait_until_answered(shown)
    assert pixels(shown, 0, 0) != before[0]
    assert pixels(shown, 1, 1) != before[1]
    assert not np.allclose(kernel_rotation(shown), np.eye(3), atol=0.1)
    expected = "shown(ref.H.rotate(lab.rotation), 'z').dense()"
    shown.run_code("import numpy as np\nfrom workbench.views.spin_panels import shown")
    assert shown.evaluate(f"np.abs(lab.matrices.painted()[0] - {expected}).max() < 1e-6") == "True"
    shown.page.screenshot(path=notebooks / "spin_part_turned.png")


def test_modulus_and_phase_are_painted_and_read_out(shown: LabPage, notebooks: Path):
    choose(shown, "modulus, phase")
    text = hover(shown, 40, 30)
    assert re.match(r"O1 1s ↑ \| O1 1s ↑: +reference [\d.]+ ∠ −?180°.* eV$", text)
    bar = shown.page.locator(".wb-heat-foot canvas").first
    assert "by phase from minus to plus 180 degrees" in bar.get_attribute("aria-label")
    shown.page.screenshot(path=notebooks / "phase.png")
    choose(shown, "1")
    assert "∠" not in hover(shown, 42, 32)


def test_a_block_with_spin_is_picked_in_either_half(shown: LabPage, notebooks: Path):
    choose(shown, "modulus, phase")
    canvas = shown.page.locator(".wb-heat figure canvas").first
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] - 4, "y": box["height"] * 0.6})  # O1 down, H3 down
    shown.page.wait_for_function(
        "() => document.querySelector('.wb-block figcaption b').textContent.startsWith('O1 | H3')"
    )
    block = shown.page.locator(".wb-block")
    block.scroll_into_view_if_needed()
    shown.page.screenshot(path=notebooks / "block_phase.png")
    choose(shown, "iσx")
    assert block.locator("figure").count() == 4
    block.scroll_into_view_if_needed()
    shown.page.screenshot(path=notebooks / "block_parts.png")


def test_a_spinor_comes_back_after_two_rounds(shown: LabPage, notebooks: Path):
    show_cell(shown, ".wb-lab:has(.wb-turn)", 1)
    said = shown.page.locator(SAID)
    for degrees, words in ((360, "opposite sign"), (720, "state is unchanged")):
        shown.page.locator(".wb-lab:has(.wb-turn) button", has_text=f"{degrees}°").click()
        wait_until_said(shown, f"Rotated by {degrees}°")
        assert words in said.inner_text()
        assert "the Hamiltonian is unchanged" in said.inner_text()
        shown.page.screenshot(path=notebooks / f"turn_{degrees}.png")


def test_the_angle_follows_the_keyboard(shown: LabPage, notebooks: Path):
    shown.page.locator(".wb-lab:has(.wb-turn) button", has_text=re.compile("^90°$")).click()
    wait_until_said(shown, "Rotated by 90°")
    handle = shown.page.locator(".wb-lab:has(.wb-turn) .noUi-handle")
    handle.focus()
    for _ in range(3):
        handle.press("ArrowRight")
    wait_until_said(shown, "Rotated by 105°")
    assert float(shown.evaluate("turn.degrees")) == 105
    assert "the state has changed" in shown.page.locator(SAID).inner_text()
    shown.page.screenshot(path=notebooks / "turn_105.png")


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.errors == []
    assert shown.foreign == []
    assert shown.cell_errors() == []
