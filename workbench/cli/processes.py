"""A command in several processes of this machine, which one process starts and watches.

Process 0 speaks and writes; the others are silent. An interrupt reaches process 0 only, which saves
the training and ends; the others then have nothing left to do.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

import typer

from workbench.cli.exit_codes import ExitCode
from workbench.training.config import TrainingError
from workbench.training.launch import LAUNCHER, group, is_first

__all__ = ["PEER_LOST", "must_start", "receive_signals", "start_processes"]

STOP_SECONDS = 120.0
"""In which an interrupted training saves its state; then all processes are killed."""

LOST_SECONDS = 10.0
"""In which process 0 notices that another one has ended."""

PEER_LOST = 75
"""Exit code with which a process says to the one that started it that another one has ended."""


def must_start(devices: int) -> bool:
    """Whether this process has to start those of a training, since no launcher did.

    Raises:
        TrainingError: if this machine has fewer GPUs or cores than that.
    """
    if devices == 1 or group() is not None:
        return False
    import torch
    from joblib import cpu_count

    gpus = torch.cuda.device_count()
    there, what = (gpus, "GPUs") if gpus else (cpu_count(), "CPU cores and no GPU")
    if not devices <= there:
        raise TrainingError(
            f"devices={devices} needs {devices} GPUs or CPU cores, and this machine has {there} "
            f"{what}: set devices to at most {there}, or start the processes on several machines "
            "with torchrun or srun."
        )
    return True


def start_processes(count: int) -> int:
    """Run this command in so many processes; its exit code."""
    with tempfile.TemporaryFile("w+") as words:
        processes = _started(count, words)
        try:
            return _watched(processes, words)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


def receive_signals() -> None:
    """Let SIGTERM act as Ctrl-C; of several processes only the first one is interrupted."""
    on_interrupt: Any = signal.default_int_handler if is_first() else signal.SIG_IGN
    if LAUNCHER not in os.environ:
        signal.signal(signal.SIGTERM, on_interrupt)
        if not is_first():
            signal.signal(signal.SIGINT, on_interrupt)
        return
    # A scheduler sends SIGTERM to every process; the one that started this one passes it on.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, on_interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _started(count: int, words: IO[str]) -> list[subprocess.Popen[Any]]:
    """The processes, process 0 first; those after it write to a file."""
    command = [sys.executable, "-m", "workbench", *sys.argv[1:]]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": count}
    shared |= {"LOCAL_WORLD_SIZE": count, "NODE_RANK": 0, LAUNCHER: os.getpid()}
    # An interrupt waits until a process can act on it. The terminal sends none, since the processes
    # are detached from it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return [
            subprocess.Popen(
                command,
                env=os.environ
                | {k: str(v) for k, v in (shared | {"RANK": n, "LOCAL_RANK": n}).items()},
                start_new_session=True,
                **({"stdout": subprocess.DEVNULL, "stderr": words} if n else {}),
            )
            for n in range(count)
        ]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watched(processes: Sequence[subprocess.Popen[Any]], words: IO[str]) -> int:
    """Wait for the end of process 0, or of another one that fails; the exit code."""
    first, lost = processes[0], None
    try:
        lost = _failed(processes)
        if lost is not None:
            _end(first, LOST_SECONDS)
    except KeyboardInterrupt:
        first.send_signal(signal.SIGINT)
        _end(first, STOP_SECONDS)
    code = first.wait()
    if code >= 0 and code != PEER_LOST:
        return code  # process 0 has said itself what there is to say
    _tell(processes, 0 if lost is None else lost, words)
    return ExitCode.SYSTEM


def _failed(processes: Sequence[subprocess.Popen[Any]]) -> int | None:
    """The number of the first process that fails, None if process 0 ends before."""
    while processes[0].poll() is None:
        for number, process in enumerate(processes[1:], start=1):
            if process.poll():
                return number
        time.sleep(0.05)
    return None


def _end(process: subprocess.Popen[Any], seconds: float) -> None:
    """Let a process end by itself within some seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()


def _tell(processes: Sequence[subprocess.Popen[Any]], number: int, words: IO[str]) -> None:
    """Say how a process ended, and its last words."""
    code = processes[number].wait()
    ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    words.seek(0)
    said = [line.strip() for line in words.read().splitlines() if line.strip()] if number else []
    last = f" ({said[-1].rstrip('.')})" if said else ""
    typer.echo(
        f"Error: Process {number + 1} of {len(processes)} {ended}{last}, so the training stopped: "
        "the same command resumes it from its last snapshot.",
        err=True,
    )
