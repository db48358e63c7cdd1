"""Kramers pairs, and spinors that are turned once and twice."""

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


def test_pairs_are_degenerate_unless_something_is_magnetic(water):
    assert splitting(wb.levels(*coupled(water))) < 1e-10
    assert splitting(wb.levels(*coupled(water, magnetic=0.5))) > 0.1
    assert splitting(np.array([0.0, 0.25, 1.0, 1.125])) == 0.25


def test_a_turn_is_minus_one_after_one_round_and_one_after_two(states):
    once, twice = turn(states.H.basis, AXIS, [360, 720])
    np.testing.assert_allclose(once, -np.eye(len(once)), atol=1e-13)
    np.testing.assert_allclose(twice, np.eye(len(twice)), atol=1e-13)


def test_a_turn_multiplies_up_and_is_that_of_the_basis_but_for_the_sign(states):
    basis = states.H.basis
    first, second, both = turn(basis, AXIS, [200.0, 230.0, 430.0])
    np.testing.assert_allclose(second @ first, both, atol=1e-13)
    for D, angle, sign in ((first, 200, -1), (both, 430, -1)):  # 200 is -160, 430 is 70 + 360
        own = basis.rotation(wb.rotation(AXIS, angle))
        np.testing.assert_allclose(D, sign * own, atol=1e-13)


def test_the_matrix_turns_as_that_of_the_turned_structure(water, states):
    D = turn(states.H.basis, AXIS, 500)
    R = wb.rotation(AXIS, 500)
    there = coupled(rotate(water, R))[0]
    assert (turn_matrix(states.H, D) - there).max_abs() < 1e-10
    assert (turn_matrix(states.H, turn(states.H.basis, AXIS, 360)) - states.H).max_abs() < 1e-12


def test_a_turned_state_is_a_state_of_the_turned_matrix(water, states):
    there = SpinorStates.of(*coupled(rotate(water, wb.rotation(AXIS, 130))))
    turned = turn_state(states.H, states.vectors[:, 9], turn(states.H.basis, AXIS, 130))
    weight = np.abs(there.vectors.conj().T @ turned) ** 2
    same = np.abs(there.energies - states.energies[9]) < 1e-6
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
    found = atom.overlaps(0, turn(atom.H.basis, (1, 0, 0), angles))
    np.testing.assert_allclose(found, np.cos(np.deg2rad(angles) / 2), atol=1e-12)


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
