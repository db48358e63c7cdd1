"""The tasks about a model of one's own: each typical mistake gets its own reason."""

import numpy as np
import pytest

import workbench as wb
from workbench.course import own_model as task
from workbench.datasets.labelling import label
from workbench.engines.pyscf_molecules import reference
from workbench.structures.sampling import Displaced
from workbench.training.config import Budget, TrainConfig
from workbench.views import learning_curves

GROUPS = np.repeat([0, 1, 2, 3], 4)


@pytest.fixture(scope="module")
def ref(water):
    return reference(water, "sto-3g", "hf")


def test_whole_trajectories_held_out_are_right():
    verdict = task.held_out(GROUPS == 3, GROUPS)
    assert verdict
    assert "1 whole trajectories with 4 frames" in verdict.why


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.arange(16) % 4 == 0, "4 of 4 trajectories have frames on both sides: frames 0 and 1"),
        (np.arange(16) >= 10, "1 of 4 trajectories have frames on both sides: frames 9 and 10"),
        (GROUPS > 0, "most frames are test frames"),
        (GROUPS > 9, "no frames"),
        (GROUPS < 9, "all frames"),
        ([1, 2], "one True or False for each of the 16 frames"),
    ],
)
def test_the_verdict_says_where_a_split_leaks(answer, says):
    verdict = task.held_out(answer, GROUPS)
    assert not verdict
    assert says in verdict.why


def test_the_error_by_hand(ref):
    H = 1.001 * ref.H
    error = H.dense() - ref.H.dense()
    assert task.matrix_mae(1000 * np.abs(error).mean(), H, ref.H)
    for wrong, says in (
        (np.abs(error).mean(), "in eV"),
        (1000 * error.mean(), "cancel"),
        (error.mean(), "and this is in eV"),
        (1000 * np.sqrt((error**2).mean()), "mean square"),
        (1000 * np.abs(error).max(), "largest"),
        (1000 * np.abs(error).sum(), "divide by the number"),
        (1000 * np.abs(error).sum(0).mean(), "row"),
        (3000 * np.abs(error).mean(), "factor of 3"),
        (np.abs(error), "one number"),
    ):
        verdict = task.matrix_mae(wrong, H, ref.H)
        assert not verdict
        assert says in verdict.why


def test_the_density_by_hand(ref):
    _, C = wb.solve(ref.H, ref.S)
    occupied = C[:, :5]
    verdict = task.density(2 * occupied @ occupied.T, ref.H, ref.S, 10)
    assert verdict
    assert "10.000000 electrons" in verdict.why
    for wrong, says in (
        (occupied @ occupied.T, "two electrons: this counts only half"),
        (2 * C @ C.T, "also fills the empty"),
        (2 * C[:, -5:] @ C[:, -5:].T, "highest"),
        (2 * C[:5].T @ C[:5], "columns"),
        (2 * occupied.T @ occupied, "not C.T @ C"),
        (3 * occupied @ occupied.T, "is 15.000 electrons"),
    ):
        verdict = task.density(wrong, ref.H, ref.S, 10)
        assert not verdict
        assert says in verdict.why


def test_a_job_killed_in_its_midst_ends_the_same(tmp_path):
    arguments = {"splits": {"train": 30}, "sampling": Displaced(), "basis": "def2-svp", "xc": "hf"}
    alive = task.killed_after(3, "ammonia", tmp_path / "a.h5", **arguments)
    assert 3 <= alive < 30
    label("ammonia", tmp_path / "a.h5", **arguments, progress=False)
    label("ammonia", tmp_path / "b.h5", **arguments, progress=False)
    with wb.Dataset(tmp_path / "a.h5") as killed, wb.Dataset(tmp_path / "b.h5") as undisturbed:
        assert killed.hash == undisturbed.hash


def test_a_job_that_fails_by_itself_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="failed: call"):
        task.killed_after(3, "ammonia", tmp_path / "a.h5", splits={"train": 4}, basis="nonsense")


def test_the_same_labels_in_other_splits(tiny, tmp_path):
    path = task.resplit(tiny, tmp_path / "other.h5", {"train": [3, 1], "test": [7]})
    with wb.Dataset(path) as other:
        assert other.split("train").tolist() == [0, 1]
        assert (other[0].H - tiny[3].H).max_abs() < 1e-8
        assert (other[2].H - tiny[7].H).max_abs() < 1e-8


def test_more_data_means_smaller_errors(tmp_path):
    how = TrainConfig(stage1=Budget(steps=0), stage2=None)
    arguments = {"sampling": Displaced(batch=4), "basis": "sto-3g", "xc": "hf", "progress": False}
    splits = {"train": 24, "valid": 4, "test": 4}
    with wb.Dataset(label("water", tmp_path / "water.h5", splits, **arguments)) as data:
        errors = task.learning_curve(data, [2, 24], tmp_path, how)
    with wb.Dataset(tmp_path / "first-2.h5") as part:
        *_, last = wb.train(wb.ModelConfig(), part, how)
        measured = wb.evaluate(last.model, part, progress=False)["refined"]["mae_mev"]
    assert errors[0] == pytest.approx(measured, rel=1e-6)
    assert errors[1] < 0.2 * errors[0]
    figure = learning_curves([2, 24], {"new": errors})
    assert list(figure.data[0].y) == errors.tolist()
    assert "meV with 2 geometries" in figure.layout.meta["alt"]
