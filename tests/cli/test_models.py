"""`calibrate`: an existing file is replaced only when that is asked for, a dataset never."""

import shutil

from tests.support.command_line import refusal
from workbench.models.checkpoint import load_model
from workbench.storage.bundled import data_path


def test_a_calibrated_model_replaces_another_file_only_when_asked(tmp_path):
    out, data = tmp_path / "a.safetensors", tmp_path / "water.h5"
    out.write_text("kept")
    shutil.copy(data_path("datasets", "water.h5"), data)
    words = ("calibrate", "water", "--dataset", data)
    assert "exists: choose another name" in refusal(*words, "--out", out)
    assert "is read to make the result" in refusal(*words, "--out", data, "--overwrite")
    assert out.read_text() == "kept"
    assert load_model("water") is not None
