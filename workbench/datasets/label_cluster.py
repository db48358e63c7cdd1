"""Tasks of a label job on the workers of a dask.distributed cluster.

The tasks go through the cluster's `concurrent.futures` executor, hence through the same loop as
those of local workers. (joblib's dask backend waits for ever if a task ends several workers one
after another, as a lack of memory does.) A task whose worker ends is repeated on another one. Only
the process that runs the job writes files.

Labels are the same bytes as those of local workers, so workers must have the same versions, use one
thread and the same OpenBLAS kernels. Each task verifies that, since workers come and go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_info

from workbench import __version__
from workbench.datasets.label_workers import Run, Task, completed, parallel
from workbench.engines.openblas import core_type, kernels

if TYPE_CHECKING:  # an optional package
    from distributed import Client, Worker

__all__ = ["ClusterError", "connected", "workers"]

ANSWER_SECONDS = 5.0
"""Within which a scheduler must answer."""

WORKER_SECONDS = 60.0
"""How long a job waits for a worker while there is none."""

ASKED_EVERY = 2.0
"""Seconds after which a cluster is asked for its workers again."""

_PACKAGES = ("numpy", "scipy", "ase", "pyscf", "tblite", "gpaw")


class ClusterError(RuntimeError):
    """A cluster that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class _Requirements:
    """What a worker must have.

    Attributes:
        workbench: its version.
        packages: name -> version, or None where it is not installed.
        kernels: of NumPy's OpenBLAS; None for any.
    """

    workbench: str
    packages: dict[str, str | None]
    kernels: str | None

    @classmethod
    def of_this_process(cls) -> _Requirements:
        """What the workers of this process have, see `label_workers`."""
        return cls(__version__, {name: _version(name) for name in _PACKAGES}, core_type())

    def unmet(self, worker: Worker) -> str | None:
        """On a worker: what is wrong with it and what to do; None for nothing."""
        here = _Requirements.of_this_process()
        if here.workbench != self.workbench:
            return _other("hamiltonian-workbench", here.workbench, self.workbench)
        for name, wanted in self.packages.items():
            if (found := here.packages[name]) != wanted:
                return _other(name, found, wanted)
        own, threads = _kernels(), _threads()
        if self.kernels is not None and own not in ("", self.kernels):
            return (
                f"computes with {own} kernels of OpenBLAS, which round differently: start the "
                f"workers with OPENBLAS_CORETYPE={self.kernels} in their environment"
            )
        if threads > 1:
            return (
                f"computes with {threads} threads, which add up sums differently: start the "
                "workers with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
            )
        if (tasks := worker.state.nthreads) > 1:
            return f"runs {tasks} tasks in one process: start the workers with --nthreads 1"
        return None


def workers(processes: int, cluster: str | None) -> AbstractContextManager[Run]:
    """What runs the tasks of a job.

    Args:
        processes: number of worker processes on this machine; -1 for one per core.
        cluster: address of a scheduler, whose workers are used instead; None for no cluster.

    Raises:
        ClusterError: when the context is entered, if the cluster cannot be used.
    """
    if cluster is None:
        return nullcontext(partial(parallel, processes=processes))
    return connected(cluster)


@contextmanager
def connected(address: str) -> Iterator[Run]:
    """A function that runs tasks on the workers of a cluster.

    Args:
        address: of the scheduler, e.g. "tcp://10.0.0.1:8786".

    Raises:
        ClusterError: if dask.distributed is not installed, the scheduler does not answer, there is
            no worker, or a worker has other versions or settings.
    """
    with _silent(), _client(address) as client:
        requirements = _Requirements.of_this_process()
        _wait_for_worker(client, address)
        answers: Any = client.run(_unmet, requirements, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, BaseException):
                raise ClusterError(
                    f"Worker {worker} cannot run this job ({answer}): install "
                    f"hamiltonian-workbench {__version__} there."
                )
            if answer is not None:
                raise ClusterError(f"Worker {worker} {answer}.")
        yield partial(_on_cluster, client=client, address=address, requirements=requirements)


