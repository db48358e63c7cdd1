"""Axes cover the sphere, and the search finds the worst rotation."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from workbench.evaluation.rotation_errors import RotationErrors, in_mev
from workbench.evaluation.rotation_search import CUBE, axes, worst_rotation
from workbench.hamiltonians.rotations import random_rotations

BASIS = "sto-3g"


# ---- axes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [50, 100, 200, 400])
def test_axes_cover_the_sphere_evenly_and_hold_the_cube(count):
    found = axes(count)
    assert found.shape == (count, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    cosines = found @ found.T - 2 * np.eye(count)
    apart = np.degrees(np.arccos(cosines.max(axis=1)))
    spacing = np.degrees(np.sqrt(4 * np.pi / count))
    assert apart.min() > 0.5 * spacing
    anywhere = Rotation.random(2000, rng=0).as_matrix()[:, 0]
    assert np.degrees(np.arccos((anywhere @ found.T).max(axis=1))).max() < 1.1 * spacing
    for direction in ((0, 0, 1), (1, 1, 1), (0, -1, 1)):
        assert (found[:CUBE] @ direction / np.linalg.norm(direction)).max() == pytest.approx(1)


def test_the_first_axes_are_spread_as_well():
    first = axes(400)[:60]
    anywhere = Rotation.random(2000, rng=0).as_matrix()[:, 0]
    assert np.degrees(np.arccos((anywhere @ first.T).max(axis=1))).max() < 32
    assert len(axes(6)) == 6
    with pytest.raises(ValueError, match="6 or more"):
        axes(5)


# ---- the worst rotation ---------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["mean", "largest"])
def test_the_search_is_never_below_the_random_ones_and_repeats(errors, measure):
    found = [list(worst_rotation(errors, "toy", samples=8, measure=measure)) for _ in range(2)]
    last = found[0][-1]
    random = [in_mev(own["toy"], measure) for own in errors.under(random_rotations(8))]
    assert last.drawn == pytest.approx(max(random), rel=1e-12)
    assert last.worst >= last.drawn
    assert last.worst == max(step.error for step in found[0][:-1])
    assert [step.error for step in found[0]] == [step.error for step in found[1]]
    assert [step.evaluations for step in found[0]] == list(range(1, len(found[0]) + 1))
    again = in_mev(errors.under([last.worst_R])[0]["toy"], measure)
    assert again == pytest.approx(last.worst, rel=1e-12)


def test_the_search_finds_the_maximum_that_is_known(errors):
    """The largest element of u u^T - v v^T is at most 1 - 1/9: v across the smallest part of u."""
    u = np.array([1, 2, 2]) / 3
    *_, last = worst_rotation(errors, "toy", samples=20, measure="largest", starts=3)
    v = last.worst_R @ u
    expected = 500 * np.abs(np.outer(u, u) - np.outer(v, v)).max()
    assert last.worst == pytest.approx(expected, rel=1e-9)
    # Over all v: either v_i^2 = 1 where u_i^2 is least, 1 - 1/9.
    assert last.worst > 0.99 * 500 * (1 - 1 / 9)


def test_the_last_evaluation_is_the_worst_operation_with_an_inversion(water, one_handed):
    errors = RotationErrors(water, one_handed)
    *before, last = worst_rotation(errors, "refined", samples=3, starts=0)
    assert [step.inverted for step in before] == [None] * 3
    assert last.phase == "inverted"
    np.testing.assert_array_equal(last.R, -before[-1].worst_R)
    np.testing.assert_array_equal(last.worst_R, before[-1].worst_R)
    assert last.worst == before[-1].worst < 1e-3  # the search is among rotations
    assert last.inverted > 100


def test_a_search_can_be_left_and_refuses_nonsense(errors):
    step = list(islice(worst_rotation(errors, "toy", samples=30), 3))[-1]
    assert step.evaluations == 3
    assert step.phase == "random"
    with pytest.raises(ValueError, match="exact, toy"):
        next(worst_rotation(errors, "nobody"))
    with pytest.raises(ValueError, match="at least one"):
        next(worst_rotation(errors, "toy", samples=0))
