"""Kramers pairs, and spinors rotated by 360 and 720 degrees."""

import numpy as np
import pytest

import workbench as wb
from tests.support.spinor import coupled
from workbench.hamiltonians.rotations import random_rotation
from workbench.hamiltonians.spinors import (
    SpinorStates,
    leading_orbitals,
    splitting,
    turn,
    turn_matrix,
    turn_state,
)
from workbench.structures.loading import rotate

AXIS = (1, 2, -1)


@pytest.fixture(scope="module")
def water():
    return wb.load("water")


@pytest.fixture(scope="module")
def states(water):
    return SpinorStates.of(*coupled(water))


def test_kramers_pairs_are_degenerate_without_a_magnetic_field(water):
    assert splitting(wb.levels(*coupled(water))) < 1e-10
    assert splitting(wb.levels(*coupled(water, magnetic=0.5))) > 0.1
    assert splitting(np.array([0.0, 0.25, 1.0, 1.125])) == 0.25


def test_d_is_minus_one_at_360_degrees_and_one_at_720(states):
    once, twice = turn(states.H.basis, AXIS, [360, 720])
    np.testing.assert_allclose(once, -np.eye(len(once)), atol=1e-13)
    np.testing.assert_allclose(twice, np.eye(len(twice)), atol=1e-13)


def test_rotations_multiply_and_equal_those_of_the_basis_up_to_the_sign(states):
    basis = states.H.basis
    first, second, both = turn(basis, AXIS, [200.0, 230.0, 430.0])
    np.testing.assert_allclose(second @ first, both, atol=1e-13)
    for D, angle, sign in ((first, 200, -1), (both, 430, -1)):  # 200 is -160, 430 is 70 + 360
        of_basis = basis.rotation(wb.rotation(AXIS, angle))
        np.testing.assert_allclose(D, sign * of_basis, atol=1e-13)


def test_the_rotated_matrix_is_that_of_the_rotated_structure(water, states):
    D = turn(states.H.basis, AXIS, 500)
    R = wb.rotation(AXIS, 500)
    recomputed = coupled(rotate(water, R))[0]
    assert (turn_matrix(states.H, D) - recomputed).max_abs() < 1e-10
    assert (turn_matrix(states.H, turn(states.H.basis, AXIS, 360)) - states.H).max_abs() < 1e-12


def test_a_rotated_state_is_an_eigenstate_of_the_rotated_matrix(water, states):
    recomputed = SpinorStates.of(*coupled(rotate(water, wb.rotation(AXIS, 130))))
    rotated = turn_state(states.H, states.vectors[:, 9], turn(states.H.basis, AXIS, 130))
    weight = np.abs(recomputed.vectors.conj().T @ rotated) ** 2
    same = np.abs(recomputed.energies - states.energies[9]) < 1e-6
    assert weight[same].sum() == pytest.approx(1, abs=1e-10)


def test_states_are_orthonormal_solve_the_matrix_and_point_along_z(states):
    vectors = states.vectors
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(len(vectors)), atol=1e-12)
    np.testing.assert_allclose(states.energies, wb.levels(*coupled(wb.load("water"))), atol=1e-10)
    for upper, lower in zip(range(0, 14, 2), range(1, 14, 2), strict=True):
        assert states.spin_z(upper) > 0
        assert states.spin_z(lower) == pytest.approx(-states.spin_z(upper), abs=1e-9)


def test_overlaps_change_sign_after_360_degrees_whatever_the_state_and_the_axis(states):
    rng = np.random.default_rng(0)
    for level in (0, 5, 9):
        axis = random_rotation(rng)[0]
        D = turn(states.H.basis, axis, [0, 77, 360, 437, 720])
        none, some, once, more, twice = states.overlaps(level, D)
        assert none == pytest.approx(1, abs=1e-12)
        assert once == pytest.approx(-1, abs=1e-12)
        assert twice == pytest.approx(1, abs=1e-12)
        assert more == pytest.approx(-some, abs=1e-12)
        assert abs(some) < 0.99


def test_without_a_coupling_the_overlap_of_an_s_state_is_the_cosine_of_half_the_angle(water):
    atom = SpinorStates.of(*coupled(water[1:2]))  # hydrogen's 1s
    angles = np.arange(0, 721, 30)
    overlaps = atom.overlaps(0, turn(atom.H.basis, (1, 0, 0), angles))
    np.testing.assert_allclose(overlaps, np.cos(np.deg2rad(angles) / 2), atol=1e-12)


def test_leading_orbitals_are_whole_shells(states):
    state = np.zeros(14, dtype=complex)
    state[[2, 13]] = 0.8, 0.6j  # oxygen's py up, and down the s of the second hydrogen
    assert list(leading_orbitals(states.H, state, 1)) == [2, 3, 4]
    assert list(leading_orbitals(states.H, state, 3)) == [2, 3, 4]
    assert list(leading_orbitals(states.H, state, 4)) == [2, 3, 4, 6]
    assert len(leading_orbitals(states.H, state, 99)) == 7


def test_matrices_without_spin_are_refused_in_a_sentence(states):
    H, S = states.H.without_spin(), states.H.without_spin()
    with pytest.raises(ValueError, match="without spin"):
        SpinorStates.of(H, S)
    with pytest.raises(ValueError, match="without spin"):
        turn(H.basis, AXIS, 90)
