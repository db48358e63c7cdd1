"""An objective's numbers are the errors that are reported: of matrices, in eV, in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.short_training import CONFIG, untrained_model
from workbench.evaluation.errors import matrix_errors
from workbench.training.loss import mean_modulus
from workbench.training.objective import Objective
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.stage2_objective import Stage2Objective

EVERY = {
    "with a guess": CONFIG,
    "without a guess": replace(CONFIG, guess="none"),
    "in local axes": replace(CONFIG, guess="none", refiner_frame="local"),
}


@pytest.fixture(params=list(EVERY))
def objectives(request, tiny):
    """Both stages of an untrained model whose stage 2 corrects something."""
    model, train_set, valid_set = untrained_model(tiny, EVERY[request.param])
    first: Objective = Stage1Objective(model, train_set, valid_set)
    second: Objective = Stage2Objective(model, train_set, valid_set, turning=False)
    with torch.no_grad():
        for parameter in model.refiner.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return first, second


def reported_ev(predictor, dataset, split):
    """The mean over structures of the error that `matrix_errors` gives."""
    errors = [
        matrix_errors(predictor(dataset.atoms(int(i))), dataset[int(i)].H).mae_mev / 1000
        for i in dataset.split(split)
    ]
    return float(np.mean(errors))


def test_the_validation_error_is_the_reported_error(objectives, tiny):
    first, second = objectives
    model = first.model
    expected = reported_ev(model.stage1, tiny, "valid"), reported_ev(model, tiny, "valid")
    assert first.validate() == pytest.approx(expected[0], rel=1e-5)
    assert second.validate() == pytest.approx(expected[1], rel=1e-4)
    assert abs(expected[0] - expected[1]) > 1e-3 * expected[0]  # stage 2 does correct something


def test_the_loss_is_the_error_over_the_elements_of_the_mini_batch(objectives, tiny):
    """Structures with more elements weigh more: waters have 49, hydrogen fluorides 36."""
    first, second = objectives
    indices, samples = [0, 3], [int(tiny.split("train")[k]) for k in (0, 3)]
    sizes = np.array([tiny[i].H.dense().size for i in samples])
    assert sizes.tolist() == [49, 36]
    for objective, predictor in ((first, first.model.stage1), (second, first.model)):
        loss = objective.loss(objective.module, torch.tensor(indices), (0, 0, 0)).item()
        errors = [
            matrix_errors(predictor(tiny.atoms(i)), tiny[i].H).mae_mev / 1000 for i in samples
        ]
        if objective is second and first.model.averages_inversion:
            continue  # predictions average over the inverted image, the loss does not
        assert loss == pytest.approx(np.average(errors, weights=sizes), rel=1e-3)


def test_the_unit_is_what_there_is_to_learn(objectives):
    first, second = objectives
    assert first.unit_ev == mean_modulus(first.targets[0], first.train) > 0
    assert second.unit_ev == mean_modulus(second.targets, second.train) > 0
    assert (first.name, second.name) == ("stage 1", "stage 2")
    assert first.module is first.model.baseline
    assert second.module is first.model.refiner


def test_refitted_readouts_lower_the_error_that_is_then_validated(tiny):
    model, train_set, valid_set = untrained_model(tiny, EVERY["without a guess"])
    for stage in (Stage1Objective, Stage2Objective):
        objective = stage(model, train_set, valid_set)
        before, after = objective.validate(), objective.solve()
        assert after < before if objective.name == "stage 1" else after <= before
        assert objective.validate() == pytest.approx(after, rel=1e-9)


def test_stage_two_is_rotated_at_random_by_its_seed_alone(tiny):
    model, train_set, valid_set = untrained_model(tiny, EVERY["without a guess"])
    objective, indices = Stage2Objective(model, train_set, valid_set), torch.arange(4)
    losses = [objective.loss(objective.module, indices, (0, 1, s)).item() for s in (5, 5, 6)]
    assert losses[0] == losses[1] != losses[2]
    fixed = Stage2Objective(model, train_set, valid_set, turning=False)
    losses = [fixed.loss(fixed.module, indices, (0, 1, s)).item() for s in (5, 6)]
    assert losses[0] == losses[1]
