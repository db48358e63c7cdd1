"""A run that is stopped or killed continues from its snapshot to the same bits."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from tests.support.short_training import CONFIG, HOW, assert_same
from workbench.datasets.dataset import Dataset
from workbench.engines.openblas import core_type
from workbench.models.tensor_file import CheckpointError, read_tensors, write_tensors
from workbench.training.best_weights import OptimiserState
from workbench.training.config import TrainingError
from workbench.training.loop import train
from workbench.training.run import Progress


@pytest.mark.parametrize("stop_after", [7, 30, 31, 42])
def test_stopping_and_going_on_is_bit_exact(uninterrupted, tiny, tmp_path, stop_after):
    records = train(CONFIG, tiny, HOW, tmp_path)
    for _ in range(stop_after):
        next(records)
    records.close()
    rest = list(train(CONFIG, tiny, HOW, tmp_path))
    assert 0 < len(rest) <= 53 - stop_after + 1
    assert_same(uninterrupted[0] / "model.safetensors", tmp_path / "model.safetensors")


def go_on(dataset_path, directory, steps):
    """Continue a run, telling each step through a pipe; forked, so that it starts at once."""
    with Dataset(dataset_path) as dataset:
        for record in train(CONFIG, dataset, HOW, directory):
            steps.send(record.step)


def test_ten_kills_change_nothing(uninterrupted, tiny_path, tmp_path):
    """SIGKILL at random moments, ten times, then to the end: the same weights."""
    rng, fork = random.Random(0), multiprocessing.get_context("fork")
    for kill in range(11):
        receive, send = fork.Pipe(duplex=False)
        process = fork.Process(target=go_on, args=(tiny_path, tmp_path, send))
        process.start()
        send.close()
        if kill < 10:
            for _ in range(rng.randint(1, 4)):  # so many steps, then at any point of the next
                receive.recv()
            time.sleep(rng.random() * 0.05)
            process.kill()
        process.join()
        assert process.exitcode == (-signal.SIGKILL if kill < 10 else 0)
    assert_same(uninterrupted[0] / "model.safetensors", tmp_path / "model.safetensors")


PART = """
import sys, torch
torch.set_num_threads(1)
from tests.support.short_training import CONFIG, HOW
from workbench.datasets.dataset import Dataset
from workbench.training.loop import train
records = train(CONFIG, Dataset(sys.argv[1]), HOW, sys.argv[2])
for number, record in enumerate(records):
    if number == int(sys.argv[3]):
        break
