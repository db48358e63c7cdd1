"""Models of Hamiltonians with spin, from training to prediction: the laws that they obey."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import workbench as wb
from tests.support.crystal import quickly_trained, sheet, with_spin_orbit
from tests.support.networks import SPINOR_CONFIG
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.evaluation.equivariance import equivariance
from workbench.evaluation.errors import matrix_errors
from workbench.hamiltonians import spin_parts
from workbench.models.checkpoint import save_model
from workbench.training.loop import TrainingError


def distorted(seed):
    atoms = sheet()
    atoms.rattle(0.06, seed=seed)
    return atoms


def write_sheets(path, count, magnetic=0.0):
    """Distorted sheets: all but four for training, two each for validation and test."""

    def sample(seed):
        atoms = distorted(seed)
        H, S = with_spin_orbit(atoms, magnetic)
        return Sample(atoms, H, float("nan"), 0, seed, S, fermi_level=0.0)

    numbers = list(range(count))
    splits = {"train": numbers[:-4], "valid": numbers[-4:-2], "test": numbers[-2:]}
    write(path, (sample(k) for k in numbers), splits, {})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("spin") / "sheets.h5"
    write_sheets(path, 16)
    return path


@pytest.fixture(scope="module")
def trained(path):
    return quickly_trained(SPINOR_CONFIG, path)


def test_overlaps_are_stored_without_spin(path):
    with wb.Dataset(path) as dataset:
        sample = dataset[3]
    H, S = with_spin_orbit(distorted(3))
    assert (sample.S - S).max_abs() < 1e-14
    assert (sample.H - H).max_abs() < 1e-8


def test_a_model_learns_spin_orbit_coupling(trained, path):
    """The error is 5 % of the coupling; without spin it could not be less than the coupling."""
    with wb.Dataset(path) as dataset:
        report = wb.evaluate(trained, dataset, progress=False)
        sample = dataset[int(dataset.split("test")[0])]
    prediction = trained.predict(sample.atoms)
    coupling = sample.H - sample.H.without_spin().with_spin()
    for name, H in (("baseline", prediction.baseline), ("refined", prediction.refined)):
        assert matrix_errors(H, sample.H).mae_mev < 50 * coupling.mae()
        assert report[name]["equivariance_mae_mev"] < 1e-3 * report[name]["mae_mev"]
    with wb.Dataset(path) as dataset:
        history = [row["valid_mae_ev"] for row in trained.info["history"]]
        valid = wb.evaluate(trained, dataset, "valid", progress=False)
    assert valid["refined"]["mae_mev"] == pytest.approx(1000 * history[-1], rel=1e-3)


def test_predictions_are_hermitian_and_obey_time_reversal(trained):
    prediction = trained.predict(distorted(20))
    for H in (prediction.baseline, prediction.refined):
        assert (H - H.hermitian()).max_abs() < 1e-6
        assert spin_parts.odd_part(H.values) < 1e-12
        energies = np.linalg.eigvalsh(H.at_gamma())
        np.testing.assert_allclose(energies[::2], energies[1::2], atol=1e-5)  # Kramers pairs


@pytest.mark.parametrize("kind", ["rotation", "inversion", "translation", "permutation"])
def test_stage1_with_spin_is_equivariant(trained, kind):
    report = equivariance({"stage 1": trained.stage1}, distorted(21), samples=2, kind=kind)
    assert report["stage 1"].max_mev < 1e-8 * report.largest["stage 1"]


def test_in_the_global_frame_an_average_lowers_the_symmetry_error(path):
    model = quickly_trained(replace(SPINOR_CONFIG, refiner_frame="global"), path)
    with torch.no_grad():
        model.refiner.pair_head.readout.forget()
        model.refiner.pair_head.readout.shared[0].normal_()
    errors = []
    for count in (1, 16):
        predictor = {"both": lambda a, count=count: model.predict(a, symmetrise=count).refined}
        errors.append(equivariance(predictor, distorted(22))["both"].mae_mev)
    assert errors[1] < 0.6 * errors[0]


def test_magnetic_data_need_time_reversal_false(tmp_path):
    write_sheets(tmp_path / "magnet.h5", 12, magnetic=0.5)
    how = wb.TrainConfig(stage1=wb.Budget(steps=0), stage2=None, batch_size=2)
    magnetic = replace(SPINOR_CONFIG, time_reversal=False, pseudo_lmax=3)
    with wb.Dataset(tmp_path / "magnet.h5") as dataset:
        with pytest.raises(TrainingError, match="time_reversal=False"):
            next(wb.train(SPINOR_CONFIG, dataset, how))
        *_, last = wb.train(magnetic, dataset, how)
    H = last.model.stage1(distorted(23))
    assert H.values.shape[1] == 2 * H.basis.dim
    assert (H - H.hermitian()).max_abs() < 1e-6


def test_a_saved_model_with_spin_is_loaded_again(trained, tmp_path):
    save_model(trained, tmp_path / "spin.safetensors", {})
    again = wb.load_model(tmp_path / "spin.safetensors")
    atoms = distorted(24)
    assert (again.predict(atoms).refined - trained.predict(atoms).refined).max_abs() < 1e-12
    assert "spin" in again.summary()
