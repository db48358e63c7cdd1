"""Local frames: stage 2 is exactly equivariant in them, and undefined frames get no correction."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.networks import SMALL, distorted_ethanol, refining_model
from workbench.evaluation.equivariance import equivariance
from workbench.models.edge_frames import feature_frames, highest_l
from workbench.structures.loading import load


def test_stage2_in_local_frames_is_equivariant_by_construction():
    model = refining_model(replace(SMALL, refiner_frame="local")).to(torch.float64)
    error = equivariance({"both": model}, distorted_ethanol(), samples=3)["both"]
    atoms = distorted_ethanol()
    correction = (model.predict(atoms).refined - model.stage1(atoms)).max_abs()
    assert error.max_mev < 1e-6 * 1000 * correction  # eV to meV
    assert correction > 0.1


@pytest.mark.parametrize("averages_inversion", [True, False])
def test_in_local_frames_the_mean_of_both_inverted_copies_obeys_inversion(
    averages_inversion,
):
    config = replace(SMALL, refiner_frame="local", refiner_mirrors=averages_inversion)
    model = refining_model(config).to(torch.float64)
    report = equivariance({"both": model}, distorted_ethanol(), samples=1, kind="inversion")
    assert (report["both"].max_mev < 1e-3) is averages_inversion


@pytest.mark.parametrize("name", ["water", "methane", "benzene"])
@pytest.mark.parametrize("shift", [0.0, 1e-9, 1e-6])
def test_atoms_whose_local_frame_is_undefined_by_symmetry_get_no_correction(name, shift):
    """Exactly symmetric molecules, and with the rounding of a relaxation or of six digits."""
    model = refining_model(replace(SMALL, refiner_frame="local")).to(torch.float64)
    atoms = load(name)
    atoms.positions += shift * np.random.default_rng(0).normal(size=atoms.positions.shape)
    error = equivariance({"both": model}, atoms, samples=3)["both"]
    assert error.max_mev < 1e-3
    prediction = model.predict(atoms)
    correction = prediction.refined - prediction.baseline
    assert correction.max_abs() > 0.1  # pairs with a local frame are corrected
    assert abs(correction.block(0, 0)).max() < 1e-3  # the first atom has none


def test_pair_features_in_local_frames_are_the_rotated_features_of_edge_frames():
    model = refining_model(replace(SMALL, refiner_frame="local")).to(torch.float64)
    local, layout = model.local, model.baseline.layout
    lmax = highest_l(model.config, model.irreps)
    torch.manual_seed(0)
    first = torch.randn(5, 3, dtype=torch.float64)
    to_edge_frame = feature_frames(layout, lmax)(local.frames(first))
    angle = torch.rand(5, dtype=torch.float64)
    harmonic = local.frames.rotate_about_z(local.frames(first), angle)
    x = torch.randn(5, layout.dim, 3, dtype=torch.float64)
    found = local.from_edge_frame(to_edge_frame @ x, angle)
    torch.testing.assert_close(found, local.to_features(harmonic) @ x)
