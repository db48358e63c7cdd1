"""A training is interrupted at every line of its loop; what it saves is always a whole step."""

import gc
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.short_training import CONFIG, HOW
from tests.support.strikes import Place, Strike
from workbench.datasets.dataset import Dataset
from workbench.models.checkpoint import read_tensors
from workbench.storage import interrupts
from workbench.training import best_weights, run, stage_loop
from workbench.training.config import Budget, TrainConfig
from workbench.training.loop import train

SHORT = replace(HOW, stage1=Budget(steps=4), stage2=Budget(steps=2))  # every second is validated
SIGNALLED = {module.__file__ for module in (stage_loop, run, best_weights, interrupts)}
RAISED = {best_weights.__file__}  # the weights, their average and the best one change there


def state(directory: Path) -> tuple[str, str]:
    """Stage and step of a snapshot, and a hash of its tensors and its history."""
    tensors, header = read_tensors(directory / "snapshot.safetensors")
    history = [[row["phase"], row["step"], row["valid_mae_ev"]] for row in header["history"]]
    digest = hashlib.sha256(json.dumps([history, header["best"]]).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return f"{header['phase']} {header['step']}", digest.hexdigest()


def in_a_copy(task: Callable[[], Any]) -> Any:
    """The JSON-able result of a function that runs in a forked copy of this process."""
    read, write = os.pipe()
    gc.freeze()  # so that the copy shares its memory
    if not (child := os.fork()):
        gc.disable()
        try:
            os.write(write, json.dumps(task()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def interrupted(records: Iterator[Any], strike: Strike, directory: Path) -> Any:
    """Strike during the next step: where, whether the run stopped, and what it saved."""
    stopped = False
    sys.settrace(strike)
    try:
        next(records)
    except KeyboardInterrupt:
        stopped = True
    except StopIteration:
        pass
    finally:
        sys.settrace(None)
    return strike.place, stopped, state(directory)


def struck_at_every_line(
    tiny: Dataset, settings: TrainConfig, directory: Path, files: set[str | None], act: Any
) -> dict[Place, str]:
    """Strike each line once, in a copy of the run; the stage and step that each copy has saved."""
    struck: dict[Place, str] = {}
    saved: list[tuple[Place, tuple[str, str]]] = []
    undisturbed: dict[str, str] = {}
    records = train(CONFIG, tiny, settings, directory)
    for record in records:
        undisturbed |= [state(directory)]
        while not record.finished:
            strike = Strike(files, set(struck), act)
            place, stopped, found = in_a_copy(lambda s=strike: interrupted(records, s, directory))
            if place is None:
                break
            assert stopped, f"{place} was struck, and the run went on"
            struck[tuple(place)] = found[0]
            saved.append((place, tuple(found)))
    undisturbed |= [state(directory)]
    for place, (step, digest) in saved:
        assert undisturbed[step] == digest, f"a strike at {place} saved other weights"
    return struck


def raise_here():
    raise KeyboardInterrupt


def signal_here():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.by_itself
def test_a_signal_at_any_line_leaves_the_state_of_a_whole_step(tiny, tmp_path):
    """Also inside of a validation, where the parameters are the averaged ones."""
    struck = struck_at_every_line(tiny, SHORT, tmp_path, SIGNALLED, signal_here)
    assert len(struck) > 60
    assert len(set(struck.values())) > 4


@pytest.mark.by_itself
def test_an_exception_at_any_line_saves_no_half_step(tiny, tmp_path):
    """An interrupt that comes by another way than a signal, at a line inside of a step."""
    struck = struck_at_every_line(tiny, SHORT, tmp_path, RAISED, raise_here)
    assert len(struck) > 8
