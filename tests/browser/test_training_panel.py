"""The training panel in real JupyterLab: it trains beside other cells, and outlives its page."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, settled, write_notebook

TESTS = str(Path(__file__).parents[2])
SETUP = f"""
import sys
sys.path.insert(0, {TESTS!r})
import tempfile
from dataclasses import replace
from pathlib import Path
import workbench as wb
from tests.support.short_training import CONFIG, HOW
how = replace(HOW, stage1=wb.Budget(steps=100_000), stage2=None, validations=2000)
folder = Path(tempfile.mkdtemp())
config = replace(CONFIG, lmax=4, pseudo_lmax=2)
panel = wb.TrainingPanel(config, "water", how, directory=folder / "run")
panel
"""
OTHER = "answer = sum(range(1000))"
STATE = ".wb-training [data-state='{}']"

BUSY = """() => window.jupyterapp.shell.currentWidget.context.sessionContext
    .session.kernel.status === 'busy'"""


@pytest.fixture(scope="module")
def shown(page: LabPage, notebooks: Path) -> LabPage:
    """The panel on the page."""
    write_notebook(notebooks / "training.ipynb", SETUP, OTHER)
    page.open("training.ipynb")
    page.hide_sidebar()
    page.run_all()
    page.page.locator(STATE.format("ready")).wait_for()
    return page


def press(lab: LabPage, name: str) -> None:
    """Press a button by the keyboard."""
    button = lab.page.locator(".wb-training button", has_text=re.compile(f"^{name}$"))
    button.focus()
    lab.page.keyboard.press("Enter")


def steps(lab: LabPage) -> int:
    """Steps of the run, as the kernel knows them."""
    return int(lab.evaluate("len(panel.curves.losses)"))


def wait_for_steps(lab: LabPage, more: int) -> int:
    """Until the kernel has made so many steps more."""
    goal = steps(lab) + more
    for _ in range(1000):
        if (now := steps(lab)) >= goal:
            return now
        lab.page.wait_for_timeout(100)
    raise AssertionError("the training does not move")


def screenshot(lab: LabPage, name: str) -> None:
    """Kept where WORKBENCH_SCREENSHOTS names a folder, for whoever wants to look."""
    if folder := os.environ.get("WORKBENCH_SCREENSHOTS"):
        lab.page.screenshot(path=Path(folder) / f"{name}.png")


def test_it_trains_and_paints_while_other_cells_run(shown: LabPage):
    press(shown, "Start")
    shown.page.locator(STATE.format("running")).wait_for()
    shown.page.wait_for_function(
        "() => document.querySelectorAll('.wb-training .wb-curves polyline').length >= 3"
    )
    before = steps(shown)
    shown.run_code(OTHER)
    assert shown.evaluate("answer") == "499500"
    assert shown.evaluate("panel.run.state") == "running"
    assert wait_for_steps(shown, 5) > before
    drawn = shown.page.locator(".wb-training .wb-curves svg").first
    assert "error of the matrix, meV" in drawn.get_attribute("aria-label")
    shown.page.wait_for_function(
        """() => document.querySelector('.wb-training [aria-live]')
            .textContent.includes('validation error')"""
    )
    screenshot(shown, "training")


def test_it_paints_while_the_kernel_is_busy_with_another_cell(shown: LabPage):
    shown.page.evaluate(
        """() => {
            const { kernel } = window.jupyterapp.shell.currentWidget.context.sessionContext.session;
            const code = 'import time; until = time.time() + 60\\n' +
                'while time.time() < until: sum(range(1000))';
            kernel.requestExecute({ code }).done.catch(() => {});  // it will be interrupted
        }"""
    )
    shown.page.wait_for_function(BUSY)
    curves = shown.page.locator(".wb-training .wb-curves")
    for _ in range(2):
        seen = curves.inner_html()
        shown.page.wait_for_function(
            f"seen => ({BUSY})() && document.querySelector('.wb-curves').innerHTML !== seen",
            arg=seen,
        )
    shown.command("notebook:interrupt-kernel")
    shown.page.wait_for_function(f"() => !({BUSY})()")
    assert shown.cell_errors() == []  # and the run wrote nothing below a cell


def test_it_pauses_goes_on_and_stops(shown: LabPage):
    press(shown, "Pause")
    shown.page.locator(STATE.format("paused")).wait_for()
    held = steps(shown)
    shown.page.wait_for_timeout(500)
    assert steps(shown) == held
    press(shown, "Resume")
    shown.page.locator(STATE.format("running")).wait_for()
    wait_for_steps(shown, 3)
    press(shown, "Stop")
    shown.page.locator(STATE.format("stopped")).wait_for()
    assert shown.evaluate("(folder / 'run' / 'snapshot.safetensors').is_file()") == "True"
    stopped = steps(shown)
    press(shown, "Resume")
    shown.page.locator(STATE.format("running")).wait_for()
    assert wait_for_steps(shown, 3) > stopped


def test_closing_the_tab_does_not_end_the_run(shown: LabPage):
    shown.command("docmanager:save")
    before = steps(shown)
    shown.page.goto("about:blank")
    shown.page.wait_for_timeout(1500)
    shown.open("training.ipynb")
    assert wait_for_steps(shown, 1) > before
    assert shown.evaluate("panel.run.state") == "running"
    shown.page.locator(STATE.format("running")).wait_for()
    seen = shown.page.locator(".wb-training .wb-curves").inner_html()
    shown.page.wait_for_function(
        "seen => document.querySelector('.wb-training .wb-curves').innerHTML !== seen", arg=seen
    )
    screenshot(shown, "training_reopened")


def test_after_a_restart_of_the_kernel_the_history_is_there(shown: LabPage):
    before, folder = steps(shown), shown.evaluate("folder")
    settled(
        shown.page,
        """async () => {
            const { context } = window.jupyterapp.shell.currentWidget;
            await context.sessionContext.session.kernel.restart();
        }""",
    )
    shown.run_code(SETUP.replace("Path(tempfile.mkdtemp())", f"Path({folder!r})"))
    assert shown.evaluate("panel.run.state") == "stopped"
    assert steps(shown) >= before
    shown.run_code("panel.resume()")
    wait_for_steps(shown, 3)
    shown.run_code("panel.stop()")


def test_nothing_went_wrong_and_nothing_left_the_machine(shown: LabPage):
    assert shown.errors == []
    assert shown.foreign == []
