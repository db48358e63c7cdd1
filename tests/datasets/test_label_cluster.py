"""Label jobs on a cluster: the bytes of a serial run, whatever happens to its workers."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support.cluster import local_cluster, worker
from tests.support.command_line import refusal
from tests.support.processes import wait_for
from workbench.datasets import label_cluster
from workbench.datasets.dataset import Dataset
from workbench.datasets.label_cluster import ClusterError, connected, workers
from workbench.datasets.labelling import label
from workbench.engines.openblas import core_type
from workbench.structures.sampling import Displaced

pytest.importorskip("distributed")

SPLITS = {"train": 14, "valid": 3, "test": 8}
SETTINGS = {"sampling": Displaced(batch=5), "basis": "sto-3g", "xc": "hf", "progress": False}
JOB = """
import sys
from workbench.structures.sampling import Displaced
from workbench.datasets.labelling import label
label(["HF", "H2"], sys.argv[1], {"train": 14, "valid": 3, "test": 8}, sampling=Displaced(batch=5),
      basis="sto-3g", xc="hf", progress=False, cluster=sys.argv[2])
"""
COMMAND = ("label", "H2", "--sigma", 0.05, "--basis", "sto-3g", "--xc", "hf", "--train", 2)


@pytest.fixture(scope="module")
def cluster():
    with local_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def empty():
    """A scheduler whose workers a test starts."""
    with local_cluster(0) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster.scheduler_address, set_as_default=False) as client:
        yield client


def pieces(work):
    """Finished files of a job and when each was made."""
    found = [*work.glob("geometries-*.npz"), *work.glob("label-*.npz")]
    return {path.name: path.stat().st_mtime_ns for path in found if path.exists()}


def test_a_worker_that_is_killed_changes_nothing(cluster, client, tmp_path):
    """Nothing is lost, nothing is computed twice, and the bytes are those of a serial run."""
    label(["HF", "H2"], tmp_path / "serial.h5", SPLITS, **SETTINGS)
    out, work = tmp_path / "cluster.h5", tmp_path / "cluster.h5.partial"
    victim, _ = client.run(os.getpid).values()
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, out, cluster.scheduler_address],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(pieces(work)) >= 12 + 10, process)  # 12 batches, then 50 labels
    before = pieces(work)
    os.kill(victim, signal.SIGKILL)
    assert len(before) < 12 + 50
    wait_for(lambda: len(pieces(work)) > len(before), process)
    if work.exists() and not out.exists():
        assert before.items() <= pieces(work).items()
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert out.read_bytes() == (tmp_path / "serial.h5").read_bytes()
    with Dataset(out) as dataset:
        dataset.verify()
        assert len(dataset) == 50
    assert not work.exists()


def test_a_task_that_ends_every_worker_is_an_error_and_not_a_wait(cluster):
    with workers(1, cluster.scheduler_address) as run, pytest.raises(ClusterError, match="memory"):
        list(run([(0, os._exit, (1,))]))
    with workers(1, cluster.scheduler_address) as run:
        assert dict(run((k, abs, (-k,)) for k in range(9))) == {k: k for k in range(9)}


def test_an_address_without_a_scheduler_is_refused_within_seconds(tmp_path, monkeypatch):
    """A closed port, a port that accepts and does not speak, and what is no address."""
    monkeypatch.setattr(label_cluster, "ANSWER_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port in (1, silent.getsockname()[1]):
            address = f"tcp://127.0.0.1:{port}"
            said = refusal(*COMMAND, "--cluster", address, "--out", tmp_path / "a.h5")
            assert f"No scheduler answers at {address}: start one with `dask scheduler`" in said
    said = refusal(*COMMAND, "--cluster", "here", "--out", tmp_path / "a.h5")
    assert "'here' is no address of a scheduler (missing port number" in said
    assert not list(tmp_path.iterdir())


def test_a_cluster_without_workers_is_refused(empty, monkeypatch):
    monkeypatch.setattr(label_cluster, "WORKER_SECONDS", 0.5)
    with pytest.raises(ClusterError, match=r"has no worker: start workers with `dask worker tcp:"):
        connected(empty.scheduler_address).__enter__()


OTHER_KERNELS = {"OPENBLAS_CORETYPE": "Prescott"}
ABSENT, OLDER = (
    "import sys; sys.modules['workbench'] = None",
    "import workbench; workbench.__version__ = '0.0.9'",
)


@pytest.mark.parametrize(
    ("started", "said"),
    [
        ({"before": ABSENT}, "install hamiltonian-workbench 0.1.0 there."),
        ({"before": OLDER}, "has hamiltonian-workbench 0.0.9, and this job uses 0.1.0: install"),
        pytest.param(
            {"variables": OTHER_KERNELS},
            "start the workers with OPENBLAS_CORETYPE=Haswell in their environment.",
            marks=pytest.mark.skipif(core_type() is None, reason="kernels are not chosen here"),
        ),
        ({"variables": {"OMP_NUM_THREADS": "2"}}, "start the workers with OMP_NUM_THREADS=1"),
        ({"threads": 2}, "runs 2 tasks in one process: start the workers with --nthreads 1."),
    ],
    ids=["absent", "older", "kernels", "threads", "tasks"],
)
def test_a_worker_that_would_compute_something_else_is_named(empty, started, said):
    with (
        worker(empty.scheduler_address, **started),
        pytest.raises(ClusterError, match=r"^Worker tcp://127.0.0.1:\d+ ") as error,
    ):
        connected(empty.scheduler_address).__enter__()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cluster_that_ends_is_an_error_and_not_a_wait(monkeypatch):
    monkeypatch.setattr(label_cluster, "ASKED_EVERY", 0.2)
    with local_cluster(1) as cluster, workers(1, cluster.scheduler_address) as run:
        results = run((k, time.sleep, (0.05,)) for k in range(10**6))
        next(results)
        cluster.close()
        with pytest.raises(ClusterError, match="finished labels are kept, and the same command"):
            list(results)
