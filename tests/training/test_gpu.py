"""The same calls on a CUDA device; skipped where there is none."""

import numpy as np
import pytest
import torch

from tests.support.short_training import CONFIG, HOW
from workbench.evaluation.model_errors import evaluate
from workbench.models.checkpoint import load_model
from workbench.training.loop import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_training_runs_on_the_gpu_and_its_model_agrees_on_both_devices(tiny, tmp_path):
    *_, last = train(CONFIG, tiny, HOW, tmp_path)
    assert last.model.device.type == "cuda"
    atoms = tiny.atoms(0)
    path = tmp_path / "model.safetensors"
    there = load_model(path, device="cuda").predict(atoms)
    here = load_model(path).predict(atoms)
    for stage in ("baseline", "refined"):
        a, b = getattr(here, stage), getattr(there, stage)
        assert (a - b).max_abs() < 1e-5 * a.max_abs()


def test_evaluation_on_the_gpu_says_the_same(tiny, tmp_path):
    list(train(CONFIG, tiny, HOW, tmp_path))
    path = tmp_path / "model.safetensors"
    found = [
        evaluate(load_model(path, device=device), tiny, "test", progress=False)["refined"]
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(found[0]["mae_hartree"], found[1]["mae_hartree"], rtol=1e-3)
