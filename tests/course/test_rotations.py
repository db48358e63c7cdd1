"""Tasks about rotations tell what is wrong with an answer; the mistakes break what they should."""

import numpy as np
import pytest

import workbench as wb
from workbench.course import rotations as task
from workbench.hamiltonians.conventions import E3NN_AXES
from workbench.hamiltonians.irreps import product_to_irreps
from workbench.hamiltonians.wigner import group_error, harmonics_error, wigner_blocks, wigner_d

R = wb.rotation((1, 2, -1), 50)
ANOTHER = wb.rotation((0, 1, 3), 110)
C = np.array([0.3, -0.5, 0.8])
A, B = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 1.0])
TRACE = A @ B * np.eye(3)
OUTER = np.outer(A, B)
EVEN = (OUTER + OUTER.T) / 2


@pytest.mark.parametrize("l", [0, 1, 2, 3])
def test_rotated_components_are_d_times_c(l):
    c = np.arange(1.0, 2 * l + 2)
    assert task.turned_components(wigner_d(l, R) @ c, c, l, R)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (C, "before the rotation"),
        (C @ wigner_d(1, R), "inverse rotation"),
        (np.diagonal(wigner_d(1, R)) * C, "written @"),
        (wigner_d(1, R) * C, "shape (3, 3)"),
        (R @ C, "order y, z, x"),
        (2 * C, "a rotation keeps the norm"),
        (-C, "the norm is right"),
    ],
)
def test_the_verdict_explains_wrong_components(answer, says):
    verdict = task.turned_components(answer, C, 1, R)
    assert not verdict
    assert says in verdict.why


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (OUTER, "whole product"),
        (OUTER - EVEN, "antisymmetric part"),
        (TRACE / 3, "that is l = 0"),
        (2 * (EVEN - TRACE / 3), "twice too large"),
        (EVEN - TRACE, "divide it by 3"),
        (EVEN, "its trace is 1.500"),
        (OUTER - TRACE / 3, "not symmetric"),
        (np.diag([1, -1, 0]), "not the product of a and b"),
        (A, "3 x 3"),
    ],
)
def test_the_verdict_names_what_a_wrong_traceless_part_contains(answer, says):
    assert task.traceless_part(EVEN - TRACE / 3, A, B)
    verdict = task.traceless_part(answer, A, B)
    assert not verdict
    assert says in verdict.why


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("1e + 2e + 3e", "parities multiply"),
        ("1o + 2e + 3o", "parities multiply"),
        ("0o + 1o + 2o + 3o", "l = 0 cannot occur"),
        ("1o + 2o", "15 components, your irreps have 8"),
        ("1o + 2o + 3o + 3o", "your irreps have 22"),
        ("p + d", "'p' is not an irrep"),
        ("", "not an irrep"),
    ],
)
def test_the_verdict_explains_wrong_irreps_of_a_product(answer, says):
    assert task.irreps_of_product("3o + 1o+2o", "1o", "2e")
    verdict = task.irreps_of_product(answer, "1o", "2e")
    assert not verdict
    assert says in verdict.why


def test_only_the_harmonics_see_a_wrong_order_or_sign():
    """Both are a change of basis: orthogonal, and true to the group."""
    for name in ("OpenMX's order", "signs of odd m"):
        rule = task.MISTAKES[name]
        assert group_error(rule, 2, R, ANOTHER) < 1e-12
        assert harmonics_error(rule, 2, R) > 0.1
    assert group_error(task.transposed, 2, R, ANOTHER) > 0.1
    assert harmonics_error(task.without_parity, 1, R) < 1e-12
    assert harmonics_error(task.without_parity, 1, -R) > 0.1
    assert harmonics_error(task.MISTAKES["right"], 3, -R) < 1e-12
    assert group_error(task.MISTAKES["right"], 3, R, ANOTHER) < 1e-12


@pytest.mark.parametrize(("la", "lb"), [(1, 1), (1, 2), (2, 2), (0, 3)])
def test_the_product_of_two_irreps_becomes_block_diagonal(la, lb):
    Q = product_to_irreps(la, lb)
    blocks = wigner_blocks(range(abs(la - lb), la + lb + 1), -R)
    parity = (-1.0) ** (la + lb) * np.repeat(
        [(-1.0) ** l for l in range(abs(la - lb), la + lb + 1)],
        [2 * l + 1 for l in range(abs(la - lb), la + lb + 1)],
    )
    product = np.kron(wigner_d(la, -R), wigner_d(lb, -R))
    np.testing.assert_allclose(Q.T @ Q, np.eye(len(Q)), atol=1e-12)
    np.testing.assert_allclose(Q.T @ product @ Q, parity * blocks, atol=1e-12)


def test_the_product_of_two_vectors_holds_dot_cross_and_traceless_part():
    order = list(E3NN_AXES)
    parts = np.kron(A[order], B[order]) @ product_to_irreps(1, 1)
    assert abs(parts[0]) == pytest.approx(abs(A @ B) / np.sqrt(3))
    cross = np.cross(A, B)[order] / np.sqrt(2)
    np.testing.assert_allclose(np.sign(parts[1] * cross[0]) * parts[1:4], cross, atol=1e-12)
    assert np.linalg.norm(parts[4:]) == pytest.approx(np.linalg.norm(EVEN - TRACE / 3))
