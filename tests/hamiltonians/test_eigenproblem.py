"""Levels against PySCF, invariance under rotation, and the comparison of orbitals."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pyscf import dft, gto, scf
from scipy.stats import unitary_group

from workbench.engines.pyscf_molecules import ao_order, basis_of
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import (
    IllConditionedOverlap,
    OverlapError,
    gap,
    homo_lumo,
    levels,
    occupied_count,
    occupied_energy_mae,
    occupied_similarity,
    overlap_floor,
    solve,
)
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import load, rotate

seeds = st.integers(0, 2**32 - 1)


def run_pyscf(atoms: Atoms, basis: str, xc: str):
    """A tightly converged PySCF object, independent of the workbench's engine."""
    geometry = list(zip(atoms.symbols, atoms.positions, strict=True))
    mol = gto.M(atom=geometry, basis=basis, verbose=0)
    mf = scf.RHF(mol) if xc == "hf" else dft.RKS(mol, xc=xc)
    mf.conv_tol, mf.conv_tol_grad = 1e-13, 1e-10  # mo_energy lags the Fock matrix by a cycle
    mf.kernel()
    assert mf.converged
    return mf


def blocks(mf, atoms: Atoms, basis: str) -> tuple[BlockMatrix, BlockMatrix]:
    """PySCF's Fock matrix (eV) and overlap in the workbench's order."""
    shells = basis_of(basis, atoms.numbers)
    order = np.ix_(*[ao_order(mf.mol)] * 2)
    H, S = mf.get_fock()[order] * HARTREE, mf.get_ovlp()[order]
    return tuple(BlockMatrix.from_dense(shells, atoms.numbers, m) for m in (H, S))


@cache
def hartree_fock(name: str):
    atoms = load(name)
    mf = run_pyscf(atoms, "def2-svp", "hf")
    return mf, *blocks(mf, atoms, "def2-svp")


def toy(h, s=None) -> tuple[BlockMatrix, BlockMatrix]:
    """Matrices of one atom with as many s shells as there are rows."""
    basis = Basis("toy", {1: (0,) * len(h)})
    s = np.eye(len(h)) if s is None else s
    return tuple(BlockMatrix.from_dense(basis, [1], m) for m in (np.array(h, float), s))


def random_symmetric(rng, n):
    h = rng.normal(size=(n, n))
    return (h + h.T) / 2


