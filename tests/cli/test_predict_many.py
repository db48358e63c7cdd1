"""`predict --index :`: all structures of a file, one at a time, beside bad ones; resumed."""

import json
import os
import random
import shutil

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import refusal, run
from tests.support.faults import killed_after
from workbench.cli.exit_codes import ExitCode

WATER = "3\n{}\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 {:.2f}\n"


@pytest.fixture
def trajectory(tmp_path):
    """Ten waters; in structure 3 two atoms are on top of each other, structure 7 has carbon."""
    frames = [WATER.format(f"step {k}", k / 100) for k in range(10)]
    frames[3] = frames[3].replace("0.96", "0.01")
    frames[7] = frames[7].replace("O 0", "C 0")
    path = tmp_path / "run.xyz"
    path.write_text("".join(frames))
    return path


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.xyz"
    path.write_text("".join(WATER.format("", k / 100) for k in range(4)))
    return path


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_structure_is_a_line_of_json_and_bad_ones_are_counted_and_listed(trajectory):
    result = run("predict", trajectory, "--index", ":", "--json")
    assert result.exit_code == ExitCode.WRONG_INPUT
    found = rows(result)
    assert [row["structure"] for row in found] == list(range(10))
    assert {row["structure"] for row in found if "error" in row} == {3, 7}
    assert found[3]["error"].startswith("Structure 3 of run.xyz: O1 and H2 are 0.010 A apart")
    assert "orbitals for H, O, not C" in found[7]["error"]
    assert "2 of 10 structures are not predicted: 3, 7. The others are done." in result.stderr
    model = wb.load_model("water")
    for number in (0, 9):
        atoms = wb.load(trajectory, index=number)
        H, S = model(atoms), wb.overlap(atoms, model.basis)
        assert found[number]["gap_ev"] == pytest.approx(wb.gap(H, S, 10), abs=1e-5)


def test_a_slice_is_printed_as_lines_and_a_pipe_sees_no_bar(trajectory):
    result = run("predict", trajectory, "--index", "::5")
    assert result.exit_code == 0, result.output
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        ["0", "H2O", "gap"],
        ["5", "H2O", "gap"],
    ]
    assert "%" not in result.stderr
    assert "it/s" not in result.stderr
    assert len(rows(run("predict", trajectory, "--index", "4:7", "--json"))) == 3
    assert "gap_ev" in run("predict", trajectory, "--index", "4").stdout


def test_a_folder_gets_a_file_each_and_a_repeated_command_predicts_what_is_missing(good, tmp_path):
    out = tmp_path / "predicted"
    words = ("predict", good, "--index", ":", "--json", "--out", out)
    first = rows(run(*words))
    names = [f"{k:06d}.npz" for k in range(4)]
    assert sorted(set(os.listdir(out)) - {"lock"}) == names
    with np.load(out / names[2]) as arrays:
        atoms = wb.load(good, index=2)
        np.testing.assert_array_equal(arrays["positions"], atoms.positions)
        H = wb.load_model("water")(atoms)
        np.testing.assert_allclose(arrays["refined"], H.dense(), atol=1e-5)
    (out / names[1]).unlink()
    times = {name: (out / name).stat().st_mtime_ns for name in names if name != names[1]}
    again = rows(run(*words))
    assert [row.get("kept", False) for row in again] == [True, False, True, True]
    assert [row["gap_ev"] for row in again] == pytest.approx([row["gap_ev"] for row in first])
    assert times == {name: (out / name).stat().st_mtime_ns for name in times}


def test_files_of_other_structures_or_models_are_replaced_only_when_asked(good, tmp_path):
    out = tmp_path / "predicted"
    words = ("predict", good, "--index", "0:2", "--out", out)
    assert run(*words).exit_code == 0
    before = (out / "000000.npz").read_bytes()
    other = (*words, "--model", "organic")
    assert "000000.npz exists: choose another name, or replace" in refusal(*other)
    assert (out / "000000.npz").read_bytes() == before
    assert run(*other, "--overwrite").exit_code == 0
    with np.load(out / "000000.npz") as arrays:
        assert json.loads(str(arrays["about"]))["model"] == "organic"


def test_all_structures_become_one_dataset(trajectory, tmp_path):
    out = tmp_path / "all.h5"
    result = run("predict", trajectory, "--index", ":", "--out", out)
    assert result.exit_code == ExitCode.WRONG_INPUT
    with wb.Dataset(out) as data:
        data.verify()
        assert len(data) == 8
        assert data.groups.tolist() == [0, 1, 2, 4, 5, 6, 8, 9]  # the numbers in the file
        sample = data[3]
        H = wb.load_model("water")(wb.load(trajectory, index=4))
        assert (sample.H - H).max_abs() < 1e-4
        assert sample.n_electrons == 10
        with pytest.raises(ValueError, match="has no split 'test'; it has none"):
            data.split("test")
    assert "exists: choose another name" in refusal(
        "predict", trajectory, "--index", ":", "--out", out
    )
    shutil.copy(trajectory, tmp_path / "run.h5")
    same = ("predict", tmp_path / "run.h5", "--index", ":", "--out", tmp_path / "run.h5")
    assert run(*same, "--overwrite").exit_code == ExitCode.WRONG_INPUT
    assert (tmp_path / "run.h5").read_bytes() == trajectory.read_bytes()


def test_what_is_for_one_structure_is_refused_for_many(good, tmp_path):
    for words in (
        ("--bands", tmp_path / "a.png"),
        ("--deeph", tmp_path / "a"),
        ("--warm-start", tmp_path / "a.npy"),
        ("--overlap", tmp_path / "a.npz"),
        ("--check",),
        ("--properties",),
    ):
        assert "are for one structure" in refusal("predict", good, "--index", ":", *words)
    one = refusal("predict", good, "--index", ":", "--out", tmp_path / "a.npz")
    assert "would hold one structure, and : asks for several: name a folder" in one
    assert "none is in the index 7:9" in refusal("predict", good, "--index", "7:9")
    assert "give a number from 0, or a slice" in refusal("predict", good, "--index", "a")
    assert "give a number from 0, or a slice" in refusal("predict", good, "--index", "a:")


def test_warnings_are_with_their_structure_and_once_in_words(tmp_path):
    path = tmp_path / "radicals.xyz"
    path.write_text("2\ncharge=0 spin=1\nO 0 0 0\nH 0 0 0.97\n" * 3)
    result = run("predict", path, "--index", ":", "--json", "--model", "organic")
    assert result.exit_code == 0, result.output
    for row in rows(result):
        assert "trained on closed shells" in row["warnings"][0]
        assert row["gap_ev"] is None
    said = run("predict", path, "--index", ":", "--model", "organic").stderr
    assert said.count("Warning: ") == 1
    assert "Warning: 3 of 3: 0, 1, 2. " in said


def test_kills_leave_complete_files_only_and_the_command_completes_them(good, tmp_path):
    rng, out = random.Random(0), tmp_path / "predicted"
    words = ("predict", good, "--index", ":", "--json", "--out", out)
    for _ in range(3):
        killed_after(0.1 + 0.3 * rng.random(), lambda: run(*words))
        for path in out.glob("[0-9]*"):
            with np.load(path) as arrays:
                assert arrays["refined"].shape == (24, 24)
    assert len(rows(run(*words))) == 4
    assert sorted(os.listdir(out)) == [f"{k:06d}.npz" for k in range(4)]
