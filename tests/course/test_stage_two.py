"""The tasks about stage 2: each typical mistake gets its own reason."""

import numpy as np
import pytest

import workbench as wb
from workbench.course import stage_two as task
from workbench.evaluation.errors import matrix_errors
from workbench.training.monitor import StageErrors

R = wb.rotation((1, 2, -1), 70)
ONE = StageErrors(0.4, 0.5, 0.6, 1.2, 1.5, 0.4)  # v = 0.72, b^2 = 1.53


def silu(x):
    return x / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def data():
    with task.laid_alike("water", train=6, valid=3) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def pair(data):
    return data.atoms(0), data[0].H


def test_geometries_laid_alike_keep_their_shape_and_their_matrix(data):
    whole = wb.Dataset("water")
    assert [len(data.split(name)) for name in ("train", "valid")] == [6, 3]
    first = data.positions(0) - data.positions(0).mean(axis=0)
    for split in ("train", "valid"):
        for new, old in zip(data.split(split), whole.split(split), strict=False):
            before, after = whole.atoms(int(old)), data.atoms(int(new))
            np.testing.assert_allclose(
                after.get_all_distances(), before.get_all_distances(), atol=1e-9
            )
            places = after.positions - after.positions.mean(axis=0)
            assert np.abs(places - first).max() < 0.2  # A, of shaking; no turn is left
            turn = task.superposing(before.positions, after.positions)
            assert np.linalg.det(turn) == pytest.approx(1)
            H, turned = data[int(new)].H, whole[int(old)].H.rotate(turn)
            assert matrix_errors(H, turned).max_mev < 1e-3


def test_a_set_laid_alike_knows_how_its_labels_were_made(data):
    assert data.reference(0).method == wb.Dataset("water").reference(0).method


def test_a_stretched_vector_is_free_and_equivariant():
    assert task.free_and_equivariant(lambda v: v * silu(np.linalg.norm(v)))
    assert task.free_and_equivariant(lambda v: v / np.linalg.norm(v))


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (silu, "single components"),
        (lambda v: v + np.array([0, 0, 1.0]), "choice of axes"),
        (lambda v: 2 * v, "linear"),
        (lambda v: 0 * v, "linear"),
        (lambda v: np.linalg.norm(v), "returns a number"),
    ],
)
def test_the_verdict_says_which_law_other_functions_break(mistake, says):
    verdict = task.free_and_equivariant(mistake)
    assert not verdict
    assert says in verdict.why


def test_a_pair_rotated_by_hand_is_right(pair):
    atoms, H = pair
    assert task.turned_pair((wb.rotate(atoms, R), H.rotate(R)), atoms, H, R)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda a, H: (a, H), "rotate both"),
        (lambda a, H: (wb.rotate(a, R), H), "does not rotate with the molecule"),
        (lambda a, H: (a, H.rotate(R)), "no molecule has such a pair"),
        (lambda a, H: (wb.rotate(a, R.T), H.rotate(R.T)), "inverse rotation: use R"),
        (lambda a, H: (wb.rotate(a, R), H.rotate(R.T)), "rotated backwards"),
        (lambda a, H: (wb.rotate(a, R), 2 * H), "Hamiltonian is not the result of a rotation"),
        (
            lambda a, H: (wb.rotate(a, R @ R), H.rotate(R)),
            "geometry is not the result of a rotation",
        ),
    ],
)
def test_the_verdict_explains_a_wrongly_rotated_pair(pair, mistake, says):
    verdict = task.turned_pair(mistake(*pair), *pair, R)
    assert not verdict
    assert says in verdict.why


@pytest.mark.parametrize(
    ("answer", "says"), [(100, "√100"), (10, "random walk"), (25, "0.2|5"), (0, "at least one")]
)
def test_how_many_orientations_a_tenth_takes(answer, says):
    verdict = task.orientations_for(answer, 10)
    assert bool(verdict) == (answer == 100)
    assert any(part in verdict.why for part in says.split("|"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((1.53 + 0.72 / 16) ** 0.5, "bias"),
        (1.5 / 4, "only the variance is divided"),
        (1.5 / 16, "divided by K"),
        ((2.25 - 1.44 * 15 / 16) ** 0.5, "half of its square"),
        (1.53**0.5, "infinitely many"),
        (1.5, "with one orientation"),
        (7.0, "between the bias"),
    ],
)
def test_the_error_of_an_average(answer, says):
    verdict = task.error_of_average(answer, ONE, 16)
    assert bool(verdict) == (says == "bias")
    assert says in verdict.why


def test_a_model_with_an_enlarged_correction_is_a_copy():
    model = wb.load_model("water")
    atoms = wb.load("water")
    before = model.predict(atoms)
    after = task.enlarged(model, 5).predict(atoms)
    said = [p.refined - p.baseline for p in (before, after)]
    np.testing.assert_allclose(said[1].values, 5 * said[0].values, atol=1e-9)
    assert matrix_errors(model.predict(atoms).refined, before.refined).max_mev == 0
