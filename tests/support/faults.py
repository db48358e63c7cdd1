"""Faults that tests inject: full and read-only disks, missing permissions, processes that die."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import run

NOBODY = 65534


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, mounted with these options; the test is skipped without the right.

    The test may remount it.
    """
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder])
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def in_a_copy(task: Callable[[], str | None]) -> tuple[int, str]:
    """Exit code and text of a function in a forked copy of this process; 139 is a crash."""
    read, write = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            os.close(read)
            os.write(write, (task() or "").encode())
            code = 0
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


def command_in_a_copy(*words: object, before: Callable[[], None] = lambda: None) -> str:
    """What a command prints on stderr in a forked copy, with its exit code in front.

    Args:
        words: of the command line.
        before: called in the copy, to limit what it may do.
    """

    def task() -> str:
        before()
        result = run(*words)
        return f"{result.exit_code} {result.stderr}"

    code, text = in_a_copy(task)
    assert code == 0, f"the process ended with {code}: {text}"
    return text


def command_by_itself(*words: object) -> str:
    """As `command_in_a_copy`, in a new process: a copy cannot start worker processes.

    The threads that serve them do not exist in a copy, which would wait for them for ever.
    """
    command = [sys.executable, "-m", "workbench", *(str(word) for word in words)]
    result = subprocess.run(command, capture_output=True, text=True)
    return f"{result.returncode} {result.stderr}"


def limit_files(size: int) -> None:
    """From now on this process cannot make a file larger, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def become_nobody() -> None:
    """Give up the rights of root, to whom the permissions of files do not apply."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def killed_after(seconds: float, task: Callable[[], object]) -> bool:
    """Start a function in a forked copy and kill it with -9; whether it was not done before."""
    if not (child := os.fork()):
        try:
            task()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
