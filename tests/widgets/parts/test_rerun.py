"""A cell that runs again closes what it made before, and nothing else."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets.widgets.widget import _instances

import workbench as wb


class Shell(InteractiveShell):
    """A shell that knows, as a kernel's does, which message it answers."""

    message: dict = {}  # noqa: RUF012

    def get_parent(self) -> dict:
        return self.message


@pytest.fixture
def shell():
    """IPython as it runs in a kernel; `run(cell, number)` is a cell of JupyterLab."""
    InteractiveShell.clear_instance()
    made = Shell.instance()

    def run(code: str, cell: str, number: int) -> object:
        made.message = {"metadata": {"cellId": cell}, "header": {"msg_id": str(number)}}
        done = made.run_cell(code, store_history=False)
        done.raise_error()
        made.message = {}
        return done.result

    made.run_cell("import workbench as wb, numpy as np, ipywidgets as widgets")
    yield run
    Shell.clear_instance()


LAB = "wb.TurnedHeat(lambda R: [R], ['R'])"


def test_running_a_cell_again_closes_its_widgets(shell):
    before = len(_instances)
    first = shell(LAB, "a", 1)
    once = len(_instances)
    second = shell(LAB, "a", 2)
    assert first.comm is None
    assert second.comm is not None
    assert len(_instances) == once > before
    second.close()
    assert len(_instances) == before


def test_other_cells_and_other_peoples_widgets_stay(shell):
    heat = shell("wb.Heat(np.eye(2))", "a", 1)
    theirs = shell("widgets.IntSlider()", "b", 2)
    shell("wb.Heat(np.eye(2))", "c", 3)
    shell("widgets.IntSlider()", "b", 4)
    assert heat.comm is not None
    assert theirs.comm is not None
    widgets.Widget.close_all()


def test_several_of_one_run_stay_together(shell):
    made = shell("[wb.Heat(k * np.eye(2)) for k in (1, 2, 3)]", "a", 1)
    assert all(heat.comm is not None for heat in made)
    shell("1 + 1", "a", 2)
    assert all(heat.comm is not None for heat in made)  # this run has made no others
    shell("wb.Heat(np.eye(2))", "a", 3)
    assert all(heat.comm is None for heat in made)
    widgets.Widget.close_all()


def test_outside_of_a_notebook_nothing_is_closed():
    made = [wb.Heat(np.eye(2)) for _ in range(2)]
    assert all(heat.comm is not None for heat in made)
    for heat in made:
        heat.close()
