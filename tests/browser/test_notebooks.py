"""Every notebook in real JupyterLab: it runs, draws, answers, bars nobody, and asks no network."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from tests.support.accessibility import described, show_whole, violations
from tests.support.jupyter import LabPage, settled
from tests.support.lab_page import answer_quiz
from workbench.course.verdict import HIDDEN

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "notebooks"
FAILED = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .flatMap(cell => cell.model.outputs?.toJSON() ?? [])
    .filter(output => output.output_type === 'error')
    .map(output => `${output.ename}: ${output.evalue}`)"""
CELLS_WITH = """text => window.jupyterapp.shell.currentWidget.content.widgets
    .map((cell, k) => cell.model.type === 'code' &&
        cell.model.sharedModel.getSource().includes(text) ? k : -1)
    .filter(k => k >= 0)"""
SOURCE = """k => window.jupyterapp.shell.currentWidget.content.widgets[k]
    .model.sharedModel.getSource()"""
RUN = """async ([k, source]) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    content.widgets[k].model.sharedModel.setSource(source);
    content.activeCellIndex = k;
    await window.jupyterapp.commands.execute('notebook:run-cell');
}"""
SAID = """k => window.jupyterapp.shell.currentWidget.content.widgets[k].model.outputs.toJSON()
    .flatMap(output => output.text ?? output.data?.['text/plain'] ?? '').join('')"""
SPREAD_OUT = """k => {  // all atoms in the picture, and apart: 3Dmol has fitted them
    const cell = document.querySelector(`.jp-Cell[data-windowed-list-index='${k}']`);
    const scene = cell?.querySelector('.wb-structure-scene');
    if (!scene?.viewer || !scene.clientWidth) return false;
    const seen = scene.viewer.modelToScreen(scene.viewer.selectedAtoms({}));
    const { left, top, right, bottom } = scene.getBoundingClientRect();
    const inside = ({ x, y }) =>
        x > left + scrollX && x < right + scrollX && y > top + scrollY && y < bottom + scrollY;
    const [a, b] = seen;
    return seen.every(inside) && Math.hypot(a.x - b.x, a.y - b.y) > 20;
}"""


@pytest.fixture(scope="module", params=sorted(path.name for path in FOLDER.glob("*.ipynb")))
def ran(request: pytest.FixtureRequest, page: LabPage) -> LabPage:
    """A page of the course, run once for all tests that follow."""
    page.page.set_viewport_size({"width": 1280, "height": 800})
    page.open(request.param)
    page.run_all()
    return page


def test_it_runs_and_draws_its_labs(ran: LabPage):
    assert ran.page.evaluate(FAILED) == []
    for k in ran.page.evaluate(CELLS_WITH, "RotationLab("):
        ran.scroll_to(k)
        lab = ran.page.locator(f".jp-Cell[data-windowed-list-index='{k}'] .wb-lab")
        lab.locator(".wb-heat figure canvas").first.wait_for()
        ran.page.wait_for_function(SPREAD_OUT, arg=k)


def test_its_quizzes_answer(ran: LabPage):
    for k in ran.page.evaluate(CELLS_WITH, "wb.Quiz("):
        ran.scroll_to(k)
        answer_quiz(ran.page.locator(f".jp-Cell[data-windowed-list-index='{k}'] .wb-quiz"))


def test_its_tasks_tell_the_solution_from_what_stands_there(ran: LabPage):
    cells = ran.page.evaluate(CELLS_WITH, "# change me")
    tasks = [k for k in cells if "Not yet: " in ran.page.evaluate(SAID, k)]
    assert tasks
    for k in tasks:
        below = ran.page.evaluate(SOURCE, k + 1)
        solution = re.search(r"<summary>Solution</summary><code>(.*?)</code>", below, re.DOTALL)
        assert solution, f"The task of cell {k} has no solution below it."
        lines = ran.page.evaluate(SOURCE, k).splitlines()
        solved = [unescape(solution[1]) if "# change me" in line else line for line in lines]
        settled(ran.page, RUN, [k, "\n".join(solved)])
        said = ran.page.evaluate(SAID, k)
        assert "Right: " in said
        assert HIDDEN not in said  # the page's numbers tell each known mistake from the solution


def test_its_widgets_can_be_used_by_everybody(ran: LabPage):
    show_whole(ran.page)
    found = violations(ran.page)
    assert not found, described(found)


def test_nothing_went_wrong_and_nothing_left_the_machine(ran: LabPage):
    assert ran.errors == []
    assert ran.foreign == []
