"""A run that diverges says so, and no file holds a number that is not finite."""

import json
import math
from dataclasses import replace

import pytest
import torch

import workbench as wb
from tests.support.command_line import run
from tests.support.short_training import CONFIG, HOW
from workbench.models.checkpoint import save_model
from workbench.models.tensor_file import read_tensors
from workbench.training.config import TrainingError
from workbench.training.loop import train

LAST = replace(HOW, stage2=None, keep_best=False)


def finite(path):
    """Whether all tensors and all numbers of the header are finite."""
    tensors, header = read_tensors(path)

    def refuse(constant):
        raise AssertionError(f"{path} has {constant}")

    json.loads(json.dumps(header), parse_constant=refuse)
    return all(bool(t.isfinite().all()) for t in tensors.values() if t.is_floating_point())


def spoiled(records, step):
    """The records of a run whose weights overflow after a step."""
    for record in records:
        yield record
        if record.step == step and record.loss_ev is not None:
            with torch.no_grad():
                for weight in record.model.baseline.parameters():
                    weight.mul_(1e30)


@pytest.mark.parametrize("step", [3, 20])
def test_without_the_best_weights_the_run_stops_with_a_sentence(step, tiny, tmp_path):
    sentence = (
        rf"Stage 1 diverged \(the loss of step {step + 1} is (nan|inf)\), and nothing of it is "
        r"written: train in a new directory with a lower learning_rate than 0.005\."
    )
    with pytest.raises(TrainingError, match=sentence):
        list(spoiled(train(CONFIG, tiny, LAST, tmp_path / "run"), step))
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert finite(tmp_path / "run" / "snapshot.safetensors")
    assert read_tensors(tmp_path / "run" / "snapshot.safetensors")[1]["step"] == step


def test_with_the_best_weights_the_stage_ends_with_them(tiny, tmp_path):
    how = replace(LAST, keep_best=True)
    with pytest.warns(UserWarning, match=r"Stage 1 diverged .*: it ends with its best weights"):
        records = list(spoiled(train(CONFIG, tiny, how, tmp_path / "run"), 20))
    assert finite(tmp_path / "run" / "model.safetensors")
    assert finite(tmp_path / "run" / "snapshot.safetensors")
    assert records[-1].finished
    assert [row["step"] for row in records[-1].model.info["history"]] == [15, 21]
    assert all(math.isfinite(r.valid_mae_ev) for r in records if r.valid_mae_ev is not None)


def test_the_command_stops_with_the_sentence(tiny, tiny_path, tmp_path):
    """Started from a model whose weights overflow in float32."""
    *_, last = train(CONFIG, tiny, replace(LAST, stage1=wb.Budget(steps=1)))
    model = last.model
    model.baseline.float()
    with torch.no_grad():
        for weight in model.baseline.parameters():
            weight.mul_(1e30)
    save_model(model, tmp_path / "large.safetensors", model.info)
    settings = {"keep_best": "false", **CONFIG.to_json()}
    words = [f"--set={name}={json.dumps(value)}" for name, value in settings.items()]
    words = [word.replace('"', "") for word in words]
    result = run(
        *("train", tiny_path, "--out", tmp_path / "run", "--stage1", 5, "--stage2", "none"),
        *("--start", tmp_path / "large.safetensors", *words),
    )
    assert result.exit_code == 2
    assert "Stage 1 diverged (the loss of step 1 is" in result.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()
