"""Real parts of spinor matrices: a round trip, time reversal and hermiticity."""

import numpy as np

from tests.support.networks import SPINOR_BASIS
from workbench.hamiltonians import spin_parts


def test_the_parts_restore_the_matrix_and_the_first_four_are_even_under_time_reversal():
    rng = np.random.default_rng(1)
    m = 2 * SPINOR_BASIS.dim
    H = rng.normal(size=(3, m, m)) + 1j * rng.normal(size=(3, m, m))
    np.testing.assert_allclose(spin_parts.from_parts(spin_parts.to_parts(H)), H, atol=1e-14)
    even = spin_parts.from_parts(spin_parts.to_parts(H, spin_parts.EVEN))
    # Time reversal: i sigma_y after complex conjugation.
    flip = np.kron([[0, 1], [-1, 0]], np.eye(SPINOR_BASIS.dim))
    np.testing.assert_allclose(flip @ even.conj() @ flip.T, even, atol=1e-14)
    np.testing.assert_allclose(flip @ (H - even).conj() @ flip.T, even - H, atol=1e-14)
    assert spin_parts.odd_part(even) < 1e-15 < 0.1 < spin_parts.odd_part(H)


def test_parts_of_the_adjoint_are_signed_transposes():
    rng = np.random.default_rng(2)
    m = 2 * SPINOR_BASIS.dim
    H = rng.normal(size=(m, m)) + 1j * rng.normal(size=(m, m))
    adjoint = spin_parts.to_parts(H.conj().T)
    parts = spin_parts.to_parts(H)
    for of_adjoint, sign, part in zip(adjoint, spin_parts.SIGNS, parts, strict=True):
        np.testing.assert_allclose(of_adjoint, sign * part.T, atol=1e-14)
