"""``train --devices``: two processes that are one training, and that end together."""

import os
import signal

import pytest
from joblib import cpu_count

from tests.support.command_line import numbers_of, refusal, started
from tests.support.processes import children_of, wait_for_end
from workbench.cli.exit_codes import ExitCode
from workbench.models.checkpoint import load_model

several = pytest.mark.skipif(cpu_count() < 2, reason="a machine with one core")

SMALL = [
    *("--set", "guess=none", "--set", "channels=4", "--set", "layers=1", "--set", "readout=8"),
    *("--set", "pair_readout=8", "--set", "refiner_width=16", "--set", "refiner_layers=1"),
]
SHORT = ("--stage1", 8, "--stage2", 6, *SMALL, "--set", "batch_size=5")
LONG = ("--stage1", 10**6, "--stage2", "none", *SMALL, "--set", "validations=200000")


@several
def test_two_processes_are_one_with_the_same_mini_batches(tiny_path, tmp_path):
    """Five structures a step, three of them in the first process: the errors agree, in one file."""
    process = started("train", tiny_path, "--out", tmp_path / "two", "--devices", 2, *SHORT)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    steps = [line for line in said.splitlines() if line.startswith("stage 1, step 1:")]
    assert len(steps) == 1  # only one of them speaks
    assert said.count("\n") == 8 + 6 + 2 + 1, said
    one = numbers_of("train", tiny_path, "--out", tmp_path / "one", *SHORT)
    first, second = (load_model(tmp_path / name / "model.safetensors") for name in ("two", "one"))
    errors = [[row["valid_mae_ev"] for row in m.info["history"]] for m in (first, second)]
    assert len(errors[0]) == 16
    assert errors[0] == pytest.approx(errors[1], rel=1e-5)
    assert first.info["train"]["devices"] == 2
    assert one["step"] == 6


@several
def test_an_interrupt_saves_and_leaves_no_process(tiny_path, tmp_path):
    process, processes = training(tiny_path, tmp_path, ("--set", "devices=2"))
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == ExitCode.INTERRUPTED
    sentences = [line for line in said.splitlines() if "validation" not in line]
    assert sentences == [f"Stopped. {tmp_path} holds the state: the same command resumes the run."]
    wait_for_end(processes)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.safetensors"]


@several
def test_a_process_that_is_killed_ends_the_other(tiny_path, tmp_path):
    process, processes = training(tiny_path, tmp_path, ("--devices", 2))
    os.kill(processes[1], signal.SIGKILL)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == ExitCode.SYSTEM
    sentences = [line for line in said.splitlines() if "validation" not in line]
    assert sentences == [
        "Error: Process 2 of 2 was ended by SIGKILL, so the training stopped: the same "
        "command resumes it from its last snapshot."
    ]
    wait_for_end(processes)


@several
def test_processes_end_with_the_one_that_started_them(tiny_path, tmp_path):
    process, processes = training(tiny_path, tmp_path, ("--devices", 2))
    process.kill()
    wait_for_end(processes)
    process.communicate()


def test_more_devices_than_the_machine_has_are_refused_at_once(tiny_path, tmp_path):
    words = ("--set", "devices=1000", "--set", "batch_size=1000")
    said = refusal("train", tiny_path, "--out", tmp_path / "a", *words)
    assert "devices=1000 needs 1000 GPUs or CPU cores, and this machine has" in said
    assert not list(tmp_path.iterdir())


def training(dataset, folder, words):
    """A training that has made some steps, and the two processes that it started."""
    process = started("train", dataset, "--out", folder, *LONG, *words)
    for line in process.stderr:
        if "step 10:" in line:
            break
    processes = sorted(children_of(process.pid))
    assert len(processes) == 2
    return process, processes
