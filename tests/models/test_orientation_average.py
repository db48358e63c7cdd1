"""Averages of stage 2's correction over orientations and over inversion."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.crystal import sheet
from tests.support.networks import (
    SPINOR_BASIS,
    SPINOR_CONFIG,
    distorted_ethanol,
    refining_model,
)
from workbench.evaluation.equivariance import equivariance


def test_an_average_over_orientations_lowers_the_symmetry_error():
    model, atoms = refining_model(), distorted_ethanol()
    errors = []
    for count in (1, 4, 16):
        predictor = {"both": lambda a, count=count: model.predict(a, symmetrise=count).refined}
        errors.append(equivariance(predictor, atoms, samples=4)["both"].mae_mev)
    assert errors[2] < 0.6 * errors[1] < 0.4 * errors[0]
    with pytest.raises(ValueError, match="1 orientation or more"):
        model.predict(atoms, symmetrise=0)


@pytest.mark.parametrize("averages_inversion", [True, False])
def test_with_inversion_symmetry_spinor_levels_are_pairwise_degenerate(averages_inversion):
    """Kramers pairs: time reversal maps k to -k, and inversion maps -k back to k."""
    atoms = sheet()
    shift = np.random.default_rng(0).normal(scale=0.1, size=3)
    atoms.positions += [shift, -shift]
    config = replace(SPINOR_CONFIG, lmax=4, pseudo_lmax=4, refiner_mirrors=averages_inversion)
    model = refining_model(config, SPINOR_BASIS).double()
    H = model.predict(atoms).refined
    levels = np.linalg.eigvalsh(H.at_k([0.13, 0.29, 0.0]))
    splitting = np.abs(levels[1::2] - levels[::2]).max()
    assert bool(splitting < 1e-6) is averages_inversion
