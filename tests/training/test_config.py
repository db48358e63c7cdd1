"""Settings of a training run: refused where they contradict, and read back from JSON."""

import json

import pytest

from tests.support.short_training import HOW
from workbench.training.config import Budget, TrainConfig


def test_a_budget_is_steps_or_seconds():
    for both_or_none in ({}, {"steps": 1, "cpu_seconds": 1.0}):
        with pytest.raises(ValueError, match="not both or none"):
            Budget(**both_or_none)
    assert Budget(steps=0).progress(0, 0.0) == 1
    assert Budget(steps=10).progress(5, 100.0) == 0.5
    assert Budget(cpu_seconds=10).progress(100, 2.5) == 0.25


def test_a_configuration_comes_back_from_json():
    assert TrainConfig.from_json(json.loads(json.dumps(HOW.to_json()))) == HOW
