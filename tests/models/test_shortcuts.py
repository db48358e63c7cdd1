"""Ways of computing that were chosen for their speed give what the plain ways give."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from pyscf import scf
from torch_geometric.utils import softmax

from workbench.engines.pyscf_molecules import mole
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.rotations import random_rotation
from workbench.models.edge_frames import Constant
from workbench.models.equivariant_layers import O2Linear, by_order, joined
from workbench.models.stage2 import TransformerLayer
from workbench.structures.loading import rotate

BASIS = Basis("toy", {1: (0,), 8: (0, 1)})
WIDTH, PAIRS, ATOMS = 8, 12, 4


def test_a_map_in_edge_frames_is_a_product_per_part():
    orders = (3, 2, 0, 4)
    torch.manual_seed(0)
    linear = O2Linear(orders, (2, 3, 1, 1)).double()
    parts = by_order(torch.randn(5, 3 + 2 * 2 + 4, dtype=torch.float64), orders)
    first, *rest = (part @ weight for part, weight in zip(parts, linear.weights, strict=True))
    expected = [first + linear.bias, *rest]
    for found, wanted in zip(linear(parts), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    flat = torch.cat([part.flatten(1) for part in expected], dim=1)
    torch.testing.assert_close(joined(linear(parts)), flat, rtol=1e-12, atol=1e-12)


def test_attention_maps_atoms_before_they_are_copied_to_pairs():
    """Against the maps of (row atom, column atom, pair) side by side."""
    torch.manual_seed(0)
    layer = TransformerLayer(WIDTH, 2).double()
    x, pair = (torch.randn(n, WIDTH, dtype=torch.float64) for n in (ATOMS, PAIRS))
    row, column = torch.arange(PAIRS) % ATOMS, torch.randint(0, ATOMS, (PAIRS,))
    envelope = torch.rand(PAIRS, 1, dtype=torch.float64)
    found = layer.attention(layer.attention_inputs(x), pair, row, column, envelope, range(ATOMS))
    key = layer.key(torch.cat([x[column], pair], dim=1)).unflatten(1, (2, -1))
    query = layer.query(x)[row].unflatten(1, (2, -1))
    weight = softmax((query * key).sum(-1) * (WIDTH / 2) ** -0.5, row) * envelope
    value = layer.value(torch.cat([x[row], x[column], pair], dim=1)).unflatten(1, (2, -1))
    expected = torch.zeros_like(x).index_add(0, row, (weight[..., None] * value).flatten(1))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    ends = layer.pair_norm(x)
    expected = layer.pair(torch.cat([ends[row], ends[column], pair], dim=1))
    found = layer.update(layer.ends(x), pair, row, column)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_molecule_that_was_moved_is_one_that_was_made():
    """The one is kept for all geometries of its atoms; integrals tell no difference."""
    atoms = molecule("CH3CH2OH")
    for seed in (1, 2):
        turned = rotate(atoms, random_rotation(np.random.default_rng(seed)))
        moved, made = mole(turned, "def2-svp", electrons=False), mole(turned, "def2-svp")
        np.testing.assert_array_equal(moved.atom_coords(), made.atom_coords())
        np.testing.assert_array_equal(scf.hf.get_hcore(moved), scf.hf.get_hcore(made))


@pytest.mark.parametrize("kept", ["constant", "change"])
def test_what_a_prediction_leaves_behind_can_be_trained_with(kept):
    """Tensors made in inference mode refuse to take part in a gradient."""
    x = torch.ones(2, BlockIrreps(BASIS).size, requires_grad=True)
    if kept == "constant":
        constant = Constant(np.ones(x.shape[1]))
        with torch.inference_mode():
            constant(x)
        (x * constant(x)).sum().backward()
    else:
        irreps = BlockIrreps(BASIS)
        with torch.inference_mode():
            irreps.decode(x)
        irreps.decode(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