records.close()
"""


def part_of_a_run(dataset, directory, last, kernels):
    """Train until the record ``last``; OPENBLAS_CORETYPE tells what kernels to use."""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    environment |= {} if kernels is None else {"OPENBLAS_CORETYPE": kernels}
    command = [sys.executable, "-c", PART, dataset, directory, str(last)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("kernels", [None, "Haswell", "Prescott"])
def test_under_the_same_kernels_a_run_continues_to_the_same_bits(tiny_path, tmp_path, kernels):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    part_of_a_run(tiny_path, whole, 1000, kernels)
    for last in (8, 1000):
        assert "its results differ in the last digits" not in part_of_a_run(
            tiny_path, parts, last, kernels
        )
    assert_same(whole / "model.safetensors", parts / "model.safetensors")


@pytest.mark.skipif(core_type() is None, reason="a processor whose kernels are not chosen")
def test_a_run_that_continues_under_other_kernels_says_so(tiny_path, tmp_path):
    part_of_a_run(tiny_path, tmp_path, 8, "Haswell")
    said = part_of_a_run(tiny_path, tmp_path, 1000, "Prescott")
    assert "its results differ in the last digits" in said
    assert "Haswell kernels of OpenBLAS" in said


def test_a_finished_run_stays_finished(uninterrupted, tiny):
    directory, _ = uninterrupted
    before = (directory / "model.safetensors").read_bytes()
    assert list(train(CONFIG, tiny, HOW, directory)) == []
    assert (directory / "model.safetensors").read_bytes() == before


def test_another_run_in_the_same_place_is_refused(uninterrupted, tiny):
    with pytest.raises(TrainingError, match="another train setting"):
        next(train(CONFIG, tiny, replace(HOW, seed=1), uninterrupted[0]))


# ---- the format of a snapshot ---------------------------------------------------------------


def test_a_snapshot_keeps_the_names_that_older_ones_have(tiny, tmp_path):
    """Snapshots of earlier versions must be continued: neither names nor header may change."""
    records = train(CONFIG, tiny, HOW, tmp_path)
    for _ in range(7):
        next(records)
    records.close()
    tensors, header = read_tensors(tmp_path / "snapshot.safetensors")
    assert list(header) == [
        *("settings", "rounding", "phase", "step", "cpu_seconds", "best", "history")
    ]
    assert (header["phase"], header["step"]) == (0, 7)
    assert {name.split(".")[0] for name in tensors} == {
        *("model", "average", "best", "adam", "scaling")
    }
    moments = {name.split(".")[2] for name in tensors if name.startswith("adam.")}
    assert moments == {"step", "exp_avg", "exp_avg_sq"}


@pytest.fixture
def stopped(tiny, tmp_path):
    """The snapshot of a run after seven steps."""
    records = train(CONFIG, tiny, HOW, tmp_path)
    for _ in range(7):
        next(records)
    records.close()
    return tmp_path / "snapshot.safetensors"


def test_a_wrong_bit_in_a_snapshot_is_refused(stopped, tiny):
    content, rng = stopped.read_bytes(), random.Random(2)
    for _ in range(60):
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        stopped.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        with pytest.raises(CheckpointError, match=r"is damaged or|has no header|not finite"):
            next(train(CONFIG, tiny, HOW, stopped.parent))


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [("step", -1), ("step", 2.5), ("phase", 7), ("cpu_seconds", "long"), ("history", {})],
)
def test_a_wrong_entry_in_a_snapshot_is_named(stopped, tiny, entry, wrong):
    tensors, header = read_tensors(stopped)
    write_tensors(stopped, tensors, {**header, entry: wrong})
    with pytest.raises(TrainingError, match=f"{entry} must be .* the run begins again"):
        next(train(CONFIG, tiny, HOW, stopped.parent))


@pytest.mark.parametrize("name", ["model.baseline.species.weight", "average.0", "scaling.kappa"])
def test_tensors_that_do_not_fit_a_snapshot_are_refused(stopped, tiny, name):
    tensors, header = read_tensors(stopped)
    write_tensors(stopped, {**tensors, name: torch.zeros(2, 3, 5)}, header)
    with pytest.raises(TrainingError, match="do not fit its settings: remove it"):
        next(train(CONFIG, tiny, HOW, stopped.parent))


def test_history_names_the_solved_readouts_as_files_always_did(uninterrupted):
    history = uninterrupted[1][-1].model.info["history"]
    phases = ["stage 1", "stage 1", "stage 1, solved", "stage 2", "stage 2", "stage 2, solved"]
    assert [row["phase"] for row in history] == phases
    assert all(set(row) == {"phase", "step", "cpu_seconds", "valid_mae_ev"} for row in history)


@pytest.mark.parametrize("best_ev", [0.25, float("inf")])
def test_progress_comes_back_from_a_header(best_ev):
    progress = Progress(1, 12, 3.5, best_ev, [{"phase": "stage 1", "step": 30}])
    assert Progress.from_json(progress.to_json()) == progress
    assert progress.to_json()["best"] in (0.25, None)  # JSON has no infinity


def stepped(state, network, steps):
    """Some steps of the optimiser on one input."""
    for _ in range(steps):
        state.optimizer.zero_grad()
        network(torch.ones(1, 3)).square().sum().backward()
        state.optimizer.step()
        state.update_average(0.5)
    return state


def test_a_restored_optimiser_steps_to_the_same_bits():
    torch.manual_seed(0)
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    state = stepped(OptimiserState(first, 0.1), first, 5)
    state.keep_average()
    saved = {name: tensor.clone() for name, tensor in state.tensors().items()}
    second.load_state_dict(first.state_dict())
    restored = OptimiserState(second, 0.1)
    restored.restore(saved)
    stepped(state, first, 3)
    stepped(restored, second, 3)
    for name, tensor in restored.tensors().items():
        assert torch.equal(tensor, state.tensors()[name]), name
        if name.startswith(("average.", "best.")):  # only the running average moves on
            assert name.startswith("best.") == torch.equal(tensor, saved[name]), name


def test_an_optimiser_without_a_snapshot_starts_anew():
    network = torch.nn.Linear(3, 2)
    state = OptimiserState(network, 0.1)
    state.restore({"model.weight": torch.zeros(2, 3)})
    assert not any(name.startswith("adam.") for name in state.tensors())
    assert torch.equal(state.average[0], network.weight)
