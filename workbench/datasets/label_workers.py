"""Tasks of a label job in worker processes of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from functools import partial
from itertools import islice
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor

from workbench.engines.openblas import kernel_environment
from workbench.engines.worker_lifetime import end_with

__all__ = ["Run", "Task", "completed", "environment", "parallel"]

Task = tuple[int, Callable[..., Any], tuple[Any, ...]]
"""The number of a task, a function, and its arguments."""

Run = Callable[[Iterable[Task]], Iterator[tuple[int, Any]]]
"""Runs tasks in worker processes: the number and the result of each, in order of completion."""

_THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")]


def completed(
    tasks: Iterable[Task],
    submit: Callable[[Task], Future[tuple[int, Any]]],
    at_once: Callable[[], int],
    patience: Callable[[], float | None] = lambda: None,
) -> Iterator[tuple[int, Any]]:
    """Results in order of completion; only this process writes files.

    Args:
        tasks: read one by one, as workers become free.
        submit: starts one of them.
        at_once: number of tasks that are submitted and not yet completed, at most.
        patience: called before each wait: seconds to wait for one result; None waits without limit.
    """
    queue, running = iter(tasks), set[Future[tuple[int, Any]]]()
    while True:
        running |= {submit(task) for task in islice(queue, max(0, at_once() - len(running)))}
        if not running:
            return
        done, running = wait(running, patience(), FIRST_COMPLETED)
        for future in done:
            yield future.result()


def environment() -> dict[str, str]:
    """The variables with which a worker process starts, so that all workers round alike."""
    return dict.fromkeys(_THREADS, "1") | kernel_environment()


def parallel(tasks: Iterable[Task], processes: int) -> Iterator[tuple[int, Any]]:
    """Results of tasks in processes of this machine.

    Tasks always run in worker processes with one thread each, even if only one runs at a time: sums
    over several threads differ in the last digits, and a trajectory amplifies the difference.
    (`joblib.Parallel` starts no worker for a single job.) OpenBLAS kernels differ in the same way,
    so workers are told which to use, independent of the environment in which a job is resumed.
    """
    count = cpu_count() if processes == -1 else processes
    pool: Executor = get_reusable_executor(count, env=environment())
    submit = partial(pool.submit, _numbered, os.getpid())
    try:
        # Twice as many as there are workers, so that none is idle.
        yield from completed(tasks, submit, lambda: 2 * count)
    except BaseException:
        _kill_workers(pool)
        raise


def _numbered(job: int, task: Task) -> tuple[int, Any]:
    """The result of a task with its number, in a worker of the process with ID ``job``."""
    end_with(job)
    number, function, arguments = task
    return number, function(*arguments)


def _kill_workers(pool: Any) -> None:
    """End a pool with its workers; loky's own thread may then miss a task, which is no news."""
    before = threading.excepthook
    threading.excepthook = lambda _: None
    try:
        pool.shutdown(kill_workers=True)
    finally:
        threading.excepthook = before
