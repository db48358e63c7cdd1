"""The toys of the rotation lab err as they say, and its tasks tell what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from workbench.course import bench as task
from workbench.engines.pyscf_molecules import overlap
from workbench.evaluation.rotation_errors import RotationErrors, about
from workbench.evaluation.rotation_search import axes
from workbench.hamiltonians.rotations import random_rotations


@pytest.fixture(scope="module")
def exact(water):
    basis = wb.reference(water, basis="def2-svp", xc="hf").H.basis
    return lambda atoms: overlap(atoms, basis)


def test_a_preferred_axis_errs_as_its_closed_form_says(water, exact):
    u = np.array([1, -2, 2]) / 3
    toy = RotationErrors(water, predictors={"toy": task.preferred_axis(exact, u, 0.01)})
    for degrees in (40, 180):
        operations = about(axes(30), degrees)
        for R, own in zip(operations, toy.under(operations), strict=True):
            v = R @ u
            shell = 10 * np.abs(np.outer(u, u) - np.outer(v, v))
            assert own["toy"].mae_mev == pytest.approx(3 * shell.sum() / 24**2, abs=1e-9)
            assert own["toy"].max_mev == pytest.approx(shell.max(), abs=1e-9)
            assert own["toy"].shell_pairs[1, 2][1] < 1e-9


def test_missing_parity_shows_under_improper_operations_only(water, exact):
    toy = RotationErrors(water, predictors={"toy": task.without_parity(exact, 0.01)})
    assert max(own["toy"].max_mev for own in toy.under(random_rotations(5))) < 1e-9
    for own in toy.under(random_rotations(5, improper="all")):
        assert 20 / np.sqrt(3) - 1e-9 < own["toy"].max_mev < 20 + 1e-9
        assert own["toy"].shell_pairs[1, 1][1] < 1e-9
    line = Atoms("CO2", [(0, 0, 0), (0, 0, 1.16), (0, 0, -1.16)])
    with pytest.raises(ValueError, match="not on a line"):
        task.without_parity(exact)(line)


def test_a_cube_has_23_turns():
    angles = sorted(round(degrees) for _, degrees in task.cube_turns())
    assert angles == [90] * 6 + [120] * 8 + [180] * 9


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({90: 6, 120: 0, 180: 0}, "120°: 0 is wrong"),
        ({90: 6, 120: 4, 180: 18}, "both ends"),
        ({90: 6, 120: 8, 180: 9}, "both ends"),
        ({90: 6, 120: 8, 180: 6}, "through the edges"),
        ({90: 6, 120: 8, 180: 12}, "through the faces"),
        ({60: 8}, "no rotation by 60°"),
        ({90: 6, 120: 8}, "180° is missing"),
    ],
)
def test_the_verdict_explains_wrong_counts(answer, says):
    verdict = task.axes_without_error(answer)
    assert not verdict
    assert says in verdict.why


def test_the_right_counts_are_right():
    assert task.axes_without_error({90: 6, 120: 8, 180: 18})


@pytest.mark.parametrize(
    ("axis", "degrees", "says"),
    [
        ((1, 0, 0), 90, "90° from its line"),
        ((1, 0, 0), 360, "is the identity"),
        ((0, 0, 1), 50, "about u itself"),
        ((0, 0, 0), 50, "has none"),
        ((1, 0, 1), 180, "90° from its line"),
    ],
)
def test_the_verdict_says_how_far_a_rotation_moves_the_axis(axis, degrees, says):
    verdict = task.keeps_axis(axis, degrees)
    assert not verdict
    assert says in verdict.why


def test_half_turns_across_keep_the_axis():
    assert task.keeps_axis((1, 0, 0), 180)
    assert task.keeps_axis((3, -1, 0), -180)


def test_answers_to_the_worst_rotation(water, exact):
    errors = RotationErrors(water, predictors={"toy": task.preferred_axis(exact)})
    half = wb.rotation((1, 0, 0), 45)  # z by 45 degrees: about as bad as can be
    found = errors.under([half])[0]["toy"].mae_mev
    assert task.worst_enough(half, errors, "toy", found, 0.5 * found)
    for answer, says in (
        (np.eye(3), "below the worst random one"),
        (-half, "inversion"),
        (2 * half, "3 x 3"),
        (wb.rotation((1, 0, 0), 25), "above the worst random one"),
    ):
        verdict = task.worst_enough(answer, errors, "toy", found, 0.5 * found)
        assert not verdict
        assert says in verdict.why
