"""Populations and bond orders: the sums that they must have, and symmetry."""

import numpy as np
import pytest

import workbench as wb
from workbench.hamiltonians.populations import bond_orders, density_matrix, loewdin, mulliken


@pytest.fixture(scope="module")
def ethene():
    ref = wb.reference(wb.load("smiles:C=C"), "def2-svp", "hf")
    return ref, density_matrix(wb.solve(ref.H, ref.S)[1][:, : ref.n_electrons // 2])


@pytest.mark.parametrize("populations", [mulliken, loewdin])
def test_populations_add_up_to_the_electrons(ethene, populations):
    ref, P = ethene
    assert populations(P, ref.S).sum() == pytest.approx(ref.n_electrons, abs=1e-9)


def test_bond_orders_count_the_bonds(ethene):
    ref, P = ethene
    orders = bond_orders(P, ref.S)
    np.testing.assert_allclose(orders, orders.T)
    assert orders[0, 1] == pytest.approx(2, abs=0.1)
    assert orders[0, 2:].max() == pytest.approx(1, abs=0.1)
    assert orders[2, 3:].max() < 0.1
    assert not np.diag(orders).any()


def test_spinors_without_coupling_have_the_numbers_of_orbitals_without_spin(ethene):
    ref, P = ethene
    H, S = ref.H.with_spin(), ref.S.with_spin()
    twice = density_matrix(wb.solve(H, S)[1][:, : ref.n_electrons], spinor=True)
    for function in (mulliken, loewdin, bond_orders):
        np.testing.assert_allclose(function(twice, S), function(P, ref.S), atol=1e-9)
