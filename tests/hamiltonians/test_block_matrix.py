"""Basis layout and block matrices: exact round trips, group laws, alignment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.crystal import integrals, sheet
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.pairs import all_pairs
from workbench.hamiltonians.rotations import random_rotation
from workbench.hamiltonians.wigner import wigner_d

BASIS = Basis("toy", {1: (0, 0, 1), 8: (0, 0, 0, 1, 1, 2), 26: (0, 1, 0, 2, 3)})
SPINOR = Basis("toy", BASIS.shells, spinor=True)


def random_matrix(numbers, seed=0, basis=BASIS):
    rng = np.random.default_rng(seed)
    n = sum(basis.n_orbitals(z) for z in numbers) * (2 if basis.spinor else 1)
    dense = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if basis.spinor else 0)
    return BlockMatrix.from_dense(basis, numbers, dense + dense.conj().T), dense + dense.conj().T


def test_layout_is_the_union_of_all_elements():
    assert BASIS.layout == (0, 0, 0, 1, 1, 2, 3)
    assert BASIS.dim == 3 + 6 + 5 + 7
    assert BASIS.slots(26).tolist() == [0, 3, 4, 5, 1, *range(9, 14), *range(14, 21)]


def test_labels_name_shells_and_components():
    assert BASIS.labels(1) == ["1s", "2s", "2py", "2pz", "2px"]
    assert BASIS.labels(26)[-1] == "4f+3"


def test_json_round_trip():
    assert Basis.from_json(SPINOR.to_json()) == SPINOR


@settings(deadline=None)  # a busy machine must not fail the test
@given(st.lists(st.sampled_from([1, 8, 26]), min_size=1, max_size=5), st.booleans())
def test_dense_round_trip_is_exact(numbers, spinor):
    matrix, dense = random_matrix(numbers, basis=SPINOR if spinor else BASIS)
    np.testing.assert_array_equal(matrix.dense(), dense)


def test_edges_are_on_site_first():
    assert all_pairs(3).T.tolist()[:4] == [[0, 0], [1, 1], [2, 2], [0, 1]]


def test_block_is_the_dense_slice():
    matrix, dense = random_matrix([8, 1, 26])
    o = matrix.offsets
    np.testing.assert_array_equal(matrix.block(2, 0), dense[o[2] : o[3], o[0] : o[1]])
    with pytest.raises(KeyError, match="No block"):
        matrix.block(0, 1, (1, 0, 0))


def test_rotate_is_the_dense_law():
    """D H D^T, with D built per atom and shell in the AO order of the atom."""
    numbers = [26, 1, 8]
    matrix, dense = random_matrix(numbers)
    R = -random_rotation(np.random.default_rng(1))
    blocks = [wigner_d(l, R) for z in numbers for l in BASIS.shells[z]]
    n = len(dense)
    D, start = np.zeros((n, n)), 0
    for block in blocks:
        D[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    np.testing.assert_allclose(matrix.rotate(R).dense(), D @ dense @ D.T, atol=1e-12)


@pytest.mark.parametrize("basis", [BASIS, SPINOR], ids=["scalar", "spinor"])
def test_rotations_compose_and_keep_the_spectrum(basis):
    matrix, dense = random_matrix([8, 1], basis=basis)
    rng = np.random.default_rng(2)
    a, b = random_rotation(rng), -random_rotation(rng)
    twice, once = matrix.rotate(a).rotate(b).dense(), matrix.rotate(b @ a).dense()
    np.testing.assert_allclose(twice, once, atol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(once), np.linalg.eigvalsh(dense), atol=1e-11)


def test_padding_stays_zero():
    matrix = random_matrix([1, 8])[0].rotate(random_rotation(np.random.default_rng(3)))
    assert not matrix.values[~matrix.mask].any()


def test_permute_moves_whole_atoms():
    numbers, order = [8, 1, 26], [2, 0, 1]
    matrix, dense = random_matrix(numbers)
    o = matrix.offsets
    index = np.concatenate([np.arange(o[a], o[a + 1]) for a in order])
    moved = matrix.permute(order)
    np.testing.assert_array_equal(moved.dense(), dense[np.ix_(index, index)])
    np.testing.assert_array_equal(moved.edges, all_pairs(3))
    with pytest.raises(ValueError, match="permutation"):
        matrix.permute([0, 0, 1])


def test_hermitian_part():
    _, dense = random_matrix([8, 1], basis=SPINOR)
    skew = BlockMatrix.from_dense(SPINOR, [8, 1], dense + 1j * dense)
    np.testing.assert_allclose(skew.hermitian().dense(), dense, atol=1e-14)


def test_missing_partner_is_refused():
    matrix, _ = random_matrix([1, 1])
    half = BlockMatrix(
        BASIS, matrix.numbers, matrix.edges[:, :3], matrix.shifts[:3], matrix.values[:3]
    )
    with pytest.raises(ValueError, match="no partner"):
        half.hermitian()


def test_difference_takes_the_union_of_blocks_and_bases():
    matrix, dense = random_matrix([1, 8])
    small = Basis("toy", {1: BASIS.shells[1], 8: BASIS.shells[8]})
    same = BlockMatrix.from_dense(small, [1, 8], dense)
    assert (matrix - same).max_abs() == 0
    on_site = BlockMatrix(small, same.numbers, same.edges[:, :2], same.shifts[:2], same.values[:2])
    left = (on_site - matrix).dense()
    o = matrix.offsets
    assert not left[: o[1], : o[1]].any()
    np.testing.assert_array_equal(left[: o[1], o[1] :], -dense[: o[1], o[1] :])


def test_other_atoms_or_bases_are_refused():
    a, _ = random_matrix([1, 8])
    with pytest.raises(ValueError, match="different atoms"):
        _ = a - random_matrix([8, 1])[0]
    other = Basis("toy", {1: (0,), 8: (0, 1)})
    with pytest.raises(ValueError, match="differ"):
        _ = a - random_matrix([1, 8], basis=other)[0]
    with pytest.raises(ValueError, match="not C"):
        BASIS.check([1, 6])
    with pytest.raises(ValueError, match="does not fit"):
        BlockMatrix.from_dense(BASIS, [1], np.zeros((3, 3)))


def test_bloch_sum_is_hermitian_and_periodic():
    """A chain with one orbital: H(k) = e + 2 t cos(2 pi k)."""
    basis = Basis("s", {1: (0,)})
    edges = np.zeros((2, 3), int)
    shifts = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0]])
    chain = BlockMatrix(
        basis, np.array([1]), edges, shifts, np.array([[[0.5]], [[-1.0]], [[-1.0]]])
    )
    for k in (0.0, 0.2, 0.5):
        np.testing.assert_allclose(
            chain.at_k((k, 0, 0)), 0.5 - 2 * np.cos(2 * np.pi * k), atol=1e-14
        )
    with pytest.raises(ValueError, match="at_k"):
        chain.dense()


def test_at_gamma_is_the_sum_over_cells():
    H = integrals(sheet(), "int1e_kin", "sto-3g", 4.0)
    np.testing.assert_allclose(H.at_gamma(), H.at_k([0, 0, 0]).real)
    with pytest.raises(ValueError, match="at_k"):
        H.dense()
