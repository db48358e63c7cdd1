"""Wigner matrices and harmonics, against the group laws and e3nn."""

import numpy as np
import torch
from e3nn import o3
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.hamiltonians.conventions import E3NN_AXES
from workbench.hamiltonians.rotations import (
    random_rotation,
    rotation,
)
from workbench.hamiltonians.wigner import harmonics, wigner_d

ANGLES = st.floats(-360, 360)
AXES = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3)


@settings(deadline=None)
@given(AXES, ANGLES, AXES, ANGLES)
def test_wigner_d_is_a_representation(axis1, degrees1, axis2, degrees2):
    a, b = rotation(axis1, degrees1), -rotation(axis2, degrees2)
    for l in range(5):
        product = wigner_d(l, a) @ wigner_d(l, b)
        np.testing.assert_allclose(wigner_d(l, a @ b), product, atol=1e-12)


def test_wigner_d_is_orthogonal_and_includes_parity():
    R = random_rotation(np.random.default_rng(0))
    for l in range(7):
        D = wigner_d(l, R)
        np.testing.assert_allclose(D @ D.T, np.eye(2 * l + 1), atol=1e-12)
        np.testing.assert_allclose(wigner_d(l, -R), (-1) ** l * D, atol=1e-12)


def test_l1_rotates_as_yzx():
    R = random_rotation(np.random.default_rng(1))
    axes = list(E3NN_AXES)
    np.testing.assert_allclose(wigner_d(1, R), R[np.ix_(axes, axes)], atol=1e-13)


def test_wigner_d_takes_batches():
    rng = np.random.default_rng(2)
    batch = np.stack([random_rotation(rng) for _ in range(6)]).reshape(2, 3, 3, 3)
    D = wigner_d(3, batch)
    assert D.shape == (2, 3, 7, 7)
    np.testing.assert_allclose(D[1, 2], wigner_d(3, batch[1, 2]), atol=1e-14)


def test_harmonics_agree_with_e3nn():
    vectors = np.random.default_rng(3).normal(size=(40, 3))
    permuted = torch.tensor(vectors[:, E3NN_AXES], dtype=torch.float64)
    theirs = o3.spherical_harmonics(list(range(7)), permuted, True, normalization="integral")
    np.testing.assert_allclose(harmonics(6, vectors), theirs.numpy(), atol=1e-12)
