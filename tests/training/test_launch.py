"""Which processes a training has, by the variables that launchers set."""

import pytest

from workbench.training.config import TrainConfig, TrainingError
from workbench.training.launch import Group, fabric_of, group

TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_STEP_NUM_NODES": "2"}
BATCH = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}  # of a script that srun did not start


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (BATCH, None),
        (TORCHRUN, Group(rank=5, size=8, nodes=2, slurm=False)),
        (SRUN, Group(rank=5, size=8, nodes=2, slurm=True)),
    ],
    ids=["alone", "batch", "torchrun", "srun"],
)
def test_the_environment_says_which_process_this_is(variables, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert group() == expected


def test_a_training_without_its_processes_is_refused_at_once(monkeypatch):
    with pytest.raises(TrainingError, match="devices=2 needs 2 processes: `python -m workbench"):
        fabric_of(TrainConfig(devices=2))
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="8 processes were started for devices=2: give both"):
        fabric_of(TrainConfig(devices=2))
