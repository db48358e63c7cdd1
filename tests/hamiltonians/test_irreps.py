"""Blocks and irreps: the change is orthogonal and equivariant, and keeps norms."""

import numpy as np
import pytest
import torch

from tests.support.crystal import sheet, with_spin_orbit
from tests.support.networks import SPINOR_BASIS
from workbench.hamiltonians import spin_parts
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.irreps import BlockIrreps, components, irrep_norms, is_pseudo, xrays
from workbench.hamiltonians.rotations import random_rotation
from workbench.hamiltonians.wigner import wigner_d

BASIS = Basis("toy", {1: (0, 0, 1), 8: (0, 0, 1, 1, 2, 3)})
IRREPS = BlockIrreps(BASIS)


def test_the_change_is_orthogonal():
    change = IRREPS.change
    np.testing.assert_allclose(change @ change.T, np.eye(len(change)), atol=1e-13)


@pytest.mark.parametrize("sign", [1, -1], ids=["proper", "improper"])
def test_coefficients_rotate_by_their_irreps(sign):
    rng = np.random.default_rng(0)
    block, R = rng.normal(size=(BASIS.dim, BASIS.dim)), sign * random_rotation(rng)
    D = BASIS.rotation(R)
    rotated = IRREPS.encode(D @ block @ D.T)
    before, start = IRREPS.encode(block), 0
    for p in IRREPS.paths:
        shell = slice(start, start + 2 * p.l + 1)
        parity = sign if p.pseudo else 1  # wigner_d includes (-1)^l
        np.testing.assert_allclose(
            rotated[shell], parity * wigner_d(p.l, R) @ before[shell], atol=1e-12
        )
        start = shell.stop
    assert start == BASIS.dim**2


def test_e3nn_irreps_count_every_coefficient():
    assert IRREPS.irreps.dim == BASIS.dim**2
    assert "1e" in str(IRREPS.irreps)  # the axial vector of a p-p block


def test_numpy_and_torch_agree_and_decode_inverts():
    block = np.random.default_rng(1).normal(size=(4, BASIS.dim, BASIS.dim))
    coefficients = IRREPS.encode(torch.from_numpy(block))
    np.testing.assert_allclose(coefficients.numpy(), IRREPS.encode(block), atol=1e-13)
    np.testing.assert_allclose(IRREPS.decode(coefficients).numpy(), block, atol=1e-13)


def test_rotations_keep_irrep_norms():
    n = BASIS.n_orbitals(8) + BASIS.n_orbitals(1)
    dense = np.random.default_rng(2).normal(size=(n, n))
    matrix = BlockMatrix.from_dense(BASIS, [8, 1], dense + dense.T)
    before = irrep_norms(matrix, 0, 1)
    after = irrep_norms(matrix.rotate(random_rotation(np.random.default_rng(3))), 0, 1)
    assert before.keys() == after.keys()
    assert ("2p", "2p", 1) in before
    np.testing.assert_allclose(list(before.values()), list(after.values()), atol=1e-12)
    total = np.linalg.norm(matrix.block(0, 1))
    assert np.linalg.norm(list(before.values())) == pytest.approx(total)
    with pytest.raises(KeyError, match="No block"):
        irrep_norms(matrix, 0, 5)


def test_norms_of_all_pairs_of_two_elements_equal_those_of_each_pair():
    n = 2 * BASIS.n_orbitals(1) + BASIS.n_orbitals(8)
    matrix = BlockMatrix.from_dense(BASIS, [1, 8, 1], np.random.default_rng(5).normal(size=(n, n)))
    blocks, norms = xrays(matrix, 1, 8)
    pairs = matrix.edges[:, blocks].T.tolist()
    assert pairs == [[0, 1], [2, 1]]
    for k, (i, j) in enumerate(pairs):
        expected = irrep_norms(matrix, i, j)
        assert norms.keys() == expected.keys()
        np.testing.assert_allclose([norms[key][k] for key in expected], list(expected.values()))


def test_components_of_p_with_p_are_trace_axial_vector_and_traceless_part():
    n = BASIS.n_orbitals(1) * 2
    matrix = BlockMatrix.from_dense(BASIS, [1, 1], np.random.default_rng(6).normal(size=(n, n)))
    block = matrix.block(0, 1)[2:5, 2:5]
    irreps = {l: components(matrix, 0, 1)["2p", "2p", l][0] for l in range(3)}
    trace, antisymmetric = np.trace(block), (block - block.T) / 2
    assert abs(irreps[0][0]) == pytest.approx(abs(trace) / np.sqrt(3))
    y, z, x = 0, 1, 2
    vector = antisymmetric[[z, x, y], [x, y, z]] * np.sqrt(2)  # along y, z, x
    sign = np.sign(irreps[1][0] * vector[0])
    np.testing.assert_allclose(sign * irreps[1], vector)
    traceless = (block + block.T) / 2 - trace / 3 * np.eye(3)
    assert np.linalg.norm(irreps[2]) == pytest.approx(np.linalg.norm(traceless))
    assert [is_pseudo(("2p", "2p", l)) for l in range(3)] == [False, True, False]


@pytest.mark.parametrize("time_reversal", [True, False])
@pytest.mark.parametrize("improper", [1.0, -1.0])
def test_irreps_of_a_spinor_block_rotate_as_irreps(time_reversal, improper):
    """The change of basis is orthogonal; kron(U, D) becomes one Wigner matrix per irrep."""
    irreps = BlockIrreps(SPINOR_BASIS, time_reversal)
    np.testing.assert_allclose(irreps.change @ irreps.change.T, np.eye(irreps.size), atol=1e-13)
    R = improper * random_rotation(np.random.default_rng(3))
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(3, irreps.shape[0], SPINOR_BASIS.dim, SPINOR_BASIS.dim))
    D = SPINOR_BASIS.rotation(R)
    rotated = D @ spin_parts.from_parts(parts) @ D.conj().T
    before, after = irreps.encode(parts), irreps.encode(spin_parts.to_parts(rotated, len(parts[0])))
    first = 0
    for p in irreps.paths:
        irrep = slice(first, first + 2 * p.l + 1)
        D_l = wigner_d(p.l, R) * (np.linalg.det(R) if p.pseudo else 1.0)
        np.testing.assert_allclose(after[:, irrep], before[:, irrep] @ D_l.T, atol=1e-12)
        first = irrep.stop
    np.testing.assert_allclose(irreps.decode(before), parts, atol=1e-13)


def test_irrep_norms_of_a_spinor_block_are_invariant_under_rotation():
    H, _ = with_spin_orbit(sheet())
    rotated = H.rotate(random_rotation(np.random.default_rng(4)))
    norms = irrep_norms(H, 0, 1)
    assert norms == pytest.approx(irrep_norms(rotated, 0, 1), abs=1e-10)
    total = sum(norm**2 for norm in norms.values())
    assert total == pytest.approx(np.linalg.norm(H.block(0, 1)) ** 2)
