"""The command line, run for real: label a few molecules, train on them, use the model."""

import json
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, run, started
from workbench.training.history import STAGES

SMALL = [
    "lmax=2",
    "pseudo_lmax=1",
    "channels=4",
    "layers=1",
    "radial=8",
    "readout=8",
    "pair_readout=8",
    "refiner_layers=1",
]
SMALL += ["refiner_width=16", "refiner_heads=2", "batch_size=4"]
SETTINGS = [word for setting in SMALL for word in ("--set", setting)]
BRIEF = ["--stage1", 6, "--stage2", 6]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def labels(folder):
    return numbers_of(
        *("label", "water", "--out", folder / "tiny.h5", "--sigma", 0.05, "--processes", 1),
        *("--basis", "sto-3g", "--xc", "hf", "--train", 8, "--valid", 2, "--test", 3),
    )


@pytest.fixture(scope="module")
def trained(folder, labels):
    return numbers_of("train", labels["path"], "--out", folder / "run", *BRIEF, *SETTINGS)


def test_label_writes_the_samples_asked_for(labels):
    assert labels["splits"] == {"train": 8, "valid": 2, "test": 3}
    with wb.Dataset(labels["path"]) as made:
        assert made.hash == labels["sha256"]
        assert len(made) == 13


def test_label_again_finds_the_work_done(folder, labels):
    again = numbers_of(
        *("label", "water", "--out", folder / "tiny.h5", "--sigma", 0.05, "--processes", 1),
        *("--basis", "sto-3g", "--xc", "hf", "--train", 8, "--valid", 2, "--test", 3),
    )
    assert again == labels


def test_a_part_is_smaller_and_a_coarser_one_smaller_still(labels, folder):
    paths = [folder / "part.h5", folder / "coarse.h5"]
    for path, more in zip(paths, ([], ["--step", 1e-4]), strict=True):
        numbers_of("part", labels["path"], "--out", path, "--train", 2, "--test", 3, *more)
    with wb.Dataset(labels["path"]) as whole, wb.Dataset(paths[1]) as part:
        assert {name: len(part.split(name)) for name in part.splits} == {"train": 2, "test": 3}
        for k in range(5):
            own = [*whole.split("train")[:2], *whole.split("test")][k]
            assert 1e-8 < (whole[int(own)].H - part[k].H).max_abs() <= 0.51e-4
    refused = run("part", labels["path"], "--out", folder / "more.h5", "--train", 9)
    assert refused.exit_code == 2
    assert "ask for 1 to " in refused.output


def test_train_leaves_a_model_that_loads(trained):
    model = wb.load_model(trained["checkpoint"])
    assert model.basis.name == "sto-3g"
    assert (model.config.guess, model.config.lmax) == (wb.ModelConfig().guess, 2)
    assert (trained["phase"], trained["step"]) == ("stage 2, solved", 6)


def test_a_training_ends_with_its_errors_a_curve_and_the_next_command(trained, labels, folder):
    words = ("train", labels["path"], "--out", folder / "run", *BRIEF, *SETTINGS)
    again = run(*words)  # which is finished
    history = wb.load_model(trained["checkpoint"]).info["history"]
    last = {stage: [row for row in history if stage in row["phase"]][-1] for stage in STAGES}
    errors = {stage: 1000 * row["valid_mae_ev"] for stage, row in last.items()}
    assert trained["validation_mae_mev"] == pytest.approx(errors)
    for stage, error in errors.items():
        assert f"validation error of {stage}: {error:.3g} meV" in again.stdout
    rows = (folder / "run" / "curve.csv").read_text().splitlines()
    assert len(rows) == 1 + len(history)
    assert rows[-1].startswith("2,1,6,")
    assert float(rows[-1].split(",")[-1]) == pytest.approx(errors["stage 2"], rel=1e-5)
    assert (folder / "run" / "curve.png").read_bytes().startswith(b"\x89PNG")
    line = again.stderr.splitlines()[-1]
    assert line.startswith("Next: python -m workbench evaluate")
    assert run(*shlex.split(line)[4:], "--limit", 1).exit_code == 0


def test_evaluate_agrees_with_the_library(trained, labels):
    printed = numbers_of("evaluate", "--model", trained["checkpoint"], "--dataset", labels["path"])
    with wb.Dataset(labels["path"]) as data:
        computed = wb.evaluate(wb.load_model(trained["checkpoint"]), data, progress=False)
    assert printed == json.loads(json.dumps(computed))


def test_predict_writes_the_blocks_of_a_crystal(folder):
    out = folder / "graphene.npz"
    words = ("predict", "graphene", "--model", "mg-mini", "--out", out)
    found = numbers_of(*words)
    expected = wb.load_model("mg-mini").predict(wb.load("graphene"))
    assert found["formula"] == "C2"
    assert found["orbitals"] == 26
    assert "overlap" in found["note"]
    with np.load(out) as written:
        np.testing.assert_array_equal(written["refined"], expected.refined.values)
        np.testing.assert_array_equal(written["shifts"], expected.refined.shifts)
        assert len(written["labels"]) == 26
    refused = run(*words, "--overwrite", "--warm-start", folder / "start.npy")
    assert refused.exit_code == 2
    assert "for molecules only" in refused.output


def test_predict_prints_levels_and_writes_matrices(trained, folder):
    out = folder / "water.npz"
    start, words = folder / "start.npy", ("predict", "water", "--model", trained["checkpoint"])
    printed = numbers_of(*words, "--out", out, "--warm-start", start)
    prediction = wb.load_model(trained["checkpoint"]).predict(wb.load("water"))
    expected = wb.warm_start(wb.load("water"), prediction.refined)
    np.testing.assert_array_equal(np.load(start), expected)
    assert printed["orbitals"] == 7 == len(printed["levels_ev"])
    with np.load(out) as written:
        np.testing.assert_array_equal(written["refined"], prediction.refined.dense())
        np.testing.assert_allclose(np.diag(written["overlap"]), 1, atol=1e-12)
        assert written["labels"][0] == "O1 1s"


