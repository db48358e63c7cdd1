"""Training free of gauge: labels with arbitrary zeros of energy are learned as well as others."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import workbench as wb
from tests.support.crystal import sheet, with_spin_orbit
from tests.support.networks import SPINOR_CONFIG
from tests.support.short_training import CONFIG, HOW
from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.writing import write
from workbench.evaluation.energy_zero import energy_shift, gauge_free_errors
from workbench.training.config import Budget, TrainConfig
from workbench.training.cutoff import with_cutoff
from workbench.training.initial_model import guess_charges, untrained
from workbench.training.loop import train
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.stage2_objective import Stage2Objective
from workbench.training.training_set import TrainingSet

MU = 0.05
"""Standard deviation of the zeros of energy, eV."""

WITHOUT_GUESS = replace(CONFIG, guess="none")
EVERY = {
    "with a guess": CONFIG,
    "without a guess": WITHOUT_GUESS,
    "in local axes": replace(WITHOUT_GUESS, refiner_frame="local"),
}


def shifted(dataset, path, size=MU):
    """A copy of a dataset in which each structure has a zero of energy of its own."""
    rng = np.random.default_rng(0)
    samples = (
        replace(s, H=s.H + float(rng.normal(0, size)) * s.S)
        for s in (dataset[i] for i in range(len(dataset)))
    )
    write(path, samples, {name: dataset.split(name).tolist() for name in dataset.splits}, {})
    return path


@pytest.fixture(scope="module")
def tiny_shifted(tiny_path, tmp_path_factory):
    with Dataset(tiny_path) as dataset:
        return shifted(dataset, tmp_path_factory.mktemp("shifted") / "shifted.h5", 5.0)


def objectives(dataset, config, scaled_to=None):
    """Both stages with the same untrained weights and scales, free of gauge."""
    config = with_cutoff(config, dataset)
    charges = guess_charges(scaled_to or dataset, dataset.split("train"), config)

    def read(source, split):
        return TrainingSet.read(source, source.split(split), config, source.basis, charges, True)

    torch.manual_seed(0)
    model = untrained(dataset.basis, config, read(scaled_to or dataset, "train"), charges)
    splits = [read(dataset, split) for split in ("train", "valid")]
    first, second = Stage1Objective(model, *splits), Stage2Objective(model, *splits)
    with torch.no_grad():
        for parameter in model.refiner.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    return first, second


@pytest.mark.parametrize("name", EVERY)
def test_loss_and_validation_do_not_depend_on_the_zeros_of_energy(name, tiny, tiny_shifted):
    with Dataset(tiny_shifted) as other:
        one, two = objectives(tiny, EVERY[name]), objectives(other, EVERY[name], scaled_to=tiny)
        two[1].model.scaling = one[1].model.scaling
        for here, there in zip(one, two, strict=True):
            losses = [
                o.loss(o.module, torch.tensor([0, 3, 5]), (0, 1, 2)).item() for o in (here, there)
            ]
            assert losses[0] == pytest.approx(losses[1], rel=1e-3)
            assert here.validate() == pytest.approx(there.validate(), rel=1e-3)
        raw = np.mean([(other[i].H - tiny[i].H).mae() for i in (0, 3, 5)])
        assert raw > 0.1 * losses[0]  # which a loss with the gauge would have felt


def test_the_validation_error_is_that_of_evaluate(tiny):
    first, second = objectives(tiny, EVERY["without a guess"])
    for objective, predictor in ((first, first.model.stage1), (second, first.model)):
        samples = [tiny[int(i)] for i in tiny.split("valid")]
        errors = [gauge_free_errors(predictor(s.atoms), s.H, s.S).mae_mev for s in samples]
        assert 1000 * objective.validate() == pytest.approx(np.mean(errors), rel=1e-3)


def test_arbitrary_zeros_of_energy_do_not_spoil_the_rest(tmp_path):
    """Water: a usual training spends its freedom on numbers that no network can know."""
    config = wb.ModelConfig(guess="none", channels=8, layers=1, readout=48, pair_readout=48)
    with Dataset("water") as water:
        split = {"train": water.split("train")[:80], "valid": water.split("valid")[:12]}
        split["test"] = water.split("valid")[12:30]
        members = np.concatenate(list(split.values()))
        starts = np.cumsum([0, *(len(part) for part in split.values())])
        numbers = {
            n: list(range(a, b)) for n, a, b in zip(split, starts[:-1], starts[1:], strict=True)
        }
        write(tmp_path / "part.h5", (water[int(i)] for i in members), numbers, {})
    with Dataset(tmp_path / "part.h5") as part:
        path, clean = shifted(part, tmp_path / "shifted.h5"), part.split("test")
        tested, errors = [part[int(i)] for i in clean], {}
        for gauge_free in (False, True):
            how = TrainConfig(stage1=Budget(steps=0), stage2=None, gauge_free=gauge_free)
            with Dataset(path) as dataset:
                *_, last = train(config, dataset, how)
            predicted = [(last.model(s.atoms), s) for s in tested]
            errors[gauge_free] = np.mean(
                [gauge_free_errors(H, s.H, s.S).mae_mev for H, s in predicted]
            )
            mean_shift = np.mean([energy_shift(H, s.H, s.S) for H, s in predicted])
            assert abs(mean_shift) < MU  # the mean zero of energy is learned
    assert errors[True] < 0.8 * errors[False]


def test_crystals_with_spin_train_free_of_gauge(tmp_path):
    """Complex matrices; a crystal without its overlap is refused."""

    def sample(seed, overlap=True):
        atoms = sheet()
        atoms.rattle(0.06, seed=seed)
        H, S = with_spin_orbit(atoms)
        mu = float(np.random.default_rng(seed).normal(0, MU))
        return Sample(atoms, H + mu * S, float("nan"), 0, seed, S if overlap else None, 0.0)

    splits = {"train": [0, 1, 2, 3], "valid": [4, 5], "test": [6]}
    how = replace(HOW, stage1=Budget(steps=2), stage2=Budget(steps=2), gauge_free=True)
    for overlap in (True, False):
        path = tmp_path / f"{overlap}.h5"
        write(path, (sample(k, overlap) for k in range(7)), splits, {})
        with Dataset(path) as dataset:
            if not overlap:
                with pytest.raises(ValueError, match="without its overlap"):
                    list(train(SPINOR_CONFIG, dataset, how))
                continue
            *_, last = train(SPINOR_CONFIG, dataset, how)
            found = wb.evaluate(last.model, dataset, "valid", progress=False)["refined"]
    assert 1000 * last.valid_mae_ev == pytest.approx(found["gauge_free_mae_mev"], rel=0.05)


def test_settings_of_a_usual_run_stay_the_same():
    """A run that began before the option existed goes on."""
    assert "gauge_free" not in HOW.to_json()
    free = replace(HOW, gauge_free=True)
    assert free.to_json()["gauge_free"] is True
    assert TrainConfig.from_json(free.to_json()) == free
