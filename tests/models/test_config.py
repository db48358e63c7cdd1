"""Settings of a model: the JSON round trip, and the checks of sizes, basis and guess."""

from dataclasses import fields, replace

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
    with pytest.raises(ValueError, match="channels must be a whole number from 1 to 4096, not 0"):
        ModelConfig(channels=0)


def test_a_basis_with_spin_needs_larger_lmax_and_no_guess():
    with pytest.raises(ValueError, match="guess='none'"):
        replace(SPINOR_CONFIG, guess="orbitals").check(SPINOR_BASIS)
    with pytest.raises(ValueError, match="lmax=4, pseudo_lmax=4"):
        SPINOR_CONFIG.check(SPINOR_BASIS)


WRONG = ["two", -1, 10**9, 1e400, float("nan"), 1.5, [1], {"a": 1}, ""]
NUMBERS = [f.name for f in fields(ModelConfig) if type(getattr(ModelConfig(), f.name)) is int]


@pytest.mark.parametrize("value", [*WRONG, True, None, 2.0])
@pytest.mark.parametrize("name", NUMBERS)
def test_every_size_is_a_whole_number_in_a_sane_range(name, value):
    with pytest.raises(ValueError, match=rf"ModelConfig\.{name} must be a whole number from \d"):
        ModelConfig(**{name: value})


@pytest.mark.parametrize("value", [value for value in WRONG if value != 1.5])
@pytest.mark.parametrize("name", [f.name for f in fields(ModelConfig) if f.name not in NUMBERS])
def test_every_other_setting_refuses_what_it_cannot_be(name, value):
    with pytest.raises(ValueError, match=rf"ModelConfig\.{name} must be .*\.$"):
        ModelConfig(**{name: value})


def test_what_a_header_holds_is_checked_as_the_arguments_are():
    with pytest.raises(ValueError, match="ModelConfig has no field 'colour'"):
        ModelConfig.from_json({"colour": 1})
    for channels in (10**9, "x" * 10**6, [1], None):
        with pytest.raises(ValueError, match=r"ModelConfig\.channels must be a whole number"):
            ModelConfig.from_json({"channels": channels})
    with pytest.raises(ValueError, match=r"ModelConfig must be an object .* not \[1, 2\]"):
        ModelConfig.from_json([1, 2])  # type: ignore[arg-type]


def test_a_header_of_an_older_version_has_fewer_settings():
    older = ModelConfig.from_json({"channels": 7})
    assert (older.guess, older.cutoff, older.pair_readout) == ("none", 10.0, 14)
