"""The tasks about blocks: each typical mistake gets its own reason."""

import numpy as np
import pytest

import workbench as wb
from workbench.course import blocks as task
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians.irreps import irrep_norms
from workbench.hamiltonians.wigner import wigner_d

R = wb.rotation((1, 2, -1), 50)
D = wigner_d(1, R)


@pytest.fixture(scope="module")
def water():
    return wb.load("water")


@pytest.fixture(scope="module")
def H(water):
    return wb.reference(water, basis="def2-svp", xc="hf").H


@pytest.fixture(scope="module")
def pp(H):
    return task.shell_block(H, 0, 1, "2p", "2p")


def test_a_shell_block_is_part_of_the_block(H, pp):
    labels = [name.split(" ", 1)[1] for name in H.orbital_labels()]
    rows = [labels.index(f"2p{x}") for x in "yzx"]
    columns = [H.offsets[1] + 2 + k for k in range(3)]  # the hydrogen's 1s, 2s, 2p
    np.testing.assert_array_equal(pp, H.dense()[np.ix_(rows, columns)])
    with pytest.raises(ValueError, match="no shell 4f"):
        task.shell_block(H, 0, 1, "4f", "2p")


def test_a_block_rotated_by_hand_is_right(H, pp):
    by_hand = R[[1, 2, 0]][:, [1, 2, 0]]
    verdict = task.turned_block(by_hand @ pp @ by_hand.T, pp, R)
    assert verdict
    assert "eV" in verdict.why
    assert task.turned_block(task.shell_block(H.rotate(R), 0, 1, "2p", "2p"), pp, R)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda h: h, "nothing was rotated"),
        (lambda h: D.T @ h @ D, "inverse rotation"),
        (lambda h: D @ h, "only the rows"),
        (lambda h: h @ D.T, "only the columns"),
        (lambda h: D @ h @ D, "the right side needs D^T"),
        (lambda h: R @ h @ R.T, "order x, y, z"),
        (lambda h: R.T @ h @ R, "it is transposed"),
        (lambda h: 2 * h, "off by"),
        (lambda h: h[0], "3 x 3"),
    ],
)
def test_the_verdict_explains_a_wrongly_rotated_block(pp, mistake, says):
    verdict = task.turned_block(mistake(pp), pp, R)
    assert not verdict
    assert says in verdict.why


def test_the_scalar_part_is_a_third_of_the_trace_and_the_bar_of_the_xray(H, pp):
    part = np.trace(pp) / 3 * np.eye(3)
    verdict = task.scalar_part(part, pp)
    assert verdict
    assert f"{irrep_norms(H, 0, 1)['2p', '2p', 0]:.3f}" in verdict.why


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda h: np.trace(h) / 3, "right number"),
        (np.trace, "three times too large"),
        (lambda h: 0.123, "not a third"),
        (lambda h: np.trace(h) * np.eye(3), "gets a third"),
        (lambda h: np.trace(h) / np.sqrt(3) * np.eye(3), "component"),
        (lambda h: np.diag(np.diag(h)), "its mean does not"),
        (lambda h: (h + h.T) / 2, "l = 0 and l = 2"),
        (lambda h: (h + h.T) / 2 - np.trace(h) / 3 * np.eye(3), "the l = 2 part"),
        (lambda h: (h - h.T) / 2, "antisymmetric part"),
        (lambda h: np.full((3, 3), np.trace(h) / 3), "only a multiple"),
        (lambda h: h, "whole block"),
        (lambda h: h[0], "as the whole"),
        (lambda h: h @ h, "off by"),
    ],
)
def test_the_verdict_names_another_part(pp, mistake, says):
    verdict = task.scalar_part(mistake(pp), pp)
    assert not verdict
    assert says in verdict.why


def test_hermiticity_leaves_the_even_irreps_of_a_shell_with_itself(H):
    assert "zero" in task.on_site_irreps({0, 2, 4}, "3d", H, 0).why
    assert task.on_site_irreps([0, 2], "2p", H, 0)
    for answer, says in [
        (range(5), "l = 1 changes sign"),
        ({0, 2}, "l = 4 is missing"),
        ({0, 2, 4, 6}, "l runs from 0 to 4"),
    ]:
        verdict = task.on_site_irreps(answer, "3d", H, 0)
        assert not verdict
        assert says in verdict.why


@pytest.mark.parametrize(("shell", "moves"), [("d", {"pd", "dp", "dd"}), ("p", {"pd", "dp"})])
def test_misread_orbitals_keep_the_numbers_and_lose_the_law(H, shell, moves):
    """With s there is one irrep, whose norm keeps; x, y, z exchanged cyclically are a turn."""
    wrong, turned = task.misread(H, shell), task.misread(H.rotate(R), shell)
    np.testing.assert_array_equal(np.sort(wrong.values, axis=None), np.sort(H.values, axis=None))
    assert matrix_errors(turned, wrong.rotate(R)).max_mev > 100
    before, after = irrep_norms(wrong, 0, 0), irrep_norms(turned, 0, 0)
    moved = {key for key in before if abs(after[key] - before[key]) > 1e-6}
    assert {a[-1] + b[-1] for a, b, _ in moved} == moves
