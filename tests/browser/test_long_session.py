"""Using widgets again and again leaves nothing behind; benchmarks/long_session.py is longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jupyter import LabPage
from tests.support.session import Session

# A stand-in for the model, which needs no training: what is counted here is what the page holds.
SYSTEMS = """
from types import SimpleNamespace
def system(name):
    atoms = wb.load(name)
    ref = wb.reference(atoms, basis="sto-3g", xc="hf")
    def predict(atoms):
        exact = wb.overlap(atoms, ref.H.basis)
        return SimpleNamespace(baseline=exact, refined=exact + 0.01 * ref.H)
    return atoms, ref, SimpleNamespace(predict=predict)
systems = cycle([system(name) for name in ("water", "ammonia")])
"""
COUNTED = ("contexts", "copies", "widgets", "comms", "observers")
FEW_LISTENERS = 8  # a viewer that is not let go leaves three, and each round makes three of them


@pytest.mark.slow
def test_running_switching_and_dragging_leave_nothing_behind(page: LabPage, notebooks: Path):
    session = Session(page, notebooks, SYSTEMS)
    session.round(drags=1)
    session.round(drags=1)
    before = session.held()
    assert before["contexts"] > 0
    assert before["widgets"] > 100
    assert before["copies"] == 1  # of 3Dmol.js
    for _ in range(4):
        session.round(drags=1)
    after = session.held()
    assert {key: after[key] for key in COUNTED} == {key: before[key] for key in COUNTED}
    assert after["listeners"] <= before["listeners"] + FEW_LISTENERS
    assert page.errors == []
