"""Orbital orders, compared with PySCF."""

import numpy as np
import pytest
from pyscf import gto

from workbench.hamiltonians.conventions import order_index
from workbench.hamiltonians.wigner import harmonics


def test_shells_agree_with_pyscf():
    """AO values of an atom with s to g shells, reordered, are our harmonics times a radial part."""
    exponents = [[l, (1.0, 1.0)] for l in range(5)]
    mol = gto.M(atom="He 0 0 0", basis={"He": exponents}, verbose=0)
    directions = np.random.default_rng(4).normal(size=(30, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = mol.eval_gto("GTOval_sph", directions)[:, order_index("pyscf", range(5))]
    ours = harmonics(4, directions)
    for l in range(5):
        shell = slice(l * l, (l + 1) ** 2)
        ratio = values[:, shell] / ours[:, shell]
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
        assert ratio[0, 0] > 0


def test_an_unknown_shell_is_refused():
    with pytest.raises(ValueError, match="l = 5"):
        order_index("pyscf", [0, 5])
