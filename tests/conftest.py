"""What test files share: one thread, water, widgets that raise errors, a tiny labelled set."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from ase.build import molecule

torch.set_num_threads(1)


_BY_ITSELF = "WORKBENCH_TEST_BY_ITSELF"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test with the mark `by_itself` in a new process.

    Tests with a trace function need it: in code that has run often before, Python 3.11 may then
    repeat one instruction for ever.
    """
    if pyfuncitem.get_closest_marker("by_itself") is None or _BY_ITSELF in os.environ:
        return None
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath,
        env=environment | {_BY_ITSELF: "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return True


@pytest.fixture(scope="module")
def water():
    from workbench.structures.loading import load

    return load("water")


@pytest.fixture(scope="module")
def ref(water):
    """Hartree-Fock in STO-3G, for live views of water."""
    from workbench.engines.pyscf_molecules import reference

    return reference(water, basis="sto-3g", xc="hf")


@pytest.fixture(scope="module")
def model(ref):
    """Two stages that need no training, see `overlap_model`."""
    from tests.support.live_views import overlap_model

    return overlap_model(ref)


@pytest.fixture(scope="session")
def one_handed():
    """Two stages of H, C and O, see `one_handed_model`: only an inversion shows stage 2's fault."""
    from tests.support.networks import one_handed_model

    return one_handed_model()


@pytest.fixture
def raise_errors(monkeypatch):
    """Errors of a widget's callbacks are raised after they have been shown."""
    from workbench.widgets.parts.guard import RAISE

    monkeypatch.setenv(RAISE, "1")


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory):
    """Water and hydrogen fluoride, RHF/STO-3G, displaced and rotated: 12 train, 4 valid, 4 test."""
    from workbench.datasets.dataset import Sample
    from workbench.datasets.writing import write
    from workbench.engines.pyscf_molecules import reference
    from workbench.hamiltonians.rotations import random_rotation
    from workbench.structures.loading import rotate

    rng, samples = np.random.default_rng(0), []
    for k in range(20):
        atoms = molecule("HF" if k % 4 == 3 else "H2O")
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms = rotate(atoms, random_rotation(rng))
        ref = reference(atoms, basis="sto-3g", xc="hf")
        samples.append(Sample(atoms, ref.H, ref.energy, ref.n_electrons, k))
    path = tmp_path_factory.mktemp("tiny") / "tiny.h5"
    splits = {"train": range(12), "valid": range(12, 16), "test": range(16, 20)}
    write(path, samples, {k: list(v) for k, v in splits.items()}, {"method": "RHF/STO-3G"})
    return path


@pytest.fixture
def tiny(tiny_path):
    """The tiny set, open."""
    from workbench.datasets.dataset import Dataset

    with Dataset(tiny_path) as dataset:
        yield dataset


@pytest.fixture(scope="session")
def uninterrupted(tiny_path, tmp_path_factory):
    """A training run on the tiny set from its start to its end: the directory and the records."""
    from tests.support.short_training import CONFIG, HOW
    from workbench.datasets.dataset import Dataset
    from workbench.training.loop import train

    directory = tmp_path_factory.mktemp("uninterrupted")
    with Dataset(tiny_path) as dataset:
        records = list(train(CONFIG, dataset, HOW, directory))
    return directory, records
