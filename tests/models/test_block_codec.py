"""Block codec: targets and blocks are inverse to each other, and each item is converted alone."""

from dataclasses import replace

import pytest
import torch

from tests.support.crystal import sheet
from tests.support.networks import (
    SMALL,
    SPINOR_BASIS,
    SPINOR_CONFIG,
    distorted_ethanol,
    random_model,
)
from workbench.models.block_codec import ToGlobal, atom_frames, pair_frames
from workbench.models.blocks import Blocks
from workbench.models.graph import join
from workbench.models.stage1 import Stage1Output

CASES = ["global frame", "local frames", "spin"]


class Case:
    """An untrained model, a structure, and random coefficients for it; float64."""

    def __init__(self, name):
        frame = "global" if name == "global frame" else "local"
        if name == "spin":
            atoms = sheet()
            atoms.rattle(0.1, seed=3)
            config = replace(SPINOR_CONFIG, lmax=4, pseudo_lmax=4)
            model = random_model(config, basis=SPINOR_BASIS)
        else:
            atoms = distorted_ethanol()
            model = random_model(replace(SMALL, guess="none", cutoff=4.0, refiner_frame=frame))
        self.model = model.double()
        self.codec = model.codec
        self.graph, self.geometry, out = model._stage1([model.graph(atoms)])
        self.features = out.features
        self.tokens = model.tokens(out, self.graph, self.geometry)
        self.coefficients = self.random()

    def random(self):
        """Coefficients (N, F) and (P, F)."""
        size, (_, n_pairs) = self.model.irreps.size, self.graph.edge_index.shape
        rows = (len(self.graph.z), n_pairs)
        return tuple(torch.randn(n, size, dtype=torch.float64) for n in rows)

    def without_some_scales(self):
        """Set the scale of every third coefficient to 0, as if symmetry forbade these."""
        scaling = self.codec.scaling
        allowed = torch.arange(self.model.irreps.size) % 3 > 0
        names = ("node_scale", "pair_scale", "node_residual", "pair_residual")
        self.codec.scaling = replace(
            scaling, **{name: getattr(scaling, name) * allowed for name in names}
        )
        return tuple(c * allowed for c in self.coefficients)

    def stage1(self, nodes, pairs):
        """Blocks of coefficients of stage 1, not hermitian."""
        geometry = self.geometry
        on_site = self.codec.stage1_atoms(nodes, geometry.node_class)
        return Blocks(on_site, self.codec.stage1_pairs(pairs, geometry))

    def stage2(self, nodes, pairs):
        """Blocks of outputs of stage 2, not hermitian."""
        t, codec = self.tokens, self.codec
        on_site = codec.stage2_atoms(nodes, t.node_class, atom_frames(t))
        return Blocks(on_site, codec.stage2_pairs(pairs, t.envelope, t.pair_class, pair_frames(t)))


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    return Case(request.param)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_stage1_targets_are_the_coefficients_of_the_blocks(case):
    readable = case.without_some_scales()
    nodes, pairs = case.codec.stage1_targets(case.stage1(*case.coefficients), case.geometry)
    close(nodes, readable[0])
    close(pairs, readable[1])


def test_stage1_blocks_of_targets_are_the_hermitian_blocks(case):
    blocks = case.stage1(*case.coefficients).symmetric(case.graph.reverse)
    targets = case.codec.stage1_targets(blocks, case.geometry)
    output = Stage1Output(case.features, *targets)
    again = case.codec.stage1_blocks(output, case.graph.reverse, case.geometry)
    close(again.nodes, blocks.nodes)
    close(again.pairs, blocks.pairs)


def test_stage2_targets_are_the_coefficients_of_the_blocks(case):
    """The local frames of these structures have confidence 1."""
    readable = case.without_some_scales()
    nodes, pairs = case.codec.stage2_targets(case.stage2(*case.coefficients), case.tokens)
    close(nodes, readable[0])
    close(pairs, readable[1])


def test_stage2_blocks_of_targets_are_the_hermitian_blocks(case):
    blocks = case.stage2(*case.coefficients).symmetric(case.graph.reverse)
    targets = case.codec.stage2_targets(blocks, case.tokens)
    again = case.codec.stage2_blocks(targets, case.tokens, case.graph.reverse)
    close(again.nodes, blocks.nodes)
    close(again.pairs, blocks.pairs)


def test_each_step_acts_on_every_item_alone(case):
    """The blocks of a subset of atoms or pairs are the subset of the blocks."""
    codec, geometry, tokens = case.codec, case.geometry, case.tokens
    atoms, pairs = torch.arange(0, len(case.graph.z), 2), torch.arange(1, len(tokens.row), 3)
    of_atoms, of_pairs = (
        c[items] for c, items in zip(case.coefficients, (atoms, pairs), strict=True)
    )
    species, classes = geometry.node_class[atoms], geometry.pair_class[pairs]
    part = replace(
        geometry,
        basis=geometry.basis[pairs],
        envelope=geometry.envelope[pairs],
        pair_class=classes,
    )
    stage1, stage2 = case.stage1(*case.coefficients), case.stage2(*case.coefficients)
    close(codec.stage1_atoms(of_atoms, species), stage1.nodes[atoms])
    close(codec.stage1_pairs(of_pairs, part), stage1.pairs[pairs])
    close(codec.mean_atoms(species), codec.mean_atoms(geometry.node_class)[atoms])
    close(codec.mean_pairs(part), codec.mean_pairs(geometry)[pairs])
    readable = codec.readable_pairs(case.coefficients[1], geometry)
    close(codec.readable_pairs(of_pairs, part), readable[pairs])
    frames = [atom_frames(tokens), pair_frames(tokens)]
    rows = [
        frame and ToGlobal(frame.rotation[items], frame.confidence[items])
        for frame, items in zip(frames, (atoms, pairs), strict=True)
    ]
    close(codec.stage2_atoms(of_atoms, species, rows[0]), stage2.nodes[atoms])
    blocks = codec.stage2_pairs(of_pairs, tokens.envelope[pairs], classes, rows[1])
    close(blocks, stage2.pairs[pairs])


def test_blocks_of_joined_structures_are_those_of_each_structure():
    torch.manual_seed(0)
    case = Case("global frame")
    model, codec = case.model, case.codec
    graph = model.graph(distorted_ethanol())
    geometry = model.geometry(join([graph, graph]))
    twice = codec.stage1_pairs(torch.cat([case.coefficients[1]] * 2), geometry)
    close(twice, torch.cat([case.stage1(*case.coefficients).pairs] * 2))
