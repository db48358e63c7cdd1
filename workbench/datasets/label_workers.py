"""Tasks of a label job in worker processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor

from workbench.engines.openblas import kernel_environment
from workbench.engines.worker_lifetime import end_with

__all__ = ["Task", "numbered", "parallel"]

Task = tuple[Callable[..., tuple[int, Any]], tuple[Any, ...]]
"""`numbered`, and its arguments."""

_THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")]


def numbered(number: int, job: int, function: Any, *args: Any) -> tuple[int, Any]:
    """The result of a task with its number, in a worker of the process with ID ``job``."""
    end_with(job)
    return number, function(*args)


def parallel(tasks: Iterable[Task], processes: int) -> Iterator[tuple[int, Any]]:
    """Results in order of completion; only the parent process writes files.

    Tasks always run in worker processes with one thread each, even if only one runs at a time: sums
    over several threads differ in the last digits, and a trajectory amplifies the difference.
    (`joblib.Parallel` starts no worker for a single job.) OpenBLAS kernels differ in the same way,
    so workers are told which to use, independent of the environment in which a job is resumed.
    """
    count = cpu_count() if processes == -1 else processes
    environment = dict.fromkeys(_THREADS, "1") | kernel_environment()
    pool = get_reusable_executor(count, env=environment)
    queue, running = iter(tasks), set[Future[Any]]()
    try:
        while True:
            submitted = islice(queue, 2 * count - len(running))  # enough that no worker is idle
            running |= {pool.submit(function, *arguments) for function, arguments in submitted}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BaseException:
        _kill_workers(pool)
        raise


def _kill_workers(pool: Any) -> None:
    """End a pool with its workers; loky's own thread may then miss a task, which is no news."""
    before = threading.excepthook
    threading.excepthook = lambda _: None
    try:
        pool.shutdown(kill_workers=True)
    finally:
        threading.excepthook = before
