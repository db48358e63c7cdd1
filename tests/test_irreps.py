"""Blocks and irreps: orthogonal both ways, equivariant, norms kept."""

import numpy as np
import pytest
import torch

from workbench.basis import Basis
from workbench.conventions import random_rotation, wigner_d
from workbench.irreps import BlockIrreps, xray
from workbench.matrices import BlockMatrix

BASIS = Basis("toy", {1: (0, 0, 1), 8: (0, 0, 1, 1, 2, 3)})
IRREPS = BlockIrreps(BASIS)


def test_the_change_is_orthogonal():
    change = IRREPS.change
    np.testing.assert_allclose(change @ change.T, np.eye(len(change)), atol=1e-13)


@pytest.mark.parametrize("sign", [1, -1], ids=["proper", "improper"])
def test_coefficients_turn_as_their_irreps_say(sign):
    rng = np.random.default_rng(0)
    block, R = rng.normal(size=(BASIS.dim, BASIS.dim)), sign * random_rotation(rng)
    D = BASIS.rotation(R)
    turned = IRREPS.encode(D @ block @ D.T)
    before, at = IRREPS.encode(block), 0
    for p in IRREPS.paths:
        shell = slice(at, at + 2 * p.l + 1)
        parity = sign if p.pseudo else 1  # wigner_d already carries (-1)^l
        np.testing.assert_allclose(
            turned[shell], parity * wigner_d(p.l, R) @ before[shell], atol=1e-12
        )
        at = shell.stop
    assert at == BASIS.dim**2


def test_e3nn_irreps_count_every_coefficient():
    assert IRREPS.irreps.dim == BASIS.dim**2
    assert "1e" in str(IRREPS.irreps)  # the axial vector of a p-p block


def test_numpy_and_torch_agree_and_decode_inverts():
    block = np.random.default_rng(1).normal(size=(4, BASIS.dim, BASIS.dim))
    coefficients = IRREPS.encode(torch.from_numpy(block))
    np.testing.assert_allclose(coefficients.numpy(), IRREPS.encode(block), atol=1e-13)
    np.testing.assert_allclose(IRREPS.decode(coefficients).numpy(), block, atol=1e-13)


def test_xray_does_not_move_under_rotation():
    n = BASIS.n_orbitals(8) + BASIS.n_orbitals(1)
    dense = np.random.default_rng(2).normal(size=(n, n))
    matrix = BlockMatrix.from_dense(BASIS, [8, 1], dense + dense.T)
    before = xray(matrix, 0, 1)
    after = xray(matrix.rotate(random_rotation(np.random.default_rng(3))), 0, 1)
    assert before.keys() == after.keys()
    assert ("2p", "2p", 1) in before
    np.testing.assert_allclose(list(before.values()), list(after.values()), atol=1e-12)
    total = np.linalg.norm(matrix.block(0, 1))
    assert np.linalg.norm(list(before.values())) == pytest.approx(total)
    with pytest.raises(KeyError, match="No block"):
        xray(matrix, 0, 5)
