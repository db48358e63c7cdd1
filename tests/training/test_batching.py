"""A mini-batch selected by index is the join of its structures, in any order and more than once."""

from dataclasses import fields, replace

import pytest
import torch

from tests.support.short_training import CONFIG, untrained_model
from workbench.models.blocks import Blocks
from workbench.models.graph import build, join
from workbench.models.tensor_rotations import BlockRotation
from workbench.training import training_set
from workbench.training.batching import Store
from workbench.training.stage2_objective import Stage2Objective


@pytest.fixture
def graphs(tiny):
    """Graphs of different sizes, with numbers in place of a guess."""
    built = []
    for i in range(6):
        graph = build(tiny.atoms(i), None)
        graph.node_guess = torch.randn(graph.z.shape[0], 2, 3, 3)
        graph.pair_guess = torch.randn(graph.edge_index.shape[1], 2, 3, 3)
        built.append(graph)
    return built


@pytest.mark.parametrize("indices", [[0, 1, 2, 3, 4, 5], [4], [5, 3, 0], [3, 3, 1]])
def test_a_selection_is_the_join_of_its_graphs(graphs, indices):
    store = Store(graphs, torch.arange(6), 0.5 * torch.arange(6))
    part = store.select(torch.tensor(indices))
    expected = join([graphs[i] for i in indices])
    for name in ("z", "edge_index", "edge_vec", "reverse", "node_guess", "pair_guess", "batch"):
        assert torch.equal(getattr(part.graph, name), getattr(expected, name)), name
    assert part.elements.tolist() == indices
    assert part.beyond_ev.tolist() == [0.5 * i for i in indices]
    assert len(store) == 6


def test_blocks_of_a_selection_are_its_rows(graphs):
    store = Store(graphs, torch.ones(6), torch.zeros(6))
    blocks = Blocks(torch.arange(len(store.graph.z)), torch.arange(store.graph.edge_index.shape[1]))
    part = store.select(torch.tensor([3, 1]))
    atoms = [len(graph.z) for graph in graphs]
    first = sum(atoms[:3])
    assert part.blocks(blocks).nodes[: atoms[3]].tolist() == list(range(first, first + atoms[3]))
    assert torch.equal(part.blocks(blocks).pairs, part.pairs)


def rows_of(tokens):
    """Every tensor of tokens by name; the rotations of local axes are two tensors each."""
    for field in fields(tokens):
        value = getattr(tokens, field.name)
        if isinstance(value, BlockRotation):
            yield from ((f"{field.name}.{k}", t) for k, t in vars(value).items() if t is not None)
        elif value is not None:
            yield field.name, value


@pytest.mark.parametrize("frame", ["global", "local"])
def test_stored_tokens_are_those_of_the_structures_alone(tiny, monkeypatch, frame):
    """Tokens collected in chunks, and then selected, against one structure after the other."""
    config = replace(CONFIG, guess="none", refiner_frame=frame)
    model, train_set, valid_set = untrained_model(tiny, config)
    model.double()  # local axes enlarge rounding errors
    together = Stage2Objective(model, train_set, valid_set).tokens
    monkeypatch.setattr(training_set, "CHUNK", 1)
    alone = Stage2Objective(model, train_set, valid_set).tokens
    part = train_set.store.select(torch.tensor([8, 2]))  # waters: local axes are well defined
    selected = dict(rows_of(part.tokens(together)))
    for name, tensor in rows_of(part.tokens(alone)):
        torch.testing.assert_close(selected[name], tensor, rtol=1e-9, atol=1e-9, msg=name)
    assert ("node_confidence" in selected) == (frame == "local")
    assert torch.equal(torch.stack([selected["row"], selected["column"]]), part.graph.edge_index)
