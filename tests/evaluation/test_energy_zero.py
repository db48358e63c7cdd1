"""The zero of energy: H + mu S is found to be H, shifted by mu, for every kind of matrix."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import workbench as wb
from tests.support.crystal import integrals, sheet, with_spin_orbit
from workbench.evaluation.energy_zero import energy_shift, gauge_free_errors, without_shift
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.conventions import HARTREE

KINDS = ("molecule", "crystal", "spinors")


@pytest.fixture(scope="module")
def pairs():
    """Kind -> H, eV, and S; the spinors' H is complex."""
    water, atoms = wb.reference(wb.load("water"), "sto-3g", "hf"), sheet()
    kinetic, overlap = (integrals(atoms, kind, "sto-3g") for kind in ("int1e_kin", "int1e_ovlp"))
    return {
        "molecule": (water.H, water.S),
        "crystal": (kinetic * HARTREE, overlap),
        "spinors": with_spin_orbit(atoms, magnetic=0.2),
    }


def disturbed(H, seed, size=0.01):
    """H with a random hermitian error, eV."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=H.values.shape)
    if H.basis.spinor:
        noise = noise + 1j * rng.normal(size=H.values.shape)
    return H + replace(H, values=size * noise * H.mask).hermitian()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mu", [-3.0, -0.04, 1e-4, 0.5, 20.0])
def test_a_shift_is_recovered_and_leaves_no_error(pairs, kind, mu):
    H, S = pairs[kind]
    shifted = H + mu * S
    assert energy_shift(shifted, H, S) == pytest.approx(mu, abs=1e-10)
    assert energy_shift(H, shifted, S) == pytest.approx(-mu, abs=1e-10)
    assert (without_shift(shifted, H, S) - H).max_abs() < 1e-9
    assert matrix_errors(shifted, H).mae_mev == pytest.approx(1000 * abs(mu) * S.mae())
    assert gauge_free_errors(shifted, H, S).max_mev < 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_error_without_the_shift_does_not_depend_on_the_gauge(pairs, kind, seed):
    """Whatever is added to prediction or reference, in every pair of shells too."""
    H, S = pairs[kind]
    predicted, (a, b) = disturbed(H, seed), np.random.default_rng(seed).normal(size=2)
    expected, mu = gauge_free_errors(predicted, H, S), energy_shift(predicted, H, S)
    found = gauge_free_errors(predicted + a * S, H + b * S, S)
    assert expected.mae_mev > 1
    assert found.mae_mev == pytest.approx(expected.mae_mev, rel=1e-9)
    assert found.max_mev == pytest.approx(expected.max_mev, rel=1e-9)
    for shells, numbers in expected.shell_pairs.items():
        assert found.shell_pairs[shells] == pytest.approx(numbers, rel=1e-9)
    assert energy_shift(predicted + a * S, H + b * S, S) == pytest.approx(mu + a - b, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shift_has_the_least_sum_of_squares(pairs, kind):
    """Found by search as well, over the real numbers, also where the difference is complex."""
    H, S = pairs[kind]
    difference = disturbed(H, 1) + 0.03 * S - H

    def squares(mu):
        return float((np.abs((difference - float(mu) * S).values) ** 2).sum())

    least = minimize_scalar(squares, bracket=(-1.0, 1.0), options={"xtol": 1e-10}).x
    assert energy_shift(difference, 0.0 * difference, S) == pytest.approx(float(least), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shift_does_not_depend_on_the_orientation(pairs, kind):
    H, S = pairs[kind]
    R, predicted = wb.rotation((1, 2, -1), 70), disturbed(H, 2)
    turned = energy_shift(*(m.rotate(R) for m in (predicted, H, S)))
    assert turned == pytest.approx(energy_shift(predicted, H, S), rel=1e-9)


@pytest.mark.parametrize("kind", ["crystal", "spinors"])
@pytest.mark.parametrize("k", [(0, 0, 0), (0.5, 0, 0), (0.13, -0.27, 0)])
def test_every_band_moves_by_the_shift_at_every_k(pairs, kind, k):
    H, S = pairs[kind]
    shift = energies_at(H + 0.7 * S, S, k) - energies_at(H, S, k)
    np.testing.assert_allclose(shift, 0.7, atol=1e-8)


def test_only_blocks_of_the_two_matrices_count(pairs):
    """An overlap over more pairs of atoms does not change the number of elements."""
    H, S = pairs["crystal"]
    near = np.arange(H.edges.shape[1]) < 20

    def cut(matrix):
        edges, shifts, values = matrix.edges[:, near], matrix.shifts[near], matrix.values[near]
        return replace(matrix, edges=edges, shifts=shifts, values=values)

    rng = np.random.default_rng(0)
    short = cut(H)
    predicted = short + replace(short, values=0.01 * rng.normal(size=short.values.shape))
    found, expected = (gauge_free_errors(predicted, short, overlap) for overlap in (S, cut(S)))
    assert found == expected
    assert without_shift(predicted, short, S).values.shape == short.values.shape


def test_an_overlap_of_other_atoms_or_without_spin_is_refused(pairs):
    (H, S), (spinors, _) = pairs["crystal"], pairs["spinors"]
    with pytest.raises(ValueError, match="other atoms"):
        energy_shift(H, H, pairs["molecule"][1])
    with pytest.raises(ValueError, match="differ"):
        energy_shift(spinors, spinors, S)
