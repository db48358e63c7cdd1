"""Readouts that are solved for, and the short numbers that weights and solutions become."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.short_training import CONFIG, HOW
from workbench.datasets.dataset import Dataset
from workbench.models.config import ModelConfig
from workbench.models.readouts import Readout, Section
from workbench.storage.bundled import data_path
from workbench.training.config import Budget
from workbench.training.least_squares import RIDGES, NormalEquations, solve
from workbench.training.loop import train
from workbench.training.weight_rounding import ROUNDING, with_short_weights


@pytest.mark.parametrize("gain", [2.0, 0.5], ids=["rejected", "adopted"])
def test_a_readout_on_disk_is_the_one_that_validated_best(tiny, gain):
    """A solution that was tried and rejected must not come back to life when a file is read."""
    *_, last = train(CONFIG, tiny, replace(HOW, stage2=None))
    readout = last.model.baseline.node_head.readout
    readout.forget()
    equations = NormalEquations(readout)
    outputs = sum(k.components * k.outer for k in readout.sections)
    parts = [torch.randn(40, k.components, k.inner) for k in readout.sections]
    equations.add(parts, torch.randn(40, outputs), torch.zeros(40, dtype=torch.long))
    errors = iter([1.0, *[gain] * len(RIDGES)])
    assert solve([equations], lambda: next(errors)) == min(1.0, gain)
    assert readout.solved == (gain < 1)
    fresh = copy.deepcopy(readout)
    fresh.load_state_dict(readout.state_dict())
    assert fresh.solved == readout.solved


def test_a_ridge_weighs_the_same_against_the_rows_of_every_class():
    """Few rows must not be fitted as closely as many: the penalty is one of sums, not of means."""
    readout = Readout([Section(1, 3, 2, False)], n_classes=2)
    equations, rng, ridge = NormalEquations(readout), np.random.default_rng(0), 0.1
    sizes, expected = (100, 5), []
    for k, rows in enumerate(sizes):
        x, y = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
        equations.add([torch.from_numpy(x[:, None])], torch.from_numpy(y), torch.full((rows,), k))
        penalty = ridge * max(sizes) * np.diag((x**2).mean(axis=0))
        expected.append(np.linalg.solve(x.T @ x + penalty, x.T @ y))
    found = equations.solution(ridge)[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_gradient_steps_that_make_features_rough_are_thrown_away():
    """A hundred steps at a huge rate ruin the features; the untrained ones are taken instead."""
    config = ModelConfig(channels=8, layers=1, readout=32, refiner_width=16, refiner_layers=1)
    errors = []
    with Dataset(data_path("datasets", "water.h5")) as water:
        for steps in (0, 100):
            how = replace(HOW, stage1=Budget(steps=steps), stage2=None, learning_rate=0.1)
            *_, last = train(config, water, how)
            errors.append(last.valid_mae_ev)
    assert errors[1] == errors[0]


@pytest.mark.parametrize(("harm", "short"), [(0.5, True), (2.0, False)])
def test_weights_are_rounded_unless_that_costs_more_than_its_share(harm, short):
    """A readout that no solution betters, and an error that grows as its weight is rounded."""
    module = torch.nn.Linear(1, 1, bias=False)
    exact = 1 + 1e-4
    with torch.no_grad():
        module.weight.fill_(exact)
    exact, rounded = module.weight.item(), module.weight.half().item()

    def validate():
        off = abs(module.weight.item() - exact) / abs(rounded - exact)
        return 1 + harm * ROUNDING * off

    with torch.no_grad():
        error = with_short_weights(module, validate, validate)
    assert module.weight.item() == (rounded if short else exact)
    assert error == validate()


@pytest.mark.parametrize(
    ("value", "harm_of_half", "harm_of_float", "kept"),
    [
        (1 + 1e-4, 0.5, 0.1, torch.float16),
        (1 + 1e-4, 2.0, 0.5, torch.float32),
        (1 + 1e-4, np.nan, 0.5, torch.float32),
        (1 + 1e-4, 2.0, 2.0, torch.float64),
        (1e6 + 0.01, 0.5, 0.5, torch.float32),  # beyond float16
    ],
)
def test_solutions_are_as_short_as_costs_no_more_than_its_share(
    value, harm_of_half, harm_of_float, kept
):
    exact = torch.tensor(value, dtype=torch.float64)
    module = torch.nn.Module()
    module.register_buffer("solution", exact.clone())

    def validate():
        if module.solution == exact:
            return 1.0
        rounded_to_float = module.solution == exact.float()
        return 1 + ROUNDING * (harm_of_float if rounded_to_float else harm_of_half)

    with torch.no_grad():
        error = with_short_weights(module, validate, validate)
    assert module.solution == exact.to(kept)
    assert error == validate()
