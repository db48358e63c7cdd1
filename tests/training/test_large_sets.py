"""A training set larger than the memory: it is streamed from its file, and trains."""

import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from tests.support.limited import limited
from tests.support.short_training import CONFIG, HOW
from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.writing import write
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage import stored_tensor
from workbench.training import training_set
from workbench.training.config import Budget
from workbench.training.loop import train

SAMPLES, ATOMS, ROOM_MIB = 240, 8, 300


def repeated(path: Path) -> float:
    """A set of rings of hydrogen, four matrices again and again; the size of its blocks, MiB."""
    angle = 2 * np.pi * np.arange(ATOMS) / ATOMS
    ring = Atoms(f"H{ATOMS}", 2 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1))
    basis = Basis("many shells", {1: (0,) * 10 + (1,) * 10})
    size, rng = ATOMS * basis.n_orbitals(1), np.random.default_rng(0)
    samples = []
    for k in range(4):
        H = BlockMatrix.from_dense(basis, ring.numbers, np.diag(rng.normal(size=size)))
        samples.append(Sample(ring, H, 0.0, ATOMS, k))
    splits = {"train": [*range(SAMPLES - 4)], "valid": [*range(SAMPLES - 4, SAMPLES)]}
    write(path, (samples[k % 4] for k in range(SAMPLES)), splits, {"method": "none"})
    return SAMPLES * samples[0].H.values.nbytes / 2**20


def trained_in_little_room(folder: str) -> list[float]:
    """Train under a limit of the address space; the size of the set's blocks and the room, MiB."""
    blocks = repeated(Path(folder, "large.h5"))
    stored_tensor.IN_MEMORY = 1 << 20
    training_set.CHUNK_PAIRS = 2 * ATOMS**2
    training_set.READ_AT_ONCE = 2
    torch.set_num_threads(1)
    config = replace(CONFIG, guess="none", channels=2, pseudo_lmax=1)
    how = replace(HOW, stage1=Budget(steps=3), stage2=None, batch_size=2, validations=1)
    with Dataset(Path(folder, "large.h5")) as dataset:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        room = ROOM_MIB << 20
        resource.setrlimit(resource.RLIMIT_AS, (taken + room,) * 2)
        *_, last = train(config, dataset, how, progress=False)
    assert last.finished
    return [blocks, ROOM_MIB]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc/self/statm (Linux)")
def test_a_set_trains_in_less_memory_than_its_matrices_take(tmp_path):
    """Labels and targets take more than the room that there is, in which libraries load as well."""
    blocks, room = limited(trained_in_little_room, tmp_path)
    assert 2 * blocks > room