def test_rotate_reports_every_subject(trained):
    words = ("rotate", "water", "--model", trained["checkpoint"], "--xc", "hf")
    predictors = numbers_of(*words)["predictors"]
    assert set(predictors) == {"PySCF", "stage 1", "stages 1+2"}
    assert predictors["PySCF"]["max_mev"] < 1e-3
    assert predictors["stage 1"]["max_mev"] < predictors["stage 1"]["largest_element_mev"] * 1e-5
    for name, largest in (("PySCF", 1e-3), ("stage 1", 1e-5 * 1e6)):
        assert predictors[name]["inversion"]["max_mev"] < largest
    assert predictors["stages 1+2"]["inversion"]["mae_mev"] > 1e-3
    text = run(*words).stdout
    for line in ("stages 1+2, rotations", "stages 1+2, inversion"):
        assert line in text
    assert numbers_of(*words, "--samples", 2)["samples"] == 2


def test_text_output_is_for_people(trained):
    result = run("predict", "water", "--model", trained["checkpoint"])
    assert result.exit_code == 0
    assert "gap_ev" in result.stdout


def test_doctor_proves_the_conventions():
    report = numbers_of("doctor")
    assert report["ok"]
    assert report["convention_residuals"]
    assert max(report["convention_residuals"].values()) <= 1e-10
    assert report["packages"]["torch"]
    assert "water" in report["data"]["structures"]
    assert "No problems found" in run("doctor").stdout


def test_doctor_fails_without_its_data(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "nowhere"))
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert "WORKBENCH_DATA" in json.loads(result.stdout)["problems"][0]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["predict", "watr"], "did you mean 'water'"),
        (["predict", "water", "--model", "nonsense"], "nonsense"),
        (["evaluate", "--dataset", "nowhere.h5"], "nowhere.h5"),
        (["train", "nowhere.h5", "--out", "run"], "nowhere.h5"),
        (["train", "nowhere.h5", "--out", "run", "--set", "colour=1"], "colour"),
        (
            ["label", "bilayer-graphene", "--out", "a.h5", "--twist", "1"],
            "not a valid twist",
        ),
        (["label", "graphene", "--out", "a.h5", "--twist", "1,2"], "no bilayer"),
        (["part", "water", "--out", "a.h5", "--test", "1", "--twisted", "2"], "--twisted-from"),
        (["train", "nowhere.h5", "--out", "run", "--set", "layers"], "name=value"),
        (["train", "nowhere.h5", "--out", "run", "--stage1", "soon"], "soon"),
        (["train", "nowhere.h5", "--out", "run", "--set", "layers=0"], "layers"),
        (["label", "water", "--out", "x.h5", "--basis", "none"], "none"),
    ],
)
def test_a_foreseen_error_is_one_sentence(words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2
    assert part in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_debug_shows_the_traceback_as_well():
    result = run("--debug", "predict", "watr")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.splitlines()[-1].startswith("Error: There is no structure")


def test_stage_two_can_be_left_out(labels, tmp_path):
    only = ["--stage1", 3, "--stage2", "none"]
    made = numbers_of("train", labels["path"], "--out", tmp_path, *only, *SETTINGS)
    assert made["phase"].startswith("stage 1")
    found = wb.load_model(made["checkpoint"]).predict(wb.load("water"))
    assert np.array_equal(found.refined.dense(), found.baseline.dense())


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_goes_on_by_the_same_command(told, labels, tmp_path):
    out = ["--out", str(tmp_path / "run"), "--stage1", "500", "--stage2", "3"]
    words = ["train", labels["path"], *out, *SETTINGS]
    running = started(*words)
    assert running.stderr is not None
    next(line for line in running.stderr if "stage 1" in line)  # training is under way
    running.send_signal(told)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert "same command" in said
    finished = numbers_of(*words)
    assert (finished["phase"], finished["step"]) == ("stage 2, solved", 3)


def test_lab_starts_jupyterlab_on_the_start_page():
    from workbench.cli.jupyterlab import START_PAGE, lab_command, lab_environment

    command = lab_command(["--port=9999"])
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[3].endswith(START_PAGE)
    assert command[-1] == "--port=9999"
    code = (
        "from jupyterlab_server.settings_utils import _get_overrides; import json, tempfile;"
        "print(json.dumps(_get_overrides(tempfile.mkdtemp())[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=lab_environment(), capture_output=True, text=True
    )
    settings = json.loads(done.stdout)["@jupyterlab/apputils-extension:notification"]
    assert settings == {"fetchNews": "false", "checkForUpdates": False}


def test_folders_of_deeph_become_a_dataset_and_folders_again(folder, tiny_path):
    exported = numbers_of(
        "export", "deeph", tiny_path, "--out", folder / "deeph", "--split", "test"
    )
    assert exported["structures"] == 4
    made = numbers_of("import", "deeph", folder / "deeph", "--out", folder / "deeph.h5")
    assert made["splits"] == {"train": 2, "valid": 1, "test": 1}
    assert made["largest_residuals"]["overlap_across"] < 1e-12
    (folder / "deeph" / "17" / "info.json").unlink()
    result = run("import", "deeph", folder / "deeph", "--out", folder / "again.h5")
    assert result.exit_code == 2
    assert "17 has no info.json" in result.stderr
