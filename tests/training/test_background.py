"""Training in the background: paused, stopped, failed and gone on with, to the same bits."""

import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.faults import small_disk
from tests.support.short_training import CONFIG, HOW, RARE, assert_same, until
from workbench.datasets.dataset import Dataset
from workbench.models.checkpoint import load_model
from workbench.storage.lock import LockError
from workbench.storage.writing_errors import WritingError
from workbench.training.background import FAILED, FINISHED, PAUSED, READY, STOPPED, LiveTraining
from workbench.training.config import Budget, TrainingError
from workbench.training.curves import Curves, Point
from workbench.training.loop import train
from workbench.training.run import Progress


@pytest.fixture(scope="module")
def undisturbed(tiny_path, tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    with Dataset(tiny_path) as dataset:
        list(train(CONFIG, dataset, RARE, directory))
    return directory


def test_paused_and_stopped_many_times_it_ends_with_the_bits_of_an_undisturbed_run(
    undisturbed, tiny_path, tmp_path
):
    run = LiveTraining(CONFIG, tiny_path, RARE, tmp_path)
    assert run.state == READY
    for step in (2, 9, 17):
        run.go()
        until(run, step)
        run.pause()
        assert run.wait(60)
        assert run.state == PAUSED
        held = run.latest.step
        torch.rand(5)  # other cells draw numbers meanwhile
        assert run.model.stage1(run.example).max_abs() > 0
        assert run.latest.step == held
        run.go()
        until(run, step + 2)
        run.stop()
        assert run.state == STOPPED
        assert (tmp_path / "snapshot.safetensors").is_file()
    run.go()
    assert run.wait(120)
    assert run.state == FINISHED
    assert_same(undisturbed / "model.safetensors", tmp_path / "model.safetensors")
    with pytest.raises(TrainingError, match="finished"):
        run.go()


def test_asking_for_the_model_and_its_symmetry_changes_nothing(undisturbed, tiny_path, tmp_path):
    run = LiveTraining(CONFIG, tiny_path, RARE, tmp_path)
    run.go()
    asked = 0
    while not run.wait(0.0):
        if run.latest is not None:
            assert np.isfinite(run.model(run.example).values).all()
            asked += 1
    assert asked > 3
    assert len(run.curves.symmetry) >= 3
    assert {len(point.values) for point in run.curves.symmetry} == {4}  # both stages, twice
    assert_same(undisturbed / "model.safetensors", tmp_path / "model.safetensors")


def test_the_next_process_shows_the_history_and_goes_on(undisturbed, tiny_path, tmp_path):
    first = LiveTraining(CONFIG, tiny_path, RARE, tmp_path)
    first.go()
    until(first, 4, "stage 2")
    first.stop()
    seen = first.curves
    second = LiveTraining(CONFIG, tiny_path, RARE, tmp_path)
    assert second.state == STOPPED
    assert len(second.curves.losses) == len(seen.losses) > 30
    assert [p.values for p in second.curves.validation] == [p.values for p in seen.validation]
    assert len(second.curves.symmetry) == len(seen.symmetry)
    second.go()
    assert second.wait(120)
    assert [p.step for p in second.curves.losses] == [*range(1, 31), *range(1, 21)]
    assert_same(undisturbed / "model.safetensors", tmp_path / "model.safetensors")
    third = LiveTraining(CONFIG, tiny_path, RARE, tmp_path)
    assert third.state == FINISHED
    there = load_model(tmp_path / "model.safetensors")
    assert (third.model(third.example) - there(third.example)).max_abs() == 0


def test_points_after_the_snapshot_are_dropped_as_they_will_come_again(tmp_path):
    curves = Curves(losses=[Point(0, step, 0.1 * step, (500.0,)) for step in (1, 2, 3)])
    curves.write(tmp_path)
    assert [p.step for p in Curves.of(tmp_path, Progress(stage=0, step=2)).losses] == [1, 2]
    assert len(Curves.of(tmp_path, Progress(stage=1)).losses) == 3


def test_without_a_directory_a_stopped_run_waits_in_memory(undisturbed, tiny_path):
    run = LiveTraining(CONFIG, tiny_path, RARE)
    run.go()
    until(run, 5)
    run.stop()
    step = run.latest.step
    run.go()
    until(run, step + 1)
    assert run.latest.step > step
    assert run.wait(120)
    there = load_model(undisturbed / "model.safetensors").state_dict()
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, there[name]), name