def _on_cluster(
    tasks: Iterable[Task], client: Client, address: str, requirements: _Requirements
) -> Iterator[tuple[int, Any]]:
    """Results of tasks on a cluster, in order of completion."""
    from distributed import KilledWorker

    pool, cluster = client.get_executor(pure=False), _Cluster(client, address)

    def submit(task: Task) -> Future[tuple[int, Any]]:
        return pool.submit(partial(_numbered, requirements, task))

    try:
        yield from completed(tasks, submit, lambda: 2 * cluster.workers, cluster.patience)
    except KilledWorker as error:
        raise ClusterError(
            "A task ended several workers one after another, as a lack of memory does: give each "
            "worker more memory, or label smaller structures. Finished labels are kept, and the "
            "same command resumes."
        ) from error
    except CancelledError as error:
        raise cluster.lost("no longer answers") from error
    finally:
        with suppress(Exception):  # the scheduler may be gone
            pool.shutdown(wait=False)


class _Cluster:
    """The workers of a cluster while a job runs on it.

    Attributes:
        workers: their number, a few seconds ago at most.
    """

    def __init__(self, client: Client, address: str) -> None:
        self.client: Any = client
        self.address = address
        self.workers = len(self.client.nthreads())
        self._asked = self._seen = time.monotonic()

    def patience(self) -> float:
        """How long to wait for a result, s.

        Raises:
            ClusterError: if there has been no worker for `WORKER_SECONDS`, or no scheduler.
        """
        now = time.monotonic()
        if now - self._asked > ASKED_EVERY:
            if self.client.status != "running":
                raise self.lost("no longer answers")
            self.workers, self._asked = len(self.client.nthreads()), now
        if self.workers:
            self._seen = now
        elif now - self._seen > WORKER_SECONDS:
            raise self.lost(f"has had no worker for {WORKER_SECONDS:.0f} s")
        return ASKED_EVERY

    def lost(self, what: str) -> ClusterError:
        """The error of a cluster that can no longer be used."""
        return ClusterError(
            f"The scheduler at {self.address} {what}: finished labels are kept, and the same "
            "command resumes on a cluster that works."
        )


def _numbered(requirements: _Requirements, task: Task) -> tuple[int, Any]:
    """On a worker: the result of a task with its number."""
    from distributed import get_worker

    worker = get_worker()
    if (unmet := requirements.unmet(worker)) is not None:
        raise ClusterError(f"Worker {worker.address} {unmet}.")
    number, function, arguments = task
    return number, function(*arguments)


def _unmet(requirements: _Requirements, dask_worker: Worker) -> str | None:
    """What is wrong with a worker; dask passes an argument of this name to `Client.run`."""
    return requirements.unmet(dask_worker)


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """A connection to a scheduler."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "A cluster needs dask.distributed: pip install 'hamiltonian-workbench[cluster]'."
        ) from error
    made: Future[Client] = Future()

    def connect() -> None:
        try:
            made.set_result(Client(address, timeout=ANSWER_SECONDS, set_as_default=False))
        except Exception as error:
            made.set_exception(error)

    # In a thread: dask waits for ever for a port that accepts a connection and does not speak.
    threading.Thread(target=connect, daemon=True).start()
    try:
        client = made.result(ANSWER_SECONDS + 1)
    except ValueError as error:
        raise ClusterError(
            f"'{address}' is no address of a scheduler ({error}): give one such as "
            "tcp://10.0.0.1:8786."
        ) from error
    except Exception as error:
        raise ClusterError(
            f"No scheduler answers at {address}: start one with `dask scheduler`, and give the "
            "address that it prints."
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=ANSWER_SECONDS)


def _wait_for_worker(client: Client, address: str) -> None:
    """Wait for the first worker of a cluster."""
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"The scheduler at {address} has no worker: start workers with "
            f"`dask worker {address} --nthreads 1`."
        ) from error


@contextmanager
def _silent() -> Iterator[None]:
    """Without the log of dask, which tells of each worker that is lost and found."""
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@cache
def _version(name: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _kernels() -> str:
    """The kernels of this process's OpenBLAS, as NumPy has loaded it."""
    return kernels("numpy")


@cache
def _threads() -> int:
    """The largest number of threads of a numerical library of this process."""
    from workbench.engines import pyscf_library  # noqa: F401 - it brings OpenMP

    return max((library["num_threads"] for library in threadpool_info()), default=1)


def _other(name: str, found: str | None, wanted: str | None) -> str:
    """What is wrong with a worker that has another version of a package."""
    return (
        f"has {name} {found or 'not installed'}, and this job uses {wanted or 'none'}: install "
        "the same versions on all computers"
    )
