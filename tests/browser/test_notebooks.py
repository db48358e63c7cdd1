"""Every notebook in real JupyterLab: it runs, draws its widgets, and asks nothing of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter import LabPage

FOLDER = Path(__file__).parents[2] / "notebooks"
FAILED = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .flatMap(cell => cell.model.outputs?.toJSON() ?? [])
    .filter(output => output.output_type === 'error')
    .map(output => `${output.ename}: ${output.evalue}`)"""
CELLS_WITH_LAB = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .map((cell, k) => cell.model.sharedModel.getSource().includes('RotationLab(') ? k : -1)
    .filter(k => k >= 0)"""
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


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.ipynb")))
def test_notebook_runs_and_renders_offline(page: LabPage, name: str):
    page.page.set_default_timeout(120_000)
    page.open(name)
    page.run_all()
    assert page.page.evaluate(FAILED) == []
    # Cells out of sight are not on the page: show each lab and wait for its maps.
    for k in page.page.evaluate(CELLS_WITH_LAB):
        page.page.evaluate(
            "k => window.jupyterapp.shell.currentWidget.content.scrollToItem(k, 'start')", k
        )
        lab = page.page.locator(f".jp-Cell[data-windowed-list-index='{k}'] .wb-lab")
        lab.locator(".wb-heat figure canvas").first.wait_for()
        page.page.wait_for_function(SPREAD_OUT, arg=k)
    assert page.errors == []
    assert page.foreign == []
