"""A run that is stopped or killed continues from its snapshot to the same bits."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace

import pytest
import torch

from tests.support.faults import in_a_copy, small_disk
from tests.support.short_training import CONFIG, HOW, assert_same
from workbench.datasets.dataset import Dataset
from workbench.engines.openblas import core_type
from workbench.models.tensor_file import CheckpointError, read_tensors, write_tensors
from workbench.storage.lock import LockError
from workbench.storage.writing_errors import TargetError, WritingError
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_at_random_times_lose_no_step(uninterrupted, tiny_path, tmp_path, number):
    """Every stop saves the last step that was told, or a later one, until the run is at its end."""
    rng, fork = random.Random(int(number)), multiprocessing.get_context("fork")
    settings, stops = replace(HOW, snapshot_seconds=1e9), 0

    def work(steps):
        signal.signal(number, signal.default_int_handler)
        with (
            suppress(KeyboardInterrupt),
            Dataset(tiny_path) as dataset,
            closing(train(CONFIG, dataset, settings, tmp_path)) as records,
        ):
            for record in records:
                steps.send((record.phase, record.step))
            signal.signal(number, signal.SIG_IGN)  # a later one would strike the end of the process

    while not (tmp_path / "model.safetensors").exists():
        receive, send = fork.Pipe(duplex=False)
        process = fork.Process(target=work, args=(send,))
        process.start()
        send.close()
        told = []
        with suppress(EOFError):  # a run whose stages are both trained tells no step
            told.append(receive.recv())
            time.sleep(rng.random() * 0.1)
            os.kill(process.pid, number)
            while True:
                told.append(receive.recv())
        process.join()
        assert process.exitcode == 0
        header = read_tensors(tmp_path / "snapshot.safetensors")[1]
        saved = f"stage {header['phase'] + 1}", header["step"]
        assert all(step <= saved for step in told)
        stops += 1
    assert stops > 2
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


# ---- the disk -------------------------------------------------------------------------------


def test_a_run_goes_on_when_the_disk_has_room_again(uninterrupted, tiny, tmp_path):
    with small_disk(tmp_path / "small", "size=64k") as disk:
        with pytest.raises(WritingError, match=r"snapshot\.safetensors is not written, since the"):
            list(train(CONFIG, tiny, HOW, disk / "run"))
        assert os.listdir(disk / "run") == []
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        list(train(CONFIG, tiny, HOW, disk / "run"))
        assert_same(uninterrupted[0] / "model.safetensors", disk / "run" / "model.safetensors")
        names = ["model.safetensors", "snapshot.safetensors"]
        assert sorted(os.listdir(disk / "run")) == names


def test_a_place_that_cannot_be_written_is_known_before_training(tiny, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(TargetError, match="file is a file, and what is written here is a folder"):
        next(train(CONFIG, tiny, HOW, tmp_path / "file"))
    with (
        small_disk(tmp_path / "small", "ro") as disk,
        pytest.raises(WritingError, match="the file system is read-only"),
    ):
        next(train(CONFIG, tiny, HOW, disk / "run"))


def test_a_model_of_another_run_is_not_replaced(uninterrupted, tiny, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes((uninterrupted[0] / "model.safetensors").read_bytes())
    with pytest.raises(TrainingError, match="holds a model without the snapshot of its run"):
        next(train(CONFIG, tiny, replace(HOW, seed=1), tmp_path))
    assert model.read_bytes() == (uninterrupted[0] / "model.safetensors").read_bytes()


def test_two_runs_in_one_process_and_in_two_are_refused(tiny, tiny_path, tmp_path):
    records = train(CONFIG, tiny, HOW, tmp_path)
    next(records)
    with pytest.raises(LockError, match="This process is already writing"):
        next(train(CONFIG, tiny, HOW, tmp_path))
    code, said = in_a_copy(lambda: next(train(CONFIG, tiny, HOW, tmp_path)))
    assert code == 1
    assert f"Process {os.getpid()} is already writing" in said
    records.close()
    assert next(train(CONFIG, tiny, HOW, tmp_path)).step == 2
