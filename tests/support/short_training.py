"""A training run of about one second, for tests that train, stop and continue."""

import time
from dataclasses import replace

import torch

from workbench.models.config import ModelConfig
from workbench.models.tensor_file import read_tensors
from workbench.training.config import Budget, TrainConfig
from workbench.training.cutoff import with_cutoff
from workbench.training.initial_model import guess_charges, untrained
from workbench.training.training_set import TrainingSet

CONFIG = ModelConfig(
    lmax=2,
    pseudo_lmax=0,
    channels=8,
    layers=1,
    radial=8,
    readout=16,
    pair_readout=16,
    refiner_width=32,
    refiner_heads=2,
    refiner_layers=1,
)


HOW = TrainConfig(
    stage1=Budget(steps=30),
    stage2=Budget(steps=20),
    batch_size=4,
    validations=2,
    learning_rate=5e-3,
    refiner_learning_rate=2e-3,
    snapshot_seconds=0.0,
)


def weights(path):
    return read_tensors(path)[0]


def assert_same(first, second):
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


RARE = replace(HOW, snapshot_seconds=1e9)  # so that only a stop writes a snapshot


def until(run, step, stage="stage 1"):
    """Wait until a run has reached this step of this stage."""
    for _ in range(6000):
        latest = run.latest
        if latest and (latest.phase, latest.step) >= (stage, step):
            return
        if run.error:
            raise run.error
        time.sleep(0.01)
    raise AssertionError("the run does not progress")


def untrained_model(dataset, config=CONFIG):
    """A model with random weights, and the training and validation sets it is scaled to."""
    config = with_cutoff(config, dataset)
    charges = guess_charges(dataset, dataset.split("train"), config)
    train_set, valid_set = (
        TrainingSet.read(dataset, dataset.split(split), config, dataset.basis, charges)
        for split in ("train", "valid")
    )
    torch.manual_seed(0)
    return untrained(dataset.basis, config, train_set, charges), train_set, valid_set
