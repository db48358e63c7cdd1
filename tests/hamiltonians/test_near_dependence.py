"""Nearly dependent orbitals: no ghost levels; the result is hermitian, equivariant, continuous."""

import numpy as np
import pytest

import workbench as wb
from workbench.engines.initial_guess import fit, superposition
from workbench.hamiltonians import near_dependence
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.near_dependence import Combinations, restored

KAPPA = 0.01


@pytest.fixture(scope="module")
def benzene():
    """Structure, reference, initial guess and its charges."""
    atoms = wb.load("benzene")
    reference = wb.reference(atoms, grid=1)
    charges = fit([(atoms, reference.H)], reference.H.basis)
    guess = superposition(atoms, reference.H.basis, charges)
    return atoms, reference, guess, charges


def with_error(H: BlockMatrix, error: np.ndarray) -> BlockMatrix:
    return BlockMatrix.from_dense(H.basis, H.numbers, H.dense() + error)


def error_of(reference, seed: int = 0) -> np.ndarray:
    """A random symmetric error of mean modulus 1 meV, and 1 meV that lowers dependent orbitals."""
    rng = np.random.default_rng(seed)
    s, v = np.linalg.eigh(reference.S.dense())
    dependent = v[:, s < 3e-3]
    lowering = -(rows := dependent @ rng.normal(size=(dependent.shape[1],) * 2)) @ rows.T
    drawn = rng.normal(size=reference.S.dense().shape)
    return sum(1e-3 * error / np.abs(error).mean() for error in (drawn + drawn.T, lowering))


@pytest.mark.parametrize("seed", range(5))
def test_a_small_random_error_makes_ghost_levels_and_the_guess_removes_them(benzene, seed):
    _, reference, guess, _ = benzene
    S, n = reference.S, reference.n_electrons
    wrong = with_error(reference.H, error_of(reference, seed))
    (right,) = restored([wrong], guess, Combinations.of(S), KAPPA)
    true_gap = wb.gap(reference.H, S, n)
    assert abs(wb.gap(wrong, S, n) - true_gap) > 1
    assert abs(wb.gap(right, S, n) - true_gap) < 0.05
    assert (right - reference.H).mae() < (wrong - reference.H).mae()


def test_the_result_is_hermitian_and_equivariant(benzene):
    atoms, reference, guess, charges = benzene
    wrong = with_error(reference.H, error_of(reference))
    (right,) = restored([wrong], guess, Combinations.of(reference.S), KAPPA)
    assert np.array_equal(right.dense(), right.dense().T)
    for R in (wb.rotation((1, 2, 3), 77), -wb.rotation((3, 1, 0), 20), -np.eye(3)):
        rotated = wb.rotate(atoms, R)
        S = wb.overlap(rotated, reference.S.basis)
        there = superposition(rotated, reference.H.basis, charges)
        (again,) = restored([wrong.rotate(R)], there, Combinations.of(S), KAPPA)
        assert (again - right.rotate(R)).max_abs() < 1e-9


def test_the_result_follows_a_permutation_of_the_atoms(benzene):
    _, reference, guess, _ = benzene
    order = np.random.default_rng(1).permutation(12)
    wrong = with_error(reference.H, error_of(reference))
    (right,) = restored([wrong], guess, Combinations.of(reference.S), KAPPA)
    (again,) = restored(
        [wrong.permute(order)],
        guess.permute(order),
        Combinations.of(reference.S.permute(order)),
        KAPPA,
    )
    assert (again - right.permute(order)).max_abs() < 1e-10


def test_the_result_is_continuous_when_an_eigenvalue_passes_kappa():
    """Two s functions, whose overlap has the eigenvalues s and 2 - s."""
    basis = wb.reference(wb.load("H2"), basis="sto-3g", xc="hf").H.basis

    def matrix(dense):
        return BlockMatrix.from_dense(basis, [1, 1], np.array(dense))

    H, guess = matrix([[1.0, 0.5], [0.5, 1.0]]), matrix([[-3.0, 2.0], [2.0, -3.0]])

    def change(s):
        S = matrix([[1.0, 1.0 - s], [1.0 - s, 1.0]])
        return (restored([H], guess, Combinations.of(S), KAPPA)[0] - H).max_abs()

    values = np.array([change(s) for s in np.geomspace(1e-3, 10, 400) * KAPPA])
    assert np.abs(np.diff(values)).max() < 0.03 * values.max()
    assert (np.diff(values) <= 1e-12).all()  # the smaller the eigenvalue, the more of the guess
    assert change(10 * KAPPA) == 0


def test_the_true_hamiltonian_keeps_its_levels(benzene):
    """Also where the guess is taken: its energies of these combinations are high, as they must."""
    _, reference, guess, _ = benzene
    (same,) = restored([reference.H], guess, Combinations.of(reference.S), KAPPA)
    n_occ = reference.n_electrons // 2
    changes = np.abs(wb.levels(same, reference.S) - wb.levels(reference.H, reference.S))
    assert changes[: n_occ + 1].max() < 5e-3  # eV


def test_nothing_changes_without_nearly_dependent_orbitals(benzene):
    _, reference, guess, _ = benzene
    smallest = np.linalg.eigvalsh(reference.S.dense())[0]
    combinations = Combinations.of(reference.S)
    for kappa in (0.0, 0.3 * smallest):
        assert restored([reference.H], guess, combinations, kappa)[0] is reference.H
    assert restored([reference.H], guess, combinations, 0.4 * smallest)[0] is not reference.H


def test_a_product_in_several_portions_is_the_product(monkeypatch, benzene):
    """Of a large molecule a hermitian product is computed below the diagonal only."""
    _, reference, guess, _ = benzene
    combinations = Combinations.of(reference.S)
    wrong = with_error(reference.H, error_of(reference))
    (whole,) = restored([wrong], guess, combinations, KAPPA)
    monkeypatch.setattr(near_dependence, "_ROWS_AT_ONCE", 25)
    (in_portions,) = restored([wrong], guess, combinations, KAPPA)
    assert (in_portions - whole).max_abs() < 1e-10
    assert np.array_equal(in_portions.dense(), in_portions.dense().T)
