"""Whether a process runs: also a used ID, a process that nobody waited for, another host."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.storage.process_identity import ProcessIdentity, ProcessState, _start_of_ps

HERE = ProcessIdentity.of_this_process()


def test_this_process_runs_and_another_start_of_it_does_not():
    assert HERE.state() is ProcessState.RUNS
    assert replace(HERE, started="1").state() is ProcessState.ENDED
    assert replace(HERE, process=1, started="").state() is ProcessState.RUNS
    for other in ({"host": "node7"}, {"machine": "x"}, {"namespace": "pid:[1]"}):
        assert replace(HERE, **other).state() is ProcessState.UNKNOWN


def test_a_process_that_ended_and_was_not_waited_for_has_ended():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    identity = replace(HERE, process=process.pid, started=start)
    assert identity.state() is ProcessState.RUNS
    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert identity.state() is ProcessState.ENDED
    process.wait()


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_ps_tells_the_start_where_there_is_no_proc():
    assert _start_of_ps(os.getpid())
    assert _start_of_ps(os.getpid()) == _start_of_ps(os.getpid()) != _start_of_ps(1)
    assert _start_of_ps(2**22 + 1) is None
