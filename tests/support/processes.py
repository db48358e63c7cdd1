"""Processes that tests start: their children, and waiting for events."""

import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path


def children_of(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the process may have ended
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children += [int(stat.parent.name)] * (parent == pid)
    return children


def wait_for(reached: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait until the condition holds or the process has ended."""
    deadline = time.monotonic() + 120
    while not reached() and process.poll() is None:
        assert time.monotonic() < deadline, "the job makes no progress"
        time.sleep(0.002)


def wait_for_end(pids: Iterable[int]) -> None:
    """Wait until all of these processes have ended."""
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "processes are left behind"
        time.sleep(0.1)
