"""Orbital energies as SVG."""

from __future__ import annotations

import numpy as np

import workbench as wb
from workbench.evaluation.orientation_comparison import Experiment
from workbench.views.level_picture import level_picture, tick_values, window

TURN = wb.rotation((1, 1, 0), 40)


def test_the_level_diagram_stands_still_exactly_when_the_levels_do(water, model, ref):
    experiment = Experiment(water, model, ref)
    before = experiment.upright.levels

    def picture(name):
        now = {name: experiment.at(TURN).levels[name]}
        return level_picture(now, before, 5, {name: 0.0})

    unmoved = level_picture({"baseline": before["baseline"]}, before, 5, {"baseline": 0.0})
    assert picture("baseline") == unmoved
    assert picture("refined") != level_picture(
        {"refined": before["refined"]}, before, 5, {"refined": 0.0}
    )


def test_the_window_leaves_the_core_out_and_ticks_are_round():
    low, high = window(np.array([-510.0, -25, -13, -7, 1, 20, 400]), 4)
    assert -30 < low < -25
    assert 20 < high < 30
    assert tick_values(-26, 21) == [-20, -10, 0, 10, 20]
