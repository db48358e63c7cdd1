"""A training set holds a split's labels as blocks: all of them, in order, in memory or in files."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.short_training import CONFIG, HOW, assert_same
from workbench.models.blocks import guessed_graph
from workbench.models.graph import matrix_edges
from workbench.storage import stored_tensor
from workbench.training import training_set
from workbench.training.loop import train
from workbench.training.training_set import TrainingSet

WITHOUT_GUESS = replace(CONFIG, guess="none", cutoff=10.0)


@pytest.fixture
def read(tiny):
    """Waters and hydrogen fluorides of the training split."""
    charges = torch.zeros(len(tiny.basis.elements), 0, dtype=torch.float64)
    return TrainingSet.read(tiny, tiny.split("train"), WITHOUT_GUESS, tiny.basis, charges)


def test_the_blocks_of_a_structure_are_those_of_its_hamiltonian(read, tiny):
    charges = torch.zeros(len(tiny.basis.elements), 0, dtype=torch.float64)
    for k, i in enumerate(tiny.split("train")):
        part = read.store.select(torch.tensor([k]))
        blocks, H = part.blocks(read.blocks), tiny[int(i)].H
        graph = guessed_graph(tiny.atoms(int(i)), WITHOUT_GUESS, tiny.basis, charges)
        values = H.in_basis(tiny.basis).over(*matrix_edges(graph))
        np.testing.assert_array_equal(torch.cat([blocks.nodes, blocks.pairs]).numpy(), values)
        assert part.elements.tolist() == [H.dense().size]


@pytest.mark.parametrize(("structures", "pairs"), [(5, 1 << 15), (64, 13), (64, 1)])
def test_chunks_are_all_structures_in_order(read, monkeypatch, structures, pairs):
    """A chunk has at most so many structures, and so many pairs unless one structure has more."""
    monkeypatch.setattr(training_set, "CHUNK", structures)
    monkeypatch.setattr(training_set, "CHUNK_PAIRS", pairs)
    chunks = list(read.chunks())
    assert max(len(part.elements) for part in chunks) <= structures
    for part in chunks:
        assert len(part.pairs) <= pairs or len(part.elements) == 1
    assert torch.equal(
        torch.cat([part.nodes for part in chunks]), torch.arange(len(read.blocks.nodes))
    )
    assert torch.equal(
        torch.cat([part.pairs for part in chunks]), torch.arange(len(read.blocks.pairs))
    )


def test_a_training_set_stored_in_files_trains_to_the_same_bytes(
    uninterrupted, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(stored_tensor, "IN_MEMORY", 0)
    *_, _ = train(CONFIG, tiny, HOW, tmp_path / "run")
    assert_same(uninterrupted[0] / "model.safetensors", tmp_path / "run" / "model.safetensors")
