"""Rotation matrices of vectors and of spins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.hamiltonians.rotations import (
    PAULI,
    axis_angle,
    random_rotation,
    random_rotations,
    rotation,
    spin_half,
    spin_half_axis,
)

ANGLES = st.floats(-360, 360)
AXES = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3)


def test_rotation_is_active_and_right_handed():
    np.testing.assert_allclose(rotation((0, 0, 1), 90) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


@pytest.mark.parametrize("axis", [(0, 0, 0), (1, 2), (np.nan, 0, 1)])
def test_a_bad_axis_gets_a_sentence(axis):
    with pytest.raises(ValueError, match="three finite numbers"):
        rotation(axis, 10)


@settings(deadline=None)
@given(AXES, ANGLES)
def test_axis_angle_round_trip(axis, degrees):
    R = rotation(axis, degrees)
    np.testing.assert_allclose(rotation(*axis_angle(R)), R, atol=1e-12)


@settings(deadline=None)
@given(AXES, ANGLES)
def test_spin_follows_vectors(axis, degrees):
    """U sigma_a U^dagger = sum_b R_ba sigma_b."""
    R, U = rotation(axis, degrees), spin_half_axis(axis, degrees)
    turned = np.einsum("ij,ajk,lk->ail", U, PAULI, U.conj())
    np.testing.assert_allclose(turned, np.einsum("ba,bij->aij", R, PAULI), atol=1e-12)


def test_a_full_turn_changes_a_spinors_sign():
    np.testing.assert_allclose(spin_half_axis((0, 0, 1), 360), -np.eye(2), atol=1e-15)
    np.testing.assert_allclose(spin_half(-np.eye(3)), np.eye(2), atol=1e-15)


@pytest.mark.parametrize("seed", [0, 7, (11,), (4, 3)])
def test_random_rotations_are_single_draws_of_one_generator(seed):
    rng = np.random.default_rng(seed)
    single = np.stack([random_rotation(rng) for _ in range(5)])
    signs = rng.choice([-1.0, 1.0], size=(5, 1, 1))  # drawn after all rotations
    np.testing.assert_array_equal(random_rotations(5, seed), single)
    np.testing.assert_array_equal(random_rotations(5, seed, "all"), -single)
    np.testing.assert_array_equal(random_rotations(5, seed, "half"), signs * single)


def test_half_of_the_random_rotations_are_inverted():
    determinants = np.linalg.det(random_rotations(400, 1, "half"))
    np.testing.assert_allclose(np.abs(determinants), 1, atol=1e-12)
    assert 160 < (determinants < 0).sum() < 240  # 200 +- 4 standard deviations


def test_one_seed_may_be_given_alone_or_in_a_sequence():
    np.testing.assert_array_equal(random_rotations(3, 5), random_rotations(3, (5,)))


def test_random_rotations_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="at least one"):
        random_rotations(0)
    with pytest.raises(ValueError, match="'half'"):
        random_rotations(1, 0, "some")
