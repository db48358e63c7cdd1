"""The density of states by element and l: sums, integrals, and the states of a molecule."""

import numpy as np
import pytest

import workbench as wb
from workbench.hamiltonians.bands import density_of_states, energies_at, states_at
from workbench.hamiltonians.density_of_states import projected_density_of_states, shell_sets

MESH = (3, 3, 1)


@pytest.fixture(scope="module")
def sheet():
    with wb.Dataset("graphene") as data:
        return data.reference(0)


@pytest.fixture(scope="module")
def dos(sheet):
    return projected_density_of_states(sheet.H, sheet.S, MESH, width=0.5)


def test_the_parts_add_up_and_the_integral_counts_the_orbitals(sheet, dos):
    assert list(dos.projected) == ["C s", "C p", "C d"]
    np.testing.assert_allclose(sum(dos.projected.values()), dos.total, atol=1e-12)
    assert np.trapezoid(dos.total, dos.energies) == pytest.approx(2 * sheet.H.n_ao, abs=1e-6)
    plain = density_of_states(sheet.H, sheet.S, MESH, dos.energies, 0.5)
    np.testing.assert_allclose(dos.total, plain, atol=1e-9)


def test_filled_states_hold_the_electrons():
    """The gap of hydrogen fluoride is far wider than the Gaussians."""
    ref = wb.reference(wb.load("HF"), "sto-3g", "hf")
    dos = projected_density_of_states(ref.H, ref.S, (1, 1, 1), width=0.1)
    middle = np.mean(wb.levels(ref.H, ref.S)[4:6])
    below = dos.energies < middle
    assert np.trapezoid(dos.total[below], dos.energies[below]) == pytest.approx(10, abs=1e-6)


def test_spinors_without_coupling_have_the_same_density(sheet, dos):
    H, S = sheet.H.with_spin(), sheet.S.with_spin()
    found = projected_density_of_states(H, S, MESH, dos.energies, 0.5)
    for name, part in found.projected.items():
        np.testing.assert_allclose(part, dos.projected[name], atol=1e-9)


def test_states_solve_the_eigenvalue_problem_and_left_out_ones_are_zero(sheet):
    k = (0.2, 0.1, 0)
    energies, states = states_at(sheet.H, sheet.S, k)
    s = sheet.S.at_k(k)
    np.testing.assert_allclose(sheet.H.at_k(k) @ states, s @ states * energies, atol=1e-8)
    np.testing.assert_allclose(states.conj().T @ s @ states, np.eye(len(s)), atol=1e-8)
    least = float(np.median(np.linalg.eigvalsh(s)))
    energies, states = states_at(sheet.H, sheet.S, k, least)
    np.testing.assert_allclose(energies, energies_at(sheet.H, sheet.S, k, least))
    assert np.isinf(energies).any()
    assert not states[:, np.isinf(energies)].any()
    left = projected_density_of_states(sheet.H, sheet.S, (1, 1, 1), width=0.5, least=0.1)
    kept = np.isfinite(energies_at(sheet.H, sheet.S, (0, 0, 0), 0.1)).sum()
    assert np.trapezoid(left.total, left.energies) == pytest.approx(2 * kept, abs=1e-6)


def test_sets_are_named_by_element_and_l():
    names, index = shell_sets(wb.reference(wb.load("water"), "sto-3g", "hf").H.with_spin())
    assert names == ["O s", "O p", "H s"]
    assert index.tolist() == [0, 0, 1, 1, 1, 2, 2] * 2


@pytest.mark.parametrize("energies", [[0.0, float("nan")], 1.0, [[0.0]]])
def test_energies_without_sense_are_refused(sheet, energies):
    with pytest.raises(ValueError, match="a list of finite numbers"):
        projected_density_of_states(sheet.H, sheet.S, (1, 1, 1), energies)


@pytest.mark.parametrize("width", [0, -1, float("nan")])
def test_a_width_without_sense_is_refused(sheet, width):
    with pytest.raises(ValueError, match="it must be above 0"):
        projected_density_of_states(sheet.H, sheet.S, (1, 1, 1), width=width)
