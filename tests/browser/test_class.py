"""The pages as a class sees them: no code, live widgets, nothing from another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.accessibility import described, violations
from tests.support.jupyter import LabPage, browser_page, class_server
from tests.support.lab_page import PICTURE, answer_quiz, pixels

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "notebooks"
ANOTHER = "01_rotations_and_irreps.ipynb"
RENDERED = "() => document.getElementById('rendered_cells')?.style.display === ''"


@pytest.fixture(scope="module")
def visitor() -> Iterator[LabPage]:
    """A browser in a class that has one place."""
    with class_server("--pages=1") as address, browser_page(address) as page:
        yield page


@pytest.fixture(scope="module")
def shown(visitor: LabPage) -> LabPage:
    """The start page, opened from the front page, with its first lab in view."""
    visitor.page.goto(visitor.address)
    links = visitor.page.get_by_role("listitem").get_by_role("link")
    assert links.count() == len(list(FOLDER.glob("*.ipynb")))
    visitor.page.goto(links.first.evaluate("link => link.href"))
    visitor.page.wait_for_function(RENDERED)
    visitor.page.locator(PICTURE).first.wait_for()
    visitor.page.locator(".wb-lab").first.evaluate("e => e.scrollIntoView({ block: 'start' })")
    visitor.page.wait_for_function(
        "() => document.querySelectorAll('.wb-lab .wb-heat')[2]?.dataset.sequence"
    )
    return visitor


def test_text_and_formulas_are_there_and_code_is_not(shown: LabPage):
    text = shown.page.locator("body").inner_text()
    assert "Start here: a Hamiltonian that rotates with its molecule" in text
    assert shown.page.locator("mjx-container").count() > 10
    assert "$$" not in text
    assert shown.page.locator(".jp-InputArea-editor").count() == 0
    assert "wb.RotationLab(" not in text


def test_pictures_are_on_the_page(shown: LabPage):
    picture = shown.page.locator(".jp-RenderedMarkdown img").first
    assert picture.evaluate("image => image.naturalWidth") > 500


def test_tasks_in_code_say_so_and_show_no_verdict(shown: LabPage):
    text = shown.page.locator("body").inner_text()
    assert "A task in code." in text
    assert "away from its partner" not in text


def test_the_matrix_follows_the_molecule(shown: LabPage):
    before = [heat_pixels(shown, panel) for panel in (0, 1)]
    turn(shown, -90, 40)
    after = [heat_pixels(shown, panel) for panel in (0, 1)]
    assert after[0] != before[0]
    assert after[1] != before[1]


def heat_pixels(lab: LabPage, panel: int) -> int:
    """Sum over one panel of the lab's first heat map, which the page's second is."""
    assert lab.page.locator(".wb-heat").first.evaluate("heat => !heat.closest('.wb-lab')")
    return pixels(lab, 1, panel)


def turn(lab: LabPage, dx: int, dy: int) -> None:
    """Drag the molecule of the first lab, and wait until its maps are those of the last place."""
    box = lab.page.locator(".wb-structure").first.bounding_box()
    assert box is not None
    x, y = box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"]
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    for k in range(1, 26):
        lab.page.mouse.move(x + dx * k / 25, y + dy * k / 25)
    lab.page.mouse.up()
    lab.wait_until_turned(".wb-structure", ".wb-lab .wb-heat")


def status(address: str) -> tuple[int, str]:
    """What a server answers; a page that opens is not waited for."""
    try:
        with urlopen(address, timeout=60) as answer:
            return answer.status, ""
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_full_class_says_so_and_what_to_do(shown: LabPage):
    code, text = status(f"{shown.address}/voila/render/01_rotations_and_irreps.ipynb")
    assert code == 503
    assert "All places are taken (1): close a page" in text


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.errors == []
    assert shown.foreign == []


def test_leaving_a_page_frees_its_place(shown: LabPage):
    with shown.page.expect_request("**/voila/api/shutdown/*"):
        shown.page.goto(shown.address)
    # The kernel ends after the page is gone; until then all places are taken.
    for _ in range(600):
        answer = shown.page.goto(f"{shown.address}/voila/render/{ANOTHER}", wait_until="commit")
        if answer is not None and answer.status != 503:
            break
        shown.page.wait_for_timeout(100)
    assert answer is not None
    assert answer.status == 200


def test_another_page_is_worked_with(shown: LabPage):
    """Follows the test before: its page is the one that has got the place."""
    shown.page.wait_for_function(RENDERED)
    surface = shown.page.locator(".wb-lab .wb-surface").first
    surface.evaluate("e => e.scrollIntoView({ block: 'center' })")
    shown.page.wait_for_function(
        "() => document.querySelector('.wb-lab .wb-surface')?.dataset.sequence"
    )
    for _ in range(3):
        surface.press("ArrowRight")
    shown.wait_until_turned(".wb-lab .wb-surface", ".wb-lab .wb-heat")
    turned = shown.page.locator(".wb-lab .wb-surface-turn").first.inner_text()
    assert turned.startswith("15.0° about (0.00, 1.00, 0.00)")
    answer_quiz(shown.page.locator(".wb-quiz").first)
    # plotly's own renderer keeps a PNG beside each figure, for which Voila has no place.
    ours = [error for error in shown.errors if ".setData is not a function" not in error]
    assert ours == []
    assert shown.foreign == []


def test_the_front_page_can_be_used_by_everybody(visitor: LabPage):
    visitor.page.goto(visitor.address)
    found = violations(visitor.page, "main")
    assert not found, described(found)
