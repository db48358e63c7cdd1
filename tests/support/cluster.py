"""A dask.distributed cluster of worker processes on this machine, with the settings of a job."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from workbench.datasets.label_workers import environment

STARTED = "from distributed.cli.dask_worker import main; main()"


@contextmanager
def local_cluster(n_workers=2):
    """Workers with one thread each; a worker that is killed is started again."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment()}),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
    ):
        yield cluster


@contextmanager
def worker(address, before="pass", variables=None, threads=1):
    """A worker as a process without a guard, which runs some Python before it starts."""
    command = ["--no-nanny", "--nthreads", str(threads), "--no-dashboard"]
    process = subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{STARTED}", address, *command],
        stderr=subprocess.DEVNULL,
        env=os.environ | environment() | (variables or {}),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
