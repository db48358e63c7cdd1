"""The commands that use a model, on faulty disks: their results are complete or absent."""

import os
import shutil

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, run
from tests.support.faults import command_in_a_copy, limit_files, small_disk
from workbench.cli.exit_codes import ExitCode
from workbench.datasets.formats import deeph, deeph_present
from workbench.models.checkpoint import load_model
from workbench.storage.bundled import data_path

PREDICT = ("predict", "water", "--json")
OPTIONS = ("--out", "--warm-start")


def refusal(*words, code=ExitCode.WRONG_INPUT):
    result = run(*words)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_results_have_exactly_the_names_asked_for(tmp_path):
    numbers_of(*PREDICT[:-1], "--out", tmp_path / "H", "--warm-start", tmp_path / "P")
    assert sorted(os.listdir(tmp_path)) == ["H", "P"]
    with np.load(tmp_path / "H") as matrices:
        assert np.load(tmp_path / "P").shape == matrices["refined"].shape


@pytest.mark.parametrize("option", OPTIONS)
def test_an_existing_result_is_replaced_only_when_asked(option, tmp_path):
    path = tmp_path / "a"
    path.write_text("kept")
    said = refusal(*PREDICT, option, path)
    assert "a exists: choose another name, or replace the file with --overwrite." in said
    assert path.read_text() == "kept"
    assert run(*PREDICT, option, path, "--overwrite").exit_code == 0
    assert np.load(path) is not None


def test_a_result_replaces_neither_the_structure_nor_the_other_result(tmp_path):
    structure = tmp_path / "water.xyz"
    shutil.copy(next(data_path("structures").glob("water.*")), structure)
    before = structure.read_bytes()
    for option in OPTIONS:
        said = refusal("predict", structure, option, structure, "--overwrite")
        assert "is read to make the result and cannot be replaced by it" in said
    words = ("--out", tmp_path / "a", "--warm-start", tmp_path / "." / "a")
    assert "both name" in refusal(*PREDICT, *words)
    assert structure.read_bytes() == before
    assert os.listdir(tmp_path) == ["water.xyz"]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("size", [0, 200])
def test_a_full_disk_leaves_no_cut_file(option, size, tmp_path):
    path = tmp_path / "a"
    for text in (None, "kept"):
        said = command_in_a_copy(
            *PREDICT, "--overwrite", option, path, before=lambda: limit_files(size)
        )
        assert said.startswith(f"3 Error: {path} is not written, since it exceeds"), said
        assert said.count("\n") == 1
        assert (path.read_text() if path.exists() else None) == text
        path.write_text("kept")
    assert os.listdir(tmp_path) == ["a"]


def test_a_place_that_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "pipe")
    model = ("calibrate", "water", "--dataset", "water")
    for name, says, code in (
        ("link", "is a symbolic link", ExitCode.WRONG_INPUT),
        ("pipe", "is a pipe", ExitCode.WRONG_INPUT),
        ("n" * 256, "its name is too long", ExitCode.SYSTEM),
    ):
        for words in ((*model, "--out"), *[(*PREDICT, option) for option in OPTIONS]):
            assert says in refusal(*words, tmp_path / name, code=code)
    with small_disk(tmp_path / "small", "ro") as disk:
        for words in ((*model, "--out"), (*PREDICT, "--out"), (*PREDICT, "--warm-start")):
            said = refusal(*words, disk / "a", code=ExitCode.SYSTEM)
            assert "the file system is read-only" in said
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe", "small"]


def test_a_calibrated_model_replaces_another_file_only_when_asked(tmp_path):
    """The dataset is never replaced."""
    out, data = tmp_path / "a.safetensors", tmp_path / "water.h5"
    out.write_text("kept")
    shutil.copy(data_path("datasets", "water.h5"), data)
    words = ("calibrate", "water", "--dataset", data)
    assert "exists: choose another name" in refusal(*words, "--out", out)
    assert "is read to make the result" in refusal(*words, "--out", data, "--overwrite")
    assert out.read_text() == "kept"
    assert load_model("water") is not None


@pytest.mark.parametrize("layout", ["older", "present"])
def test_a_folder_with_an_overlap_is_predicted_and_written(layout, tmp_path):
    """A crystal of another program: its overlap goes in, the predicted H comes out beside it."""
    module, matrix = {
        "older": (deeph, "hamiltonians.h5"),
        "present": (deeph_present, "hamiltonian.h5"),
    }[layout]
    with wb.Dataset("mg-mini") as data:
        sample = data[int(data.split("test")[0])]
    module.write(tmp_path / "in", sample.atoms, sample.H, sample.S)
    (tmp_path / "in" / matrix).unlink()
    words = ("predict", tmp_path / "in", "--model", "mg-mini", "--layout", layout)
    found = numbers_of(*words, "--deeph", tmp_path / "out", "--out", tmp_path / "H.npz")
    assert "overlap" not in found["note"]  # only the number of electrons is unknown
    expected = wb.load_model("mg-mini")(sample.atoms)
    back = deeph.read(tmp_path / "out", expected.basis.name)
    assert (back.H - expected).max_abs() < 1e-9
    assert (back.S - sample.S).max_abs() < 1e-12
    with np.load(tmp_path / "H.npz") as arrays:
        np.testing.assert_array_equal(
            arrays["overlap"], sample.S.over(expected.edges, expected.shifts)
        )
    refused = run(*words, "--deeph", tmp_path / "out")
    assert "is not empty: choose another folder" in refused.stderr
    assert "omit --charge" in run(*words, "--charge", 1).stderr


def test_a_model_of_foreign_molecules_predicts_h_alone(tmp_path):
    """PySCF does not know its basis, so no overlap and no levels."""
    made = [wb.reference(atoms, basis="sto-3g", xc="hf") for atoms in shaken(6)]
    foreign = [
        wb.from_arrays(m.atoms, m.H.dense(), m.S.dense(), {"O": (0, 0, 1), "H": (0,)}, "m")
        for m in made
    ]
    splits = {"train": range(4), "valid": [4], "test": [5]}
    wb.write_dataset(tmp_path / "own.h5", foreign, splits)
    small = ("channels=4", "layers=1", "readout=8", "pair_readout=8", "guess=none")
    settings = [word for setting in small for word in ("--set", setting)]
    run_folder = tmp_path / "run"
    numbers_of(
        *("train", tmp_path / "own.h5", "--out", run_folder, "--stage1", 0, "--stage2", "none"),
        *settings,
    )
    found = numbers_of("predict", "water", "--model", run_folder / "model.safetensors")
    assert "levels_ev" not in found
    assert "also need the overlap" in found["note"]


def shaken(count):
    for seed in range(count):
        atoms = wb.load("water")
        atoms.rattle(0.05, seed=seed)
        yield atoms