def test_an_error_ends_the_run_and_its_state_is_kept(undisturbed, tiny_path, tmp_path):
    """The dataset is away when the run starts; once it is back the run goes on."""
    place = tmp_path / "tiny.h5"
    place.write_bytes(tiny_path.read_bytes())
    run = LiveTraining(CONFIG, place, RARE, tmp_path / "run")
    place.rename(tmp_path / "away.h5")
    run.go()
    with pytest.raises(Exception, match="tiny"):
        run.wait(60)
    assert run.state == FAILED
    (tmp_path / "away.h5").rename(place)
    run.go()
    assert run.wait(120)
    assert run.error is None
    assert_same(undisturbed / "model.safetensors", tmp_path / "run" / "model.safetensors")


def test_a_full_disk_ends_the_run_and_it_goes_on_when_there_is_room(
    undisturbed, tiny_path, tmp_path
):
    with small_disk(tmp_path / "small", "size=64k") as disk:
        run = LiveTraining(CONFIG, tiny_path, replace(RARE, snapshot_seconds=0.0), disk / "run")
        run.go()
        with pytest.raises(WritingError, match="the disk is full: free space, or choose another"):
            run.wait(60)
        assert run.state == FAILED
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        run.go()
        assert run.wait(120)
        assert_same(undisturbed / "model.safetensors", disk / "run" / "model.safetensors")


def test_one_directory_holds_one_run(tiny_path, tmp_path):
    run = LiveTraining(CONFIG, tiny_path, RARE, tmp_path).or_under_way()
    run.go()
    until(run, 2)
    run.pause()
    run.wait(60)
    assert LiveTraining(CONFIG, tiny_path, RARE, tmp_path).or_under_way() is run
    with pytest.raises(LockError, match="already writing"), Dataset(tiny_path) as tiny:
        next(train(CONFIG, tiny, RARE, tmp_path))
    run.stop()
    assert LiveTraining(CONFIG, tiny_path, RARE, tmp_path).or_under_way() is not run
    with pytest.raises(TrainingError, match="another train setting"):
        LiveTraining(CONFIG, tiny_path, replace(RARE, seed=1), tmp_path)


def test_a_pause_costs_no_budget_in_cpu_seconds(tiny_path):
    how = replace(HOW, stage1=Budget(cpu_seconds=1e6), stage2=None)
    run = LiveTraining(CONFIG, tiny_path, how)
    run.go()
    until(run, 3)
    run.pause()
    run.wait(60)
    before, step, start = run.latest.cpu_seconds, run.latest.step, time.process_time()
    while time.process_time() - start < 1.0:
        sum(range(1000))
    run.go()
    until(run, step + 1)
    run.stop()
    steps = run.latest.step - step
    assert run.latest.cpu_seconds - before < 1.0 + 0.9 * steps - 0.9
    assert run.seconds_left is None


def test_the_main_thread_runs_while_it_trains(tiny_path):
    how = replace(HOW, stage1=Budget(steps=10**6), stage2=None)
    run = LiveTraining(CONFIG, tiny_path, how)
    run.go()
    until(run, 3)
    first, count = run.latest.step, 0
    while run.latest.step < first + 3:
        count += 1
        time.sleep(0)
    assert count > 3
    assert run.seconds_left > 0
    run.stop()
    assert threading.current_thread() is threading.main_thread()


HELD = """
import sys
from tests.support.short_training import CONFIG, RARE, until
from workbench.training.background import LiveTraining
run = LiveTraining(CONFIG, sys.argv[1], RARE)
run.go()
until(run, 3)
run.stop()
"""
END = """
import sys, time, torch
torch.set_num_threads(1)
from tests.support.short_training import CONFIG, RARE, until
from workbench.training.background import LiveTraining
run = LiveTraining(CONFIG, sys.argv[1], RARE, sys.argv[2]).or_under_way()
run.go()
until(run, 6)
"""


def test_a_run_held_in_memory_ends_quietly_with_its_process(tiny_path):
    command = [sys.executable, "-c", HELD, str(tiny_path)]
    done = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True)
    assert "Exception ignored" not in done.stderr


def test_an_orderly_end_of_the_process_loses_nothing(undisturbed, tiny_path, tmp_path):
    """As when a kernel is shut down or restarted while it trains."""
    command = [sys.executable, "-c", END, str(tiny_path), str(tmp_path)]
    subprocess.run(command, check=True, timeout=300)
    run = LiveTraining(CONFIG, tiny_path, RARE, tmp_path)
    assert run.state == STOPPED
    assert run.curves.losses[-1].step >= 6
    run.go()
    assert run.wait(120)
    assert_same(undisturbed / "model.safetensors", tmp_path / "model.safetensors")
