"""Errors watched while a model is trained: what is read is right, and reading changes nothing."""

import numpy as np
import pytest
import torch

import workbench as wb
from tests.support.networks import one_handed_model
from workbench import views
from workbench.course.stage_two import enlarged
from workbench.datasets.dataset import Dataset
from workbench.training.monitor import ErrorMonitor, StageErrors, summary_table, watch

CONFIG = wb.ModelConfig(
    guess="none",
    lmax=2,
    pseudo_lmax=0,
    channels=4,
    layers=1,
    readout=8,
    pair_readout=8,
    refiner_width=16,
    refiner_layers=1,
)
HOW = wb.TrainConfig(
    stage1=wb.Budget(steps=0),
    stage2=wb.Budget(steps=12),
    batch_size=4,
    validations=1,
    refiner_learning_rate=3e-3,
    keep_best=False,
)


@pytest.fixture(scope="module")
def data(tiny_path):
    with Dataset(tiny_path) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def meter(data):
    return ErrorMonitor.of(data, "valid", count=2, turns=3)


@pytest.fixture(scope="module")
def monitored(data, meter):
    return watch(wb.train(CONFIG, data, HOW), meter, every=5, before=100.0)


def test_a_meter_agrees_with_matrices_taken_one_by_one(monitored, data, meter):
    number = int(data.split("valid")[0])
    single = ErrorMonitor.of(data, "valid", count=1, turns=3)
    np.testing.assert_array_equal(single.rotations, meter.rotations)
    read, atoms, H = single.read(monitored.model), data.atoms(number), data[number].H
    report = wb.equivariance({"m": monitored.model}, atoms, R=single.rotations)
    assert read.inversion_mev == pytest.approx(report.inversion["m"].mae_mev, rel=1e-4)
    assert read.symmetry_mev == pytest.approx(report["m"].mae_mev, rel=1e-4)
    off = monitored.model(atoms).dense() - H.dense()
    assert read.error_mev == pytest.approx(1000 * abs(off).mean(), rel=1e-4)
    assert read.error_rms_mev == pytest.approx(1000 * (off**2).mean() ** 0.5, rel=1e-4)
    turned = [
        monitored.model(wb.rotate(atoms, R)).dense() - H.rotate(R).dense() for R in single.rotations
    ]
    assert read.turned_mev == pytest.approx(1000 * np.abs(turned).mean(), rel=1e-4)


def test_a_meter_sees_stage_one_obey_and_stage_two_break_the_law(monitored, data, meter):
    only_first = wb.TrainConfig(stage1=wb.Budget(steps=0), stage2=None)
    *_, last = wb.train(CONFIG, data, only_first)
    assert meter.read(last.model).symmetry_mev < 1e-6
    assert monitored.last.symmetry_mev > 1e-3
    # All of the equivariance error is stage 2's: it grows with stage 2's output.
    louder = meter.read(enlarged(monitored.model, 3))
    assert louder.symmetry_mev == pytest.approx(3 * monitored.last.symmetry_mev, rel=1e-3)


def test_a_model_of_one_hand_is_found_by_its_inversion_error(data, meter):
    errors = meter.read(one_handed_model(data.basis))
    assert errors.symmetry_mev < 1e-3
    assert errors.inversion_mev > 10
    assert f"inversion {errors.inversion_mev:.3g} meV" in str(errors)


def test_averaging_lowers_the_symmetry_error(monitored, meter):
    assert (
        meter.read(monitored.model, symmetrise=16).symmetry_mev < 0.6 * monitored.last.symmetry_mev
    )
    assert meter.milliseconds(monitored.model, times=1) > 0


def test_bias_and_variance_foretell_the_mean_of_many_answers():
    rng, K = np.random.default_rng(0), 16
    answers = 0.7 + rng.normal(size=(2, K, 200_000))  # bias 0.7, variance 1

    def rms(values):
        return float((values**2).mean() ** 0.5)

    here, there = answers[:, 0]
    one = StageErrors(0, 0, 0, rms(there - here), rms(here), 0)
    symmetry, error = one.averaged(K)
    here, there = answers.mean(axis=1)
    assert symmetry == pytest.approx(rms(there - here), rel=0.01)
    assert error == pytest.approx(rms(here), rel=0.01)
    # A scatter larger than the error, as chance may have it, leaves no bias.
    assert StageErrors(0, 0, 0, 3.0, 1.0, 0).averaged(4)[1] == pytest.approx(4.5**0.5 / 2)


def test_a_run_is_read_on_the_way_and_at_its_end(monitored, meter):
    assert monitored.steps == (1, 5, 10, 12)
    assert monitored.readings[-1] == meter.read(monitored.model)
    assert (
        monitored.readings[0].symmetry_mev < monitored.readings[1].symmetry_mev
    )  # it begins at zero
    assert monitored.cpu_seconds > 100
    assert "equivariance error" in str(monitored.last)


def test_watching_does_not_disturb_the_training(monitored, data):
    *_, last = wb.train(CONFIG, data, HOW)
    for name, tensor in last.model.state_dict().items():
        assert torch.equal(tensor, monitored.model.state_dict()[name]), name


def test_there_must_be_something_to_watch(meter):
    with pytest.raises(ValueError, match="nothing to watch"):
        watch([], meter)


def test_the_ledger_has_a_line_for_each_run(monitored):
    head, line = summary_table({"two stages": monitored}).splitlines()
    assert "equivariance error: rotations, meV  inversion, meV" in head
    name, spent, error, symmetry, inversion = line.rsplit(maxsplit=4)
    assert name.strip() == "two stages"
    assert float(spent) == pytest.approx(monitored.cpu_seconds, abs=0.06)
    assert float(error) == pytest.approx(monitored.last.error_mev, rel=0.06)
    assert float(symmetry) == pytest.approx(monitored.last.symmetry_mev, rel=0.06)
    assert float(inversion) == pytest.approx(monitored.last.inversion_mev, rel=0.06)


def test_error_curves_show_every_reading(monitored):
    figure = views.error_curves({"a": monitored, "b": monitored}, "Two runs")
    broken, inverted, error = figure.data[:3]
    assert tuple(broken.x) == monitored.steps
    np.testing.assert_array_equal(broken.y, [r.symmetry_mev for r in monitored.readings])
    np.testing.assert_array_equal(error.y, [r.error_mev for r in monitored.readings])
    np.testing.assert_array_equal(inverted.y, [r.inversion_mev for r in monitored.readings])
    assert [t.name.split(":")[0] for t in figure.data] == [*"aaabbb"]
    assert figure.data[0].line.color != figure.data[3].line.color
    assert len({t.line.dash for t in figure.data[:3]}) == 3
    assert len({t.textposition for t in figure.data[:3]}) == 3  # the last numbers lie apart
    assert views.alt_text(figure).count("meV") == 6
    with pytest.raises(ValueError, match="no run"):
        views.error_curves({})


def test_a_network_that_reads_nothing_of_stage_one_is_made_without_a_warning(data, recwarn):
    from dataclasses import replace

    alone = replace(CONFIG, refiner_features=False, refiner_baseline=False)
    next(wb.train(alone, data, HOW))
    assert not [w for w in recwarn if "zero-element" in str(w.message)]
