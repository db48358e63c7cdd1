"""StructureView, its messages, and the script that all pictures share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

import workbench as wb
from tests.support.live_views import receive, turn_message
from workbench.views.drawn_structure import bonds, bonds_across, cell_lines
from workbench.views.structure import SCRIPT
from workbench.widgets import StructureView
from workbench.widgets.orbital_pictures import OrbitalPictures

TURN = wb.rotation((1, 1, 0), 40)

pytestmark = pytest.mark.usefixtures("raise_errors")


def test_widgets_load_neither_torch_nor_pyscf_nor_plotly():
    heavy = "{'torch', 'pyscf', 'plotly', 'e3nn'}"
    code = f"import sys, workbench.widgets; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_3dmol_is_shipped_once_and_sent_once(water):
    shipped = Path(wb.__file__).parent.rglob("*.js")
    copies = [path for path in shipped if "createViewerGrid" in path.read_text()]
    assert copies == [SCRIPT]
    views = [StructureView(water), StructureView(water), OrbitalPictures(water)]
    assert len({view.script for view in views}) == 1
    assert views[0].script.text == SCRIPT.read_text()
    sent = [len(json.dumps(view.get_state(), default=str)) for view in views]
    assert max(sent) < 40_000
    assert views[0].get_state()["script"] == f"IPY_MODEL_{views[0].script.model_id}"


def test_the_script_comes_again_after_it_was_closed(water):
    first = StructureView(water).script
    first.close()
    again = StructureView(water).script
    assert first.comm is None
    assert again.comm is not None


def test_bonds_and_cell_of_known_structures(water):
    assert bonds(water) == [(0, 1), (0, 2)]
    assert cell_lines(water) == []
    lines = np.array(cell_lines(bulk("Si", cubic=True)))
    assert lines.shape == (12, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1), 5.43)
    assert bonds_across(water) == []
    stubs = np.array(bonds_across(bulk("Si")))  # two atoms, each with three of its four bonds
    assert stubs.shape == (6, 2, 3)
    half = 5.43 * np.sqrt(3) / 8
    np.testing.assert_allclose(np.linalg.norm(stubs[:, 1] - stubs[:, 0], axis=1), half)


def test_a_turn_is_acknowledged_after_the_callbacks(water, monkeypatch):
    view, events = StructureView(water), []
    monkeypatch.setattr(view, "send", lambda content: events.append(content["kind"]))
    view.on_turn(lambda R, moving: events.append((R, moving)))
    receive(view, turn_message(TURN, moving=True))
    (R, moving), answer = events
    np.testing.assert_allclose(R, TURN, atol=1e-12)
    assert moving is True
    assert answer == "ack"


def test_a_failing_callback_is_acknowledged_too(water, monkeypatch):
    view, sent = StructureView(water), []
    monkeypatch.setattr(view, "send", sent.append)
    view.on_turn(lambda R, moving: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        receive(view, turn_message(TURN))
    assert sent == [{"kind": "ack", "view": "v", "tick": 1}]


def test_a_new_view_receives_the_present_orientation(water, monkeypatch):
    view, sent = StructureView(water), []
    view.turn_to(wb.rotation((0, 0, 1), 90))
    monkeypatch.setattr(view, "send", sent.append)
    receive(view, {"kind": "hello"})
    np.testing.assert_allclose(sent[0]["quaternion"], [0, 0, 0.5**0.5, 0.5**0.5])
