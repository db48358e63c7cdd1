"""Checkpoints: an exact round trip, an old file with known predictions, and refused files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.data.make_golden import golden_atoms, make
from workbench.models import checkpoint
from workbench.models.checkpoint import CheckpointError, load_model, read_tensors, save_model

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden.safetensors"


def test_the_golden_model_gives_the_stored_predictions():
    prediction = load_model(GOLDEN).predict(golden_atoms())
    expected = json.loads((DATA / "golden.json").read_text())
    for stage in ("baseline", "refined"):
        matrix = getattr(prediction, stage).dense()
        np.testing.assert_allclose(matrix, expected[stage], atol=2e-5)
    assert (prediction.refined - prediction.baseline).max_abs() > 1e-3


def test_round_trip_is_exact(tmp_path):
    model = make()
    save_model(model, tmp_path / "m.safetensors", {"metrics": {"mae": 1.0}})
    loaded = load_model(tmp_path / "m.safetensors")
    first, second = (m.predict(golden_atoms()).refined.dense() for m in (model, loaded))
    np.testing.assert_array_equal(first, second)
    assert loaded.info == {"metrics": {"mae": 1.0}}
    assert loaded.config == model.config
    assert loaded.basis == model.basis


def test_solutions_that_are_not_used_are_not_stored(tmp_path):
    model, path = make(), tmp_path / "m.safetensors"
    readout = model.baseline.node_head.readout
    for solved in (False, True):
        if solved:
            readout.adopt([torch.rand_like(s) for _, s in readout.named_buffers() if s.ndim == 3])
        save_model(model, path, {})
        stored = {name for name in read_tensors(path)[0] if ".solution_" in name}
        assert all(name.startswith("baseline.node_head.") for name in stored)
        assert bool(stored) == solved
        again = load_model(path)
        assert again.baseline.node_head.readout.solved == solved
        for name, tensor in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("value", "precision"), [(0.5, torch.float32), (1.1e6, torch.float64), (0.1, torch.float64)]
)
def test_a_stage_whose_solution_exceeds_float16_runs_in_float64(value, precision, tmp_path):
    """Solutions stored as float32 are large: in float32 the equivariance error would be visible."""
    model, path = make(), tmp_path / "m.safetensors"
    model.baseline.double()
    readout = model.baseline.node_head.readout
    solutions = [torch.full_like(s, value) for _, s in readout.named_buffers() if s.ndim == 3]
    readout.adopt([s.float().double() for s in solutions])
    save_model(model, path, {})
    stored = read_tensors(path)[0]
    assert {t.dtype for n, t in stored.items() if "baseline" in n} <= {torch.float16, torch.float32}
    assert next(load_model(path).baseline.parameters()).dtype == precision


def test_loading_keeps_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_model(GOLDEN)
    assert torch.rand(1) == expected


def test_a_model_moves_together_with_its_scaling():
    model = load_model("water").to("meta")
    assert {t.device.type for t in model.scaling.tensors().values()} == {"meta"}
    assert model.scaling.node_scale.dtype == torch.float64
    assert load_model("water").float().scaling.node_scale.dtype == torch.float64


def test_truncated_and_foreign_files_are_refused(tmp_path):
    half = tmp_path / "half.safetensors"
    half.write_bytes(GOLDEN.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(half)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(CheckpointError, match="no header of this library"):
        load_model(foreign)
    text = tmp_path / "text.safetensors"
    text.write_text("not a model")
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(text)


def test_another_convention_is_refused(tmp_path, monkeypatch):
    shutil.copy(GOLDEN, tmp_path / "m.safetensors")
    monkeypatch.setattr(checkpoint, "CONVENTION_VERSION", 99)
    with pytest.raises(CheckpointError, match="follows convention 1, this library 99"):
        load_model(tmp_path / "m.safetensors")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    tensors, header = read_tensors(GOLDEN)
    tensors.pop(next(name for name in tensors if name.startswith("baseline.")))
    checkpoint.write_tensors(tmp_path / "m.safetensors", tensors, header)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_model(tmp_path / "m.safetensors")


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(FileNotFoundError, match="no file called 'wter': did you mean 'water'"):
        load_model("wter")


def test_the_bundled_water_model_has_its_training_record():
    model = load_model("water")
    assert model.elements == ("H", "O")
    assert model.info["dataset"]["name"] == "water.h5"
    assert {row["phase"][:7] for row in model.info["history"]} == {"stage 1", "stage 2"}
    assert model.info["domain"]["formulas"] == {"H2O": 500}
