"""Training: both stages learn, and the records say how far the run has come."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from tests.support.short_training import CONFIG, HOW
from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.writing import write
from workbench.engines.pyscf_molecules import reference
from workbench.evaluation.equivariance import equivariance
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.checkpoint import load_model
from workbench.models.config import ModelConfig
from workbench.models.stage1 import Stage1
from workbench.storage.bundled import data_path
from workbench.training.config import Budget, TrainingError
from workbench.training.loop import train
from workbench.training.stage2_objective import Stage2Objective


def test_both_stages_learn_what_holds_on_unseen_structures():
    """A few seconds on the water set: each way of learning of each stage does its part."""
    config = ModelConfig(
        guess="none", channels=8, layers=1, readout=16, refiner_width=64, refiner_layers=1
    )
    how = replace(
        HOW,
        stage1=Budget(steps=400),
        stage2=Budget(steps=100),
        batch_size=16,
        validations=3,
        learning_rate=1e-2,
    )
    found = {}
    with Dataset(data_path("datasets", "water.h5")) as water:
        for record in train(config, water, how):
            if record.valid_mae_ev is not None and not record.finished:
                found.setdefault(record.label, []).append(record.valid_mae_ev)
    first, second = found["stage 1"], found["stage 2"]
    solved, corrected = found["stage 1, solved"][0], found["stage 2, solved"][0]
    assert first[-1] < 0.5 * first[0]
    assert solved < 0.2 * first[-1]
    assert second[-1] < solved
    assert corrected < 0.95 * solved


def test_features_nobody_trained_are_enough_for_a_small_molecule():
    """The solved readout of random equivariant features: 1e-6 Hartree within seconds."""
    how = replace(HOW, stage1=Budget(steps=0), stage2=None)
    with Dataset(data_path("datasets", "water.h5")) as water:
        *_, last = train(ModelConfig(refiner_width=32, refiner_layers=1), water, how)
    assert last.valid_mae_ev is not None
    assert last.valid_mae_ev < 1e-6 * HARTREE


def test_steps_that_do_harm_are_undone(tiny, tmp_path, monkeypatch):
    """A wild stage 2 leaves the model no worse than stage 1 was, also when it is taken up again."""
    monkeypatch.setattr(
        Stage2Objective, "solve", Stage2Objective.validate
    )  # which would mend a part of it
    how = replace(HOW, refiner_learning_rate=80.0, validations=6)
    for record in train(CONFIG, tiny, how, tmp_path):
        if record.phase == "stage 2" and record.step == 15:
            break
    records = list(train(CONFIG, tiny, how, tmp_path))
    history = records[-1].model.info["history"]
    before, *worse = (e["valid_mae_ev"] for e in history if e["phase"] != "stage 1")
    after = worse.pop()
    assert min(worse) > 2 * before
    assert after == pytest.approx(before, rel=1e-6)


def test_records_tell_where_training_stands(uninterrupted):
    _, records = uninterrupted
    assert [r.step for r in records] == [*range(1, 31), 30, *range(1, 21), 20, 20]
    assert [k for k, r in enumerate(records) if r.solved] == [30, 51, 52]
    assert [r.phase for r in records] == ["stage 1"] * 31 + ["stage 2"] * 22
    assert [r.loss_ev is None for r in records] == [r.solved for r in records]
    assert records[-1].finished
    assert not records[-2].finished
    assert records[29].progress == records[50].progress == 1
    rates = [r.learning_rate for r in records[:30]]
    assert max(rates) <= HOW.learning_rate
    assert rates[-1] < 0.02 * HOW.learning_rate


def test_the_last_record_predicts_what_the_file_does(uninterrupted, tiny):
    directory, records = uninterrupted
    loaded = load_model(directory / "model.safetensors")
    for atoms in (tiny.atoms(0), Atoms("O")):  # a lone atom has no pairs
        there, here = loaded.predict(atoms), records[-1].model.predict(atoms)
        assert (there.refined - here.refined).max_abs() == 0


def test_the_last_record_holds_what_is_on_disk(uninterrupted):
    directory, records = uninterrupted
    loaded = load_model(directory / "model.safetensors").state_dict()
    for name, tensor in records[-1].model.state_dict().items():
        assert torch.equal(tensor, loaded[name]), name


@pytest.mark.parametrize(
    "change", [{"refiner_frame": "local"}, {"refiner_features": False}, {"refiner_baseline": False}]
)
def test_another_stage_2_can_stand_on_a_stage_1_that_is_there(uninterrupted, tiny, change):
    first = uninterrupted[1][-1].model
    how = replace(HOW, turning=False)
    records = list(train(replace(CONFIG, **change), tiny, how, stage1=first))
    assert {r.label for r in records} == {"stage 2", "stage 2, solved"}
    atoms = tiny.atoms(0)
    assert (records[-1].model.stage1(atoms) - first.stage1(atoms)).max_abs() == 0
    with pytest.raises(TrainingError, match="other sizes"):
        next(train(replace(CONFIG, channels=4), tiny, how, stage1=first))


def test_training_goes_on_from_a_model_that_knows_more_elements(tiny, tmp_path):
    """Waters alone, started from a model of waters and hydrogen fluorides, before its solution."""
    longer = replace(HOW, stage1=Budget(steps=200))
    first = next(r.model for r in train(CONFIG, tiny, longer) if r.step == 199)
    waters = [tiny.atoms(i) for i in range(20) if i % 4 != 3]
    samples = [Sample(w, reference(w, "sto-3g", "hf").H, 0.0, 10, 0) for w in waters]
    path = tmp_path / "waters.h5"
    write(path, samples, {"train": list(range(12)), "valid": [12, 13, 14]}, {"method": "RHF"})
    how = replace(HOW, stage1=Budget(steps=5), stage2=None, learning_rate=1e-4)
    with Dataset(path) as dataset:
        assert len(dataset.basis.elements) == 2
        on = list(train(CONFIG, dataset, how, tmp_path / "run", start=first))
        fresh = next(train(CONFIG, dataset, how))
        with pytest.raises(TrainingError, match="another start"):
            next(train(CONFIG, dataset, how, tmp_path / "run", start=on[-1].model))
        with pytest.raises(TrainingError, match="either as stage1"):
            next(train(CONFIG, dataset, how, stage1=first, start=first))
    assert on[0].loss_ev < 0.2 * fresh.loss_ev
    assert on[-1].model.basis == first.basis
    assert (on[-1].model(waters[0]) - samples[0].H).mae() < 0.1 * samples[0].H.mae()
    with Dataset(data_path("datasets", "water.h5")) as other, pytest.raises(TrainingError):
        next(train(CONFIG, other, how, start=first))


def test_a_cpu_time_budget_ends_the_phase(tiny):
    how = replace(HOW, stage1=Budget(cpu_seconds=0.3), stage2=Budget(steps=1))
    records = list(train(CONFIG, tiny, how))
    first = [r for r in records if r.label == "stage 1"]
    assert [r.cpu_seconds >= 0.3 for r in first] == [*[False] * (len(first) - 1), True]
    assert first[-1].learning_rate < HOW.learning_rate


def test_mixed_precision_learns_from_exact_distances(tiny, monkeypatch):
    """Products are short in it, but what the networks are given is not: 8 bits make no Angstrom."""
    seen, forward = [], Stage1.forward

    def spied(self, graph, geometry):
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            seen.append(geometry.distance.dtype)
        return forward(self, graph, geometry)

    monkeypatch.setattr(Stage1, "forward", spied)
    records = list(train(CONFIG, tiny, replace(HOW, precision="bf16-mixed")))
    assert seen == [torch.float64] * 30
    losses = [r.loss_ev for r in records if r.label == "stage 1"]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert records[-1].finished


def test_stage1_stays_equivariant_after_training(uninterrupted, tiny):
    model = load_model(uninterrupted[0] / "model.safetensors")
    report = equivariance({"stage 1": model.stage1}, tiny.atoms(0), samples=3)
    assert report["stage 1"].max_mev <= 2e-6 * report.largest["stage 1"]


def test_two_processes_train_together(tiny_path, tmp_path):
    """The same call under a launcher: gradients are shared, one file comes out."""
    script = tmp_path / "go.py"
    script.write_text(
        "import sys\n"
        "from dataclasses import replace\n"
        "import torch\n"
        "torch.set_num_threads(1)\n"
        "from tests.support.short_training import CONFIG, HOW\n"
        "from workbench.training.config import Budget\n"
        "from workbench.datasets.dataset import Dataset\n"
        "from workbench.training.loop import train\n"
        "how = replace(HOW, devices=2, stage1=Budget(steps=6), stage2=Budget(steps=4))\n"
        "for record in train(CONFIG, Dataset(sys.argv[1]), how, sys.argv[2]):\n"
        "    pass\n"
    )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node=2",
            "--master-addr",
            "127.0.0.1",
            "--master-port",
            "29571",
            str(script),
            str(tiny_path),
            str(tmp_path / "run"),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    assert load_model(tmp_path / "run" / "model.safetensors").info["train"]["devices"] == 2


def test_a_basis_without_d_shells_trains_with_the_sizes_that_others_have(tiny):
    """The default lmax of 4 is more than s and p shells can make: orders without any channel."""
    *_, last = train(replace(CONFIG, lmax=4, pseudo_lmax=2), tiny, HOW)
    assert last.valid_mae_ev is not None
    report = equivariance({"stage 1": last.model.stage1}, tiny.atoms(0), samples=2)
    assert report["stage 1"].max_mev <= 2e-6 * report.largest["stage 1"]
