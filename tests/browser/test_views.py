"""Still pictures in real JupyterLab: they are drawn, share one 3Dmol, and need no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, write_notebook

SETUP = "import numpy as np, workbench as wb\nfrom workbench import views\nwater = wb.load('water')"
TWO_VIEWS = ["wb.view(water)", "wb.view(wb.load('benzene'), style={'stick': {}})"]
FIGURE = "views.heat(wb.overlap(water, wb.Basis('sto-3g', {1: (0,), 8: (0, 0, 1)})), unit='1')"

# Pixels of the picture's canvas that are neither white nor transparent.
INKED = """() => [...document.querySelectorAll('[id^="3dmolviewer_"] canvas')].map(canvas => {
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const pen = copy.getContext('2d');
    pen.drawImage(canvas, 0, 0);
    const { data } = pen.getImageData(0, 0, copy.width, copy.height);
    let count = 0;
    for (let k = 0; k < data.length; k += 4)
        count += data[k + 3] > 0 && Math.min(data[k], data[k + 1], data[k + 2]) < 200;
    return count;
})"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """Two structures and a figure, drawn."""
    write_notebook(notebooks / "views.ipynb", SETUP, *TWO_VIEWS, FIGURE)
    page.open("views.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator("[id^='3dmolviewer_'] canvas").nth(1).wait_for()
    page.page.locator(".js-plotly-plot .heatmaplayer image").first.wait_for()
    return page


def test_structures_are_shown(shown: LabPage):
    shown.page.wait_for_function(f"() => ({INKED})().every(count => count > 500)")
    assert len(shown.page.evaluate(INKED)) == 2
    assert shown.page.get_by_role("img", name="H2O, 3 atoms").count() == 1


def test_all_views_of_a_page_share_one_3dmol(shown: LabPage):
    scripts = """() => [...document.head.querySelectorAll('script')]
        .filter(script => script.textContent.includes('3Dmol.js 2.5.5')).length"""
    assert shown.page.evaluate(scripts) == 1


def test_nothing_was_asked_of_the_outside_and_nothing_failed(shown: LabPage):
    assert shown.foreign == []
    assert shown.errors == []
    assert shown.cell_errors() == []
