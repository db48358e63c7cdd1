"""Stage 2 is shown inverted structures: what it is shown is what they would give it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.crystal import sheet
from tests.support.networks import SPINOR_BASIS, SPINOR_CONFIG, refining_model
from workbench.models.blocks import Blocks
from workbench.models.tensor_rotations import rotate_blocks

INVERSION = -np.eye(3)[None]


def random_model(frame, spinor, **changes):
    basis = replace(SPINOR_BASIS, spinor=spinor)
    config = replace(SPINOR_CONFIG, lmax=4, pseudo_lmax=4, refiner_frame=frame, **changes)
    return refining_model(config, basis).to(torch.float64)


def tokens_of(model, atoms):
    graph, geometry, out = model._stage1([model.graph(atoms)])
    return model.tokens(out, graph, geometry), graph


def correction(model, tokens, graph):
    return model.codec.stage2_blocks(model.refiner(tokens), tokens, graph.reverse)


def inverted(model, blocks):
    """The blocks of the image under inversion."""
    by = model.rotations(INVERSION, blocks.nodes).blocks
    of = [torch.zeros(len(b), dtype=torch.long) for b in (blocks.nodes, blocks.pairs)]
    return Blocks(rotate_blocks(blocks.nodes, by[of[0]]), rotate_blocks(blocks.pairs, by[of[1]]))


@pytest.fixture(scope="module")
def pair():
    """A shaken sheet, which no inversion maps onto itself, and its image."""
    atoms = sheet()
    atoms.rattle(0.1, seed=3)
    image = atoms.copy()
    image.set_cell(-atoms.cell.array)
    image.positions = -atoms.positions
    return atoms, image


@pytest.mark.parametrize("spinor", [False, True])
def test_in_local_axes_a_mirror_makes_of_a_structure_what_its_image_is(pair, spinor):
    model = random_model("local", spinor)
    (own, graph), (image, there) = (tokens_of(model, atoms) for atoms in pair)
    seen = own.reflected(model.local.reflection, torch.ones(len(own.nodes), dtype=torch.bool))
    for name in ("nodes", "edges", "node_blocks", "pair_blocks", "direction", "node_confidence"):
        torch.testing.assert_close(getattr(seen, name), getattr(image, name), atol=1e-8, rtol=1e-8)
    assert (seen.nodes - own.nodes).abs().max() > 0.1
    found, expected = (correction(model, t, g) for t, g in ((seen, graph), (image, there)))
    expected = inverted(model, expected)
    torch.testing.assert_close(found.nodes, expected.nodes, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(found.pairs, expected.pairs, atol=1e-8, rtol=1e-8)
    assert (found - correction(model, own, graph)).nodes.abs().max() > 0.1


@pytest.mark.parametrize("spinor", [False, True])
def test_in_the_global_frame_tokens_are_inverted_as_structures_are(pair, spinor):
    model = random_model("global", spinor)
    (own, graph), (image, _) = (tokens_of(model, atoms) for atoms in pair)
    seen = own.rotated(model.rotations(INVERSION, own.nodes), graph.batch)
    for name, value in vars(image).items():
        torch.testing.assert_close(getattr(seen, name), value, atol=1e-8, rtol=1e-8)


def test_only_the_structures_asked_for_are_mirrored(pair):
    model = random_model("local", spinor=True)
    own, _ = tokens_of(model, pair[0])
    where = torch.tensor([True, False])
    seen = own.reflected(model.local.reflection, where)
    for is_mirrored, tokens in ((where, "nodes"), (where[own.row], "edges")):
        before, after = getattr(own, tokens), getattr(seen, tokens)
        assert torch.equal(after[~is_mirrored], before[~is_mirrored])
        assert (after[is_mirrored] - before[is_mirrored]).abs().amax((1, 2)).min() > 1e-3
    there = ~where[own.row]
    assert torch.equal(seen.pair_to_global.orbitals[there], own.pair_to_global.orbitals[there])


@pytest.mark.parametrize("averages_inversion", [True, False])
def test_with_a_centre_of_inversion_every_level_of_a_spinor_comes_twice(averages_inversion):
    """Kramers: time reversal takes k to -k, and inversion takes it back."""
    atoms = sheet()
    shift = np.random.default_rng(0).normal(scale=0.1, size=3)
    atoms.positions += [shift, -shift]
    H = (
        random_model("local", spinor=True, refiner_mirrors=averages_inversion)
        .predict(atoms)
        .refined
    )
    levels = np.linalg.eigvalsh(H.at_k([0.13, 0.29, 0.0]))
    apart = np.abs(levels[1::2] - levels[::2]).max()
    assert bool(apart < 1e-6) is averages_inversion
