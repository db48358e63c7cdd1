"""Tokens of rotated and inverted structures equal those that stage 1 gives for them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.crystal import sheet
from tests.support.networks import (
    SPINOR_BASIS,
    SPINOR_CONFIG,
    distorted_ethanol,
    random_model,
    refining_model,
)
from workbench.hamiltonians.rotations import random_rotations
from workbench.models.blocks import Blocks
from workbench.models.tensor_rotations import rotate_blocks

INVERSION = -np.eye(3)[None]


def sheet_model(frame, spinor, **changes):
    basis = replace(SPINOR_BASIS, spinor=spinor)
    config = replace(SPINOR_CONFIG, lmax=4, pseudo_lmax=4, refiner_frame=frame, **changes)
    return refining_model(config, basis).to(torch.float64)


def tokens_of(model, atoms):
    graph, geometry, out = model._stage1([model.graph(atoms)])
    return model.tokens(out, graph, geometry), graph


def correction(model, tokens, graph):
    return model.codec.stage2_blocks(model.refiner(tokens), tokens, graph.reverse)


def inverted(model, blocks):
    """The blocks of the inverted copy."""
    by = model.rotations(INVERSION, blocks.nodes).blocks
    nodes, pairs = (torch.zeros(len(b), dtype=torch.long) for b in (blocks.nodes, blocks.pairs))
    return Blocks(rotate_blocks(blocks.nodes, by[nodes]), rotate_blocks(blocks.pairs, by[pairs]))


@pytest.fixture(scope="module")
def copies():
    """A displaced sheet without inversion symmetry, and its inverted copy."""
    atoms = sheet()
    atoms.rattle(0.1, seed=3)
    inverted_copy = atoms.copy()
    inverted_copy.set_cell(-atoms.cell.array)
    inverted_copy.positions = -atoms.positions
    return atoms, inverted_copy


@pytest.mark.parametrize(("improper", "seed"), [("none", 0), ("all", 1)])
def test_rotated_tokens_are_those_of_the_rotated_structure(improper, seed):
    """Stage 2 is trained on rotated tokens, without another run of stage 1."""
    model = random_model().to(torch.float64)
    atoms = distorted_ethanol()
    matrices = random_rotations(1, seed, improper)
    rotations = model.rotations(matrices, torch.zeros(1, dtype=torch.float64))
    rotated = atoms.copy()
    rotated.positions = atoms.positions @ rotations.matrix[0].numpy().T
    tokens, graph = tokens_of(model, atoms)
    cached = tokens.rotated(rotations, graph.batch)
    for name, value in vars(tokens_of(model, rotated)[0]).items():
        torch.testing.assert_close(getattr(cached, name), value, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("spinor", [False, True])
def test_in_local_frames_reflected_tokens_are_those_of_the_inverted_copy(copies, spinor):
    model = sheet_model("local", spinor)
    (original, graph), (expected, graph_of_copy) = (tokens_of(model, atoms) for atoms in copies)
    everywhere = torch.ones(len(original.nodes), dtype=torch.bool)
    reflected = original.reflected(model.local.reflection, everywhere)
    for name in ("nodes", "edges", "node_blocks", "pair_blocks", "direction", "node_confidence"):
        value = getattr(expected, name)
        torch.testing.assert_close(getattr(reflected, name), value, atol=1e-8, rtol=1e-8)
    assert (reflected.nodes - original.nodes).abs().max() > 0.1
    blocks = correction(model, reflected, graph)
    blocks_of_copy = inverted(model, correction(model, expected, graph_of_copy))
    torch.testing.assert_close(blocks.nodes, blocks_of_copy.nodes, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(blocks.pairs, blocks_of_copy.pairs, atol=1e-8, rtol=1e-8)
    assert (blocks - correction(model, original, graph)).nodes.abs().max() > 0.1


@pytest.mark.parametrize("spinor", [False, True])
def test_in_the_global_frame_inverted_tokens_are_those_of_the_inverted_copy(copies, spinor):
    model = sheet_model("global", spinor)
    (original, graph), (expected, _) = (tokens_of(model, atoms) for atoms in copies)
    rotated = original.rotated(model.rotations(INVERSION, original.nodes), graph.batch)
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(rotated, name), value, atol=1e-8, rtol=1e-8)


def test_only_selected_structures_are_reflected(copies):
    model = sheet_model("local", spinor=True)
    original, _ = tokens_of(model, copies[0])
    where = torch.tensor([True, False])
    reflected = original.reflected(model.local.reflection, where)
    for selected, name in ((where, "nodes"), (where[original.row], "edges")):
        before, after = getattr(original, name), getattr(reflected, name)
        assert torch.equal(after[~selected], before[~selected])
        assert (after[selected] - before[selected]).abs().amax((1, 2)).min() > 1e-3
    others = ~where[original.row]
    before, after = (t.pair_to_global.orbitals[others] for t in (original, reflected))
    assert torch.equal(after, before)
