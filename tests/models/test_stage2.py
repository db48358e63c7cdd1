"""Stage 2: its start at the baseline, its attention, and its inputs."""

from dataclasses import replace

import pytest
import torch
from torch_geometric.utils import softmax

from tests.support.networks import SMALL, distorted_ethanol, random_model, refining_model
from workbench.evaluation.equivariance import equivariance
from workbench.models.stage2 import TransformerLayer

WIDTH, PAIRS, ATOMS = 8, 12, 4


def test_stage2_starts_exactly_at_the_baseline_and_is_not_equivariant_by_construction():
    model = random_model()
    prediction = model.predict(distorted_ethanol())
    assert (prediction.refined - prediction.baseline).max_abs() == 0
    with torch.no_grad():
        model.refiner.pair_head.readout.shared[0].normal_()
    predictors = {"stage 1": model.stage1, "stages 1+2": model}
    report = equivariance(predictors, distorted_ethanol(), samples=2)
    assert report["stages 1+2"].max_mev > 1e3 * report["stage 1"].max_mev


def test_maps_of_atoms_commute_with_their_copies_to_pairs():
    """Compared with maps of the concatenated (row atom, column atom, pair)."""
    torch.manual_seed(0)
    layer = TransformerLayer(WIDTH, 2).double()
    x, pair = (torch.randn(n, WIDTH, dtype=torch.float64) for n in (ATOMS, PAIRS))
    row, column = torch.arange(PAIRS) % ATOMS, torch.randint(0, ATOMS, (PAIRS,))
    envelope = torch.rand(PAIRS, 1, dtype=torch.float64)
    inputs = layer.attention_inputs(x)
    aggregated = layer.attention(inputs, pair, row, column, envelope, range(ATOMS))
    key = layer.key(torch.cat([x[column], pair], dim=1)).unflatten(1, (2, -1))
    query = layer.query(x)[row].unflatten(1, (2, -1))
    weight = softmax((query * key).sum(-1) * (WIDTH / 2) ** -0.5, row) * envelope
    value = layer.value(torch.cat([x[row], x[column], pair], dim=1)).unflatten(1, (2, -1))
    expected = torch.zeros_like(x).index_add(0, row, (weight[..., None] * value).flatten(1))
    torch.testing.assert_close(aggregated, expected, rtol=1e-12, atol=1e-12)
    ends = layer.pair_norm(x)
    expected = layer.pair(torch.cat([ends[row], ends[column], pair], dim=1))
    update = layer.update(layer.ends(x), pair, row, column)
    torch.testing.assert_close(update, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("left_out", ["refiner_features", "refiner_baseline"])
def test_stage2_without_one_of_its_inputs(left_out):
    model = refining_model(replace(SMALL, **{left_out: False}))
    before = model.predict(distorted_ethanol())
    with torch.no_grad():
        for readout in (model.baseline.node_head.readout, model.baseline.pair_head.readout):
            for weight in readout.shared:
                weight.mul_(1.1)
    after = model.predict(distorted_ethanol())
    correction = after.refined - after.baseline - (before.refined - before.baseline)
    if left_out == "refiner_baseline":  # then stage 1's readouts have no effect
        assert (after.refined - before.refined).max_abs() < 1e-6
    else:
        assert correction.max_abs() > 1e-3
