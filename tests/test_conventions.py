"""Rotation matrices and orders, against e3nn, PySCF and the group laws."""

import numpy as np
import pytest
import torch
from e3nn import o3
from hypothesis import given, settings
from hypothesis import strategies as st
from pyscf import gto

from workbench import conventions as cv

ANGLES = st.floats(-360, 360)
AXES = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3)


def test_rotation_is_active_and_right_handed():
    np.testing.assert_allclose(cv.rotation((0, 0, 1), 90) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


@pytest.mark.parametrize("axis", [(0, 0, 0), (1, 2), (np.nan, 0, 1)])
def test_a_bad_axis_gets_a_sentence(axis):
    with pytest.raises(ValueError, match="three finite numbers"):
        cv.rotation(axis, 10)


@settings(deadline=None)
@given(AXES, ANGLES)
def test_axis_angle_round_trip(axis, degrees):
    R = cv.rotation(axis, degrees)
    np.testing.assert_allclose(cv.rotation(*cv.axis_angle(R)), R, atol=1e-12)


@settings(deadline=None)
@given(AXES, ANGLES, AXES, ANGLES)
def test_wigner_d_is_a_representation(axis1, degrees1, axis2, degrees2):
    a, b = cv.rotation(axis1, degrees1), -cv.rotation(axis2, degrees2)
    for l in range(5):
        product = cv.wigner_d(l, a) @ cv.wigner_d(l, b)
        np.testing.assert_allclose(cv.wigner_d(l, a @ b), product, atol=1e-12)


def test_wigner_d_is_orthogonal_and_carries_parity():
    R = cv.random_rotation(np.random.default_rng(0))
    for l in range(7):
        D = cv.wigner_d(l, R)
        np.testing.assert_allclose(D @ D.T, np.eye(2 * l + 1), atol=1e-12)
        np.testing.assert_allclose(cv.wigner_d(l, -R), (-1) ** l * D, atol=1e-12)


def test_l1_turns_as_yzx():
    R = cv.random_rotation(np.random.default_rng(1))
    axes = list(cv.E3NN_AXES)
    np.testing.assert_allclose(cv.wigner_d(1, R), R[np.ix_(axes, axes)], atol=1e-13)


def test_wigner_d_takes_batches():
    rng = np.random.default_rng(2)
    batch = np.stack([cv.random_rotation(rng) for _ in range(6)]).reshape(2, 3, 3, 3)
    D = cv.wigner_d(3, batch)
    assert D.shape == (2, 3, 7, 7)
    np.testing.assert_allclose(D[1, 2], cv.wigner_d(3, batch[1, 2]), atol=1e-14)


def test_harmonics_agree_with_e3nn():
    vectors = np.random.default_rng(3).normal(size=(40, 3))
    fed = torch.tensor(vectors[:, cv.E3NN_AXES], dtype=torch.float64)
    theirs = o3.spherical_harmonics(list(range(7)), fed, True, normalization="integral")
    np.testing.assert_allclose(cv.harmonics(6, vectors), theirs.numpy(), atol=1e-12)


def test_shells_agree_with_pyscf():
    """AO values of an atom with s to g shells, reordered, are our harmonics times a radial part."""
    exponents = [[l, (1.0, 1.0)] for l in range(5)]
    mol = gto.M(atom="He 0 0 0", basis={"He": exponents}, verbose=0)
    directions = np.random.default_rng(4).normal(size=(30, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = mol.eval_gto("GTOval_sph", directions)[:, cv.order_index("pyscf", range(5))]
    ours = cv.harmonics(4, directions)
    for l in range(5):
        shell = slice(l * l, (l + 1) ** 2)
        ratio = values[:, shell] / ours[:, shell]
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
        assert ratio[0, 0] > 0


def test_an_unknown_shell_is_refused():
    with pytest.raises(ValueError, match="l = 5"):
        cv.order_index("pyscf", [0, 5])


@settings(deadline=None)
@given(AXES, ANGLES)
def test_spin_follows_vectors(axis, degrees):
    """U sigma_a U^dagger = sum_b R_ba sigma_b."""
    R, U = cv.rotation(axis, degrees), cv.spin_half_axis(axis, degrees)
    turned = np.einsum("ij,ajk,lk->ail", U, cv.PAULI, U.conj())
    np.testing.assert_allclose(turned, np.einsum("ba,bij->aij", R, cv.PAULI), atol=1e-12)


def test_a_full_turn_changes_a_spinors_sign():
    np.testing.assert_allclose(cv.spin_half_axis((0, 0, 1), 360), -np.eye(2), atol=1e-15)
    np.testing.assert_allclose(cv.spin_half(-np.eye(3)), np.eye(2), atol=1e-15)
