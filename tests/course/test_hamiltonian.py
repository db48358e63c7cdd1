"""Tasks about the Fock matrix tell right answers from wrong ones, and what is wrong with those."""

import numpy as np
import pytest

import workbench as wb
from workbench.course import hamiltonian as task
from workbench.hamiltonians.conventions import HARTREE


@pytest.fixture(scope="module")
def solved(water):
    return wb.reference(water, basis="def2-svp", xc="hf")


@pytest.fixture(scope="module")
def eigen(solved):
    """Eigenvalues and eigenvectors of S."""
    return np.linalg.eigh(solved.S.dense())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((14, 5), "Right: 14 orbitals"),
        ((5, 14), "rows belong to the first atom"),
        ((6, 3), "counted shells"),
        ((14, 14), "first atom with itself"),
        ((5, 5), "second atom with itself"),
        ((9, 5), "row atom's l are (0, 0, 0, 1, 1, 2)"),
        ((1, 2, 3), "two numbers"),
    ],
)
def test_the_size_of_a_block(solved, answer, says):
    assert says in str(task.block_shape(answer, solved.H.basis, 8, 1))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda v, U: U @ np.diag(v**-0.5) @ U.T, "Right: X S X"),
        (lambda v, U: U @ np.diag(v) @ U.T, "still the overlap"),
        (lambda v, U: U @ np.diag(v**0.5) @ U.T, "its inverse makes"),
        (lambda v, U: U @ np.diag(1 / v) @ U.T, "inverse of S"),
        (lambda v, U: np.diag(v**-0.5), "only the eigenvalues"),
        (lambda v, U: U @ np.diag(v**-0.5), "only on the left"),
        (lambda v, U: np.linalg.inv(np.linalg.cholesky(U @ np.diag(v) @ U.T)).T, "not symmetric"),
        (lambda v, U: np.eye(len(v)), "off by"),
        (lambda v, U: v, "24 x 24"),
    ],
)
def test_the_root_of_the_overlap(solved, eigen, make, says):
    assert says in str(task.inverse_root(make(*eigen), solved.S))


def test_the_verdict_recognises_the_root_of_each_element(solved):
    s = solved.S.dense()
    assert "of each element" in task.inverse_root(1 / np.sqrt(np.abs(s) + (s == 0)), solved.S).why


def test_orbitals_are_right_whatever_their_signs(solved):
    _, C = wb.solve(solved.H, solved.S)
    signs = np.where(np.arange(len(C)) % 2, 1.0, -1.0)
    assert task.orbitals_of(C * signs, solved.H, solved.S)


def test_the_verdict_explains_wrong_orbitals(solved, eigen):
    H, S = solved.H, solved.S
    energies, C = wb.solve(H, S)
    values, U = eigen
    X = U @ np.diag(values**-0.5) @ U.T
    ordinary = np.linalg.eigh(X @ H.dense() @ X)[1]
    mixed = C.copy()
    mixed[:, :2] = C[:, :2] @ np.array([[0.6, -0.8], [0.8, 0.6]])
    for answer, says in (
        (ordinary, "X transforms them"),
        (2 * C, "C^T S C should be the unit matrix"),
        (C[:, ::-1], "not in the order"),
        (mixed, "should vanish"),
        (energies, "as many rows"),
    ):
        verdict = task.orbitals_of(answer, H, S)
        assert not verdict
        assert says in verdict.why


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (3.0, "Right: LUMO 1.000 eV minus HOMO −2.000 eV"),
        (-3.0, "wrong sign"),
        (4.0, "one level too high"),
        (8.0, "HOMO minus HOMO-1"),
        (1.0, "LUMO alone"),
        (-2.0, "HOMO alone"),
        (2.5, "two electrons"),
        (3.0 / HARTREE, "in Hartree"),
        (0.7, "4 electrons occupy 2 orbitals"),
    ],
)
def test_the_verdict_distinguishes_a_gap_from_other_differences(answer, says):
    energies = [-10.0, -2.0, 1.0, 5.0, 7.5, 20.0]
    assert says in str(task.gap_of(answer, energies, 4))


def test_mistakes_move_levels_and_the_right_matrix_does_not(solved):
    H, S = solved.H, solved.S
    right = wb.levels(H, S)
    np.testing.assert_allclose(task.usual_levels(H, S), right, atol=1e-9)
    for wrong in (
        task.ordinary_levels(H),
        task.usual_levels(task.shuffled(H), S),
        task.usual_levels(task.half_left_out(H), S),
    ):
        assert np.abs(wrong - right)[:5].mean() > 1


def test_the_wrong_order_of_p_is_pyscfs(solved, water):
    """On-site p of oxygen: what stands in our row y is what belongs to x, and so on."""
    wrong = task.shuffled(solved.H).block(0, 0)
    own = solved.H.block(0, 0)
    labels = solved.H.basis.labels(8)
    ours = [labels.index(f"2p{c}") for c in "yzx"]
    theirs = [labels.index(f"2p{c}") for c in "xyz"]
    np.testing.assert_array_equal(wrong[np.ix_(ours, ours)], own[np.ix_(theirs, theirs)])
    np.testing.assert_array_equal(np.sort(wrong.ravel()), np.sort(own.ravel()))


def test_levels_of_half_a_matrix_are_refused(solved):
    half = task.half_left_out(solved.H)
    assert not half.block(1, 0).any()
    assert half.block(0, 1).any()
    with pytest.raises(ValueError, match="hermitian"):
        wb.levels(half, solved.S)
