"""Stage 1: exact equivariance without training, complete blocks, a smooth cutoff, batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from tests.support.networks import BASIS, SMALL, distorted_ethanol, random_model
from workbench.evaluation.equivariance import equivariance
from workbench.hamiltonians.rotations import random_rotation
from workbench.models.equivariant_layers import SO2Convolution
from workbench.models.graph import build
from workbench.models.stage1 import Stage1
from workbench.models.tensor_product import TensorProductConvolution
from workbench.training.batching import Store

PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 2e-6)]  # of the largest element


@pytest.fixture(scope="module", params=[SO2Convolution, TensorProductConvolution])
def predictors(request):
    """Stage 1 per dtype, built in it: e3nn's tensor product keeps the dtype it was built in."""
    models = {}
    for dtype, _ in PRECISIONS:
        model = random_model()
        torch.set_default_dtype(dtype)
        try:
            model.baseline = Stage1(model.irreps, SMALL, convolution=request.param)
        finally:
            torch.set_default_dtype(torch.float32)
        models[dtype] = model.to(dtype).stage1
    return models


@pytest.mark.parametrize("kind", ["rotation", "inversion", "translation", "permutation"])
@pytest.mark.parametrize(("dtype", "bound"), PRECISIONS)
def test_stage1_is_equivariant_before_any_training(predictors, kind, dtype, bound):
    report = equivariance(
        {"stage 1": predictors[dtype]}, molecule("CH3CH2OH"), samples=2, kind=kind
    )
    assert report["stage 1"].max_mev <= bound * report.largest["stage 1"]


def test_stage1_is_equivariant_under_improper_rotations(predictors):
    """Pseudo-tensors: a rotation with inversion, on a chiral geometry."""
    stage1, atoms = predictors[torch.float64], distorted_ethanol()
    reflection = -random_rotation(np.random.default_rng(5))
    rotated = atoms.copy()
    rotated.positions = atoms.positions @ reflection.T
    H, H_rotated = stage1(atoms), stage1(rotated)
    assert (H_rotated - H.rotate(reflection)).max_abs() < 1e-9 * H.max_abs()


def test_no_element_of_a_block_is_always_zero():
    """The features reach every irrep of every shell pair, in each class of pairs."""
    H = random_model().to(torch.float64).stage1(distorted_ethanol())
    for i, j in ((0, 0), (2, 2), (0, 2), (0, 5), (5, 6)):
        block = H.block(i, j)
        zeros = np.abs(block) < 1e-12
        assert not zeros.any(), (i, j, np.argwhere(zeros))


def test_single_and_distant_atoms_are_predicted():
    model = random_model()
    assert model.stage1(Atoms("O")).values.shape == (1, BASIS.dim, BASIS.dim)
    pair = Atoms("OH", [[0, 0, 0], [0, 0, 30.0]])
    assert model.predict(pair).refined.edges.shape == (2, 2)


def test_a_prediction_is_continuous_at_the_cutoff():
    """Without a guess, which has no cutoff."""
    model = random_model(replace(SMALL, guess="none", cutoff=4.0)).to(torch.float64)

    def on_site(distance):
        return model.stage1(Atoms("OHH", [[0, 0, 0], [0, 0, 1.0], [distance, 0, 0]])).block(0, 0)

    assert np.abs(on_site(4.0 - 1e-4) - on_site(4.0 + 1e-4)).max() < 1e-9


def test_a_batch_of_molecules_gives_the_blocks_of_each_molecule():
    model = random_model().to(torch.float64)
    molecules = [molecule(name) for name in ("H2O", "CH4", "CO2")]
    graphs = [build(a, model.config.longest_pair) for a in molecules]
    store = Store(graphs, torch.ones(3), torch.zeros(3))
    batch = store.select(torch.tensor([2, 0]))
    geometry = model.geometry(batch.graph)
    blocks = model.codec.stage1_blocks(
        model.baseline(batch.graph, geometry), batch.graph.reverse, geometry
    )
    water = graphs[0]
    geometry = model.geometry(water)
    alone = model.codec.stage1_blocks(model.baseline(water, geometry), water.reverse, geometry)
    torch.testing.assert_close(blocks.nodes[3:], alone.nodes)
    torch.testing.assert_close(blocks.pairs[-6:], alone.pairs)
