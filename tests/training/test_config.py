"""Settings of a training run: refused where they contradict, and read back from JSON."""

import json
from dataclasses import fields

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


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e308, True, "600", 10**400])
def test_a_budget_in_seconds_is_finite_and_not_negative(seconds):
    with pytest.raises(ValueError, match=r"Budget\.cpu_seconds must be a number from 0 to"):
        Budget(cpu_seconds=seconds)


@pytest.mark.parametrize("steps", [-5, 1e3, float("nan"), 10**30, True, "5"])
def test_a_budget_in_steps_is_a_whole_number(steps):
    with pytest.raises(ValueError, match=r"Budget\.steps must be a whole number from 0 to"):
        Budget(steps=steps)


@pytest.mark.parametrize("value", ["two", -1, 1e400, float("nan"), 10**12, [1], {"a": 1}, ""])
@pytest.mark.parametrize("name", [field.name for field in fields(TrainConfig)])
def test_every_setting_refuses_what_it_cannot_be(name, value):
    with pytest.raises(ValueError, match=rf"TrainConfig\.{name} must be .*\.$|^Budget has no"):
        TrainConfig.from_json({name: value})


@pytest.mark.parametrize("name", ["batch_size", "devices"])
def test_counts_start_at_one(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 1"):
        TrainConfig(**{name: 0})


def test_what_a_snapshot_holds_is_checked_as_the_arguments_are():
    with pytest.raises(ValueError, match="Budget has no field 'hours': it has steps"):
        TrainConfig.from_json({"stage1": {"hours": 1}})
    with pytest.raises(ValueError, match=r"Budget\.steps must be"):
        TrainConfig.from_json({"stage2": {"steps": -1}})
    assert TrainConfig.from_json({"stage2": None}).stage2 is None


def test_each_device_needs_a_structure_of_a_mini_batch():
    TrainConfig(devices=4, batch_size=4)
    with pytest.raises(ValueError, match="Each of 4 devices needs a structure of a mini-batch"):
        TrainConfig(devices=4, batch_size=3)
