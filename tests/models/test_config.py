"""Settings of a model: the JSON round trip, and the checks of sizes, basis and guess."""

from dataclasses import replace

import pytest

from tests.support.networks import BASIS, SMALL, SPINOR_BASIS, SPINOR_CONFIG
from workbench.models.config import ModelConfig


def test_json_round_trip():
    assert ModelConfig.from_json(SMALL.to_json()) == SMALL


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="lmax=4"):
        ModelConfig(lmax=3).check(BASIS)
    with pytest.raises(ValueError, match="32 is not a multiple of 5"):
        ModelConfig(refiner_width=32, refiner_heads=5)
    with pytest.raises(ValueError, match="multiple"):
        ModelConfig(refiner_width=30)
    with pytest.raises(ValueError, match="channels must be at least 1, not 0"):
        ModelConfig(channels=0)


def test_a_basis_with_spin_needs_larger_lmax_and_no_guess():
    with pytest.raises(ValueError, match="guess='none'"):
        replace(SPINOR_CONFIG, guess="orbitals").check(SPINOR_BASIS)
    with pytest.raises(ValueError, match="lmax=4, pseudo_lmax=4"):
        SPINOR_CONFIG.check(SPINOR_BASIS)