# ---- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "basis", "xc"),
    [("water", "def2-svp", "pbe"), ("ammonia", "def2-svp", "hf"), ("methane", "sto-3g", "hf")],
)
def test_levels_are_pyscfs(name, basis, xc):
    atoms = load(name)
    mf = run_pyscf(atoms, basis, xc)
    H, S = blocks(mf, atoms, basis)
    np.testing.assert_allclose(levels(H, S), mf.mo_energy * HARTREE, atol=1e-8, rtol=0)
    n = mf.mol.nelectron
    homo, lumo = mf.mo_energy[n // 2 - 1 : n // 2 + 1] * HARTREE
    assert homo_lumo(H, S, n) == pytest.approx((homo, lumo), abs=1e-8)
    assert gap(H, S, n) == pytest.approx(lumo - homo, abs=2e-8)


def test_solutions_satisfy_the_equation():
    _, H, S = hartree_fock("water")
    energies, orbitals = solve(H, S)
    h, s = H.dense(), S.dense()
    np.testing.assert_allclose(h @ orbitals, s @ orbitals * energies, atol=1e-9)
    np.testing.assert_allclose(orbitals.T @ s @ orbitals, np.eye(len(s)), atol=1e-11)
    assert (np.diff(energies) >= 0).all()


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_rotation_keeps_the_levels(seed):
    R = random_rotation(np.random.default_rng(seed))
    for name in ("water", "methane"):
        _, H, S = hartree_fock(name)
        for operation in (R, -R):
            rotated = levels(H.rotate(operation), S.rotate(operation))
            np.testing.assert_allclose(rotated, levels(H, S), atol=1e-9, rtol=0)


def test_rotate_and_recompute():
    atoms = load("ammonia")
    R = random_rotation(np.random.default_rng(3))
    mf, H, S = hartree_fock("ammonia")
    turned = rotate(atoms, R)
    H2, S2 = blocks(run_pyscf(turned, "def2-svp", "hf"), turned, "def2-svp")
    n = mf.mol.nelectron
    np.testing.assert_allclose(levels(H2, S2), levels(H, S), atol=1e-6, rtol=0)
    assert occupied_energy_mae(H2, H.rotate(R), S2, n) < 1e-6
    assert occupied_similarity(H2, H.rotate(R), S2, n) == pytest.approx(1, abs=1e-9)


@given(seeds, st.floats(-20, 20))
@settings(max_examples=20, deadline=None)
def test_the_energy_zero_is_a_gauge(seed, mu):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    H, S = toy(random_symmetric(rng, 6), root @ root.T + np.eye(6))
    np.testing.assert_allclose(levels(H + mu * S, S), levels(H, S) + mu, atol=1e-9)


def test_single_precision_models_have_double_precision_levels():
    _, H, S = hartree_fock("water")
    rough = replace(H, values=H.values.astype(np.float32))
    assert levels(rough, S).dtype == np.float64
    np.testing.assert_allclose(levels(rough, S), levels(H, S), atol=1e-3)


def test_spinors_fill_one_electron_each():
    basis = Basis("toy", {1: (0, 0)}, spinor=True)
    H = BlockMatrix.from_dense(basis, [1], np.diag([-2.0, 1.0, -1.0, 3.0]).astype(complex))
    S = BlockMatrix.from_dense(basis, [1], np.eye(4, dtype=complex))
    assert homo_lumo(H, S, 3) == (1.0, 3.0)


# ---- comparing two Hamiltonians ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["water", "methane"])
def test_a_matrix_agrees_with_itself(name):
    mf, H, S = hartree_fock(name)
    assert occupied_energy_mae(H, H, S, mf.mol.nelectron) == 0
    assert occupied_similarity(H, H, S, mf.mol.nelectron) == pytest.approx(1, abs=1e-12)


def test_a_shift_moves_energies_but_not_orbitals():
    mf, H, S = hartree_fock("water")
    n = mf.mol.nelectron
    assert occupied_energy_mae(H + 0.25 * S, H, S, n) == pytest.approx(0.25, abs=1e-9)
    assert occupied_similarity(H + 0.25 * S, H, S, n) == pytest.approx(1, abs=1e-9)


def test_degenerate_orbitals_are_compared_as_a_space():
    # Methane's HOMO is threefold degenerate (t2). A perturbation far below any physical scale picks
    # its basis at random, so the plain cosine is a matter of chance and the grouped one is not.
    mf, H, S = hartree_fock("methane")
    n = mf.mol.nelectron
    rng = np.random.default_rng(0)
    noise = BlockMatrix.from_dense(H.basis, H.numbers, random_symmetric(rng, H.n_ao) * 1e-4)
    other = H + noise.hermitian()
    plain, grouped = (occupied_similarity(other, H, S, n, tol) for tol in (0, 1e-2))
    assert plain < 0.95
    assert grouped > 1 - 1e-6


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_similarity_does_not_depend_on_the_basis_of_a_degenerate_space(seed):
    mixing = unitary_group.rvs(3, random_state=seed % 2**32).real
    mixing, _ = np.linalg.qr(mixing + 0.1 * np.eye(3))
    turn = np.eye(5)
    turn[:3, :3] = mixing  # within the degenerate levels only
    h = np.diag([-3.0, -3.0, -3.0, 1.0, 2.0])
    H1, S = toy(h)
    H2, _ = toy(turn @ h @ turn.T)
    assert occupied_similarity(H1, H2, S, 6) == pytest.approx(1, abs=1e-9)


def test_similarity_sees_a_known_mixing_angle():
    angle = np.deg2rad(30)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    h = np.diag([-5.0, -2.0, 4.0])
    H1, S = toy(h)
    H2, _ = toy(turn @ h @ turn.T)
    assert occupied_similarity(H1, H2, S, 4) == pytest.approx((1 + np.cos(angle)) / 2)
    assert occupied_similarity(H2, H1, S, 4) == pytest.approx((1 + np.cos(angle)) / 2)


def test_levels_that_swap_count_as_wrong():
    H1, S = toy(np.diag([-2.0, -1.0, 1.0]))
    H2, _ = toy(np.diag([-1.0, -2.0, 1.0]))
    assert occupied_similarity(H1, H2, S, 4) == pytest.approx(0)
    assert occupied_energy_mae(H1, H2, S, 4) == 0


# ---- what makes no sense -------------------------------------------------------------------------


def test_a_nearly_dependent_basis_warns_and_a_dependent_one_fails():
    def pair(off):
        return toy(np.diag([-1.0, 1.0]), np.array([[1, off], [off, 1]]))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        levels(*pair(0.99))
        assert overlap_floor(pair(0.99)[1]) == pytest.approx(0.01)
    with pytest.warns(IllConditionedOverlap, match=r"smallest eigenvalue is 1\.0e-06"):
        levels(*pair(1 - 1e-6))
    for off in (1.0 + 1e-6, 1.5):
        with pytest.raises(OverlapError, match="not positive definite"):
            levels(*pair(off))


def test_matrices_that_have_no_levels_are_refused():
    H, S = toy(np.diag([-1.0, 1.0]))
    skew = BlockMatrix.from_dense(H.basis, H.numbers, [[-1, 0.5], [0, 1]])
    with pytest.raises(ValueError, match=r"use H\.hermitian\(\) first"):
        levels(skew, S)
    levels(skew.hermitian(), S)
    with pytest.raises(ValueError, match="not finite"):
        levels(H * np.nan, S)
    with pytest.raises(ValueError, match="H has 2 orbitals of 1 atoms, S has 3 of 1"):
        levels(H, toy(np.eye(3))[1])


def test_electron_counts_must_fit():
    H, S = toy(np.diag([-1.0, 1.0]))
    assert occupied_count(H, 2) == 1
    with pytest.raises(ValueError, match="3 electrons do not fill closed shells"):
        gap(H, S, 3)
    for n in (0, 6, -2):
        with pytest.raises(ValueError, match="do not fit the 2 orbitals"):
            gap(H, S, n)
    with pytest.raises(ValueError, match="there is no LUMO"):
        gap(H, S, 4)


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, json, workbench.hamiltonians.eigenproblem\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert not {"pyscf", "torch", "e3nn", "plotly", "ipywidgets"} & set(loaded)
