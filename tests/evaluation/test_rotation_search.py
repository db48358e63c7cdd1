"""Errors under many rotations, the axes that are tried, the worst rotation, and reports."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import workbench as wb
from workbench.course.bench import preferred_axis
from workbench.engines.pyscf_molecules import overlap
from workbench.evaluation.equivariance import PredictorError
from workbench.evaluation.errors import matrix_errors
from workbench.evaluation.rotation_errors import Predictors, RotationErrors, about, in_mev
from workbench.evaluation.rotation_report import RotationReport, Series
from workbench.evaluation.rotation_search import CUBE, axes, worst_rotation
from workbench.hamiltonians.rotations import random_rotations
from workbench.views.rotation_report import drawings, report_html
from workbench.views.style import number

BASIS = "sto-3g"


@pytest.fixture(scope="module")
def exact(water):
    """Equivariant to rounding, a few milliseconds: the overlap, read as if it were in eV."""
    basis = wb.reference(water, basis=BASIS, xc="hf").H.basis
    return lambda atoms: overlap(atoms, basis)


@pytest.fixture(scope="module")
def errors(water, exact):
    toy = preferred_axis(exact, (1, 2, 2), strength=0.5)
    return RotationErrors(water, predictors={"exact": exact, "toy": toy})


# ---- errors ---------------------------------------------------------------------------------


def test_random_operations_are_those_of_equivariance(water, errors):
    report = wb.equivariance(errors.predictors.callables, water, samples=5, seed=3)
    found = errors.under(random_rotations(5, seed=3))
    for name in errors.names:
        means = [own[name].mae_mev for own in found]
        assert np.mean(means) == pytest.approx(report[name].mae_mev, rel=1e-12)
    assert found[0]["exact"].max_mev < 1e-9
    assert min(own["toy"].mae_mev for own in found) > 1


def test_improper_operations_are_rotations_and_an_inversion():
    proper, improper = (about([(0, 0, 2), (1, 1, 0)], 50, flag) for flag in (False, True))
    np.testing.assert_array_equal(improper, -proper)
    np.testing.assert_allclose(proper[0], wb.rotation((0, 0, 1), 50), atol=1e-15)


def test_a_model_predicts_many_structures_at_once_and_says_the_same(water):
    model = wb.load_model("water")
    tested = RotationErrors(water, model, {"stage 1 alone": model.stage1})
    assert tested.names == ["baseline", "refined", "stage 1 alone"]
    operations = random_rotations(3)
    together = tested.under(operations)
    for R, own in zip(operations, together, strict=True):
        alone = matrix_errors(model(wb.rotate(water, R)), model(water).rotate(R))
        assert own["refined"].mae_mev == pytest.approx(alone.mae_mev, rel=1e-3)
    assert tested.evaluations == 3
    assert tested.under(operations[:1], ["stage 1 alone"])[0].keys() == {"stage 1 alone"}


def test_subjects_are_named_once_and_return_matrices(water, exact):
    with pytest.raises(ValueError, match="taken"):
        Predictors(wb.load_model("water"), {"refined": exact})
    with pytest.raises(ValueError, match="no predictor"):
        RotationErrors(water)
    with pytest.raises(PredictorError, match="'half' returned a list"):
        RotationErrors(water, predictors={"half": lambda atoms: [1.0]})


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
    assert last.worst == max(step.error for step in found[0])
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


def test_a_search_can_be_left_and_refuses_nonsense(errors):
    step = list(islice(worst_rotation(errors, "toy", samples=30), 3))[-1]
    assert step.evaluations == 3
    assert step.phase == "random"
    with pytest.raises(ValueError, match="exact, toy"):
        next(worst_rotation(errors, "nobody"))
    with pytest.raises(ValueError, match="at least one"):
        next(worst_rotation(errors, "toy", samples=0))


def test_a_coarse_grid_has_the_symmetry_of_a_cube(water):
    """Where a turn brings PySCF's points onto themselves, nothing is left but rounding."""
    coarse = RotationErrors(water, predictors={"coarse": wb.pyscf(BASIS, "lda", grid=0)})
    cube = [about([n], d)[0] for n, d in (((0, 0, 1), 90), ((1, 1, 1), 120), ((1, 1, 0), 180))]
    for own in coarse.under(cube):
        assert own["coarse"].mae_mev < 1e-6
    beside = about([(0.1, 0, 1)], 90)
    assert coarse.under(beside)[0]["coarse"].mae_mev > 0.1


# ---- reports --------------------------------------------------------------------------------


@pytest.fixture
def report(errors):
    turns, sphere = random_rotations(4), axes(30)
    degrees = np.arange(30, 181, 30)
    scan = [about([(0, 0, 1)], d)[0] for d in degrees]
    series = {
        "random": Series.of("4 random turns", {"seed": 0}, turns, errors.under(turns)),
        "sphere": Series.of("90°", {"degrees": 90}, sphere, errors.under(about(sphere, 90))),
        "scan": Series.of("about z", {"degrees": degrees.tolist()}, scan, errors.under(scan)),
    }
    return RotationReport.of(errors, "mean", series, "water")


def test_a_report_comes_back_as_it_was(report, tmp_path):
    path = report.write(tmp_path / "new" / "report.json")
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
    content = json.loads(path.read_text())
    assert RotationReport.from_json(content) == report
    assert content["structure"]["formula"] == "H2O"
    assert content["programs"]["numpy"] == np.__version__
    with pytest.raises(ValueError, match="no rotation report"):
        RotationReport.from_json({"format": "something else"})


def test_the_page_of_a_report_needs_nothing_and_shows_its_numbers(report, errors):
    page = report_html(report)
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    for name, drawing in drawings(report).items():
        assert drawing.svg in page, name
        assert drawing.alt
    means = [own["toy"].mae_mev for own in errors.under(random_rotations(4))]
    assert f"<td>{number(float(np.median(means)))}</td>" in page
