"""A benchmark from a DeepH download to the table of the literature, and what its columns mean."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, run
from tests.support.crystal import integrals, sheet, spin_orbit
from workbench.datasets.conversion import export_files
from workbench.datasets.dataset import Sample
from workbench.datasets.published_sets import SYSTEMS, benchmark_system
from workbench.datasets.writing import write
from workbench.evaluation.literature_columns import block_errors, challenging
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.conventions import HARTREE

SIZES = "channels=4 layers=1 radial=6 readout=8 pair_readout=8 lmax=2 refiner_width=8"
SIZES += " refiner_heads=2 refiner_layers=1 batch_size=2"
SMALL = [word for size in SIZES.split() for word in ("--set", size)]
BRIEF = ["--stage1", "2", "--stage2", "2"]
ROOT = Path(__file__).parents[2]


def matrices(atoms):
    return (
        integrals(atoms, "int1e_kin", "sto-3g", 6.0) * HARTREE,
        integrals(atoms, "int1e_ovlp", "sto-3g", 6.0),
    )


def as_bismuth(matrix):
    """The same blocks under another element's name: the format knows shells, not orbitals."""
    basis = wb.Basis("deeph", {83: matrix.basis.shells[6]})
    return replace(matrix, basis=basis, numbers=0 * matrix.numbers + 83)


def sample(seed, rattle, spinor):
    """Kinetic energies of a shaken sheet; for spinors also a coupling of each atom's spin."""
    atoms = sheet()
    atoms.rattle(rattle, seed=seed)
    H, S = matrices(atoms)
    if spinor:
        H, S = (as_bismuth(m).with_spin() for m in (H, S))
        atoms.numbers[:] = 83
        H.values[: len(atoms)] += spin_orbit(H.basis, 0.3)
    level = float(np.median(energies_at(H, S, [0, 0, 0])))
    return Sample(atoms, H, float("nan"), 0, seed, S, level)


def folders(root, count, rattle=0.06, spinor=False, seed=0):
    """A download: that many structures, and below them, in `twisted`, two of another kind."""
    made = root.with_suffix(".h5")
    write(made, (sample(seed + k, rattle, spinor) for k in range(count)), {}, {})
    with wb.Dataset(made) as dataset:
        return export_files("deeph", dataset, root, progress=False)


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    root = tmp_path_factory.mktemp("download") / "graphene"
    folders(root, 10)
    folders(root / "twisted", 2, rattle=0.1, seed=100)
    return root


@pytest.fixture(scope="module")
def asked(download):
    return ["MG", "--data", download, "--twisted", download / "twisted", *BRIEF, *SMALL]


@pytest.fixture(scope="module")
def finished(asked, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "mg"
    return out, numbers_of("reproduce", *asked, "--out", out)


def test_a_download_becomes_the_literatures_columns(finished):
    out, report = finished
    assert report["splits"] == {"train": 6, "valid": 2, "test": 2, "twisted": 2}
    assert set(report["measured"]) == {"test", "twisted"}
    for found in report["measured"].values():
        for stage in ("baseline", "refined"):
            errors = found[stage]
            assert 0 < errors["mae_all_mev"] == errors["mae_mev"] <= errors["mae_cha_s_mev"]
            assert errors["mae_cha_s_where_baseline_is_worst_mev"] <= errors["mae_cha_s_mev"]
            assert errors["mae_cha_b_where_baseline_is_worst_mev"] <= errors["mae_cha_b_mev"]
            assert errors["band_structures"] == 2
            assert errors["band_mae_mev"] > 0
            assert 0 < errors["gauge_free_mae_mev"] != errors["mae_mev"]
            assert errors["aligned_band_mae_mev"] > 0
            assert errors["cha_b_block"].startswith("C ")
    assert report["literature"]["mae_all_mev"]["test"] == {"DeepH-E3": 0.25, "TraceGrad": 0.18}
    assert "not checked" in report["literature"]["note"]
    assert wb.load_model(out / "model.safetensors").config.guess == "none"


def test_no_structure_is_in_two_splits(finished, download):
    """Neither one of the draw nor a twisted one, though these lie below the others."""
    out, _ = finished
    with wb.Dataset(out / "dataset.h5") as dataset:
        numbers = np.concatenate([dataset.split(name) for name in dataset.splits])
        assert sorted(numbers) == list(range(12))
        assert len({dataset.positions(i).tobytes() for i in range(12)}) == 12
        assert len(set(dataset.groups)) == 12
        twisted = [dataset.provenance["folders"][i] for i in dataset.split("twisted")]
        assert twisted == ["0", "1"]
        assert dataset.provenance["split_seed"] == 0
        assert dataset.provenance["shares"] == dict(SYSTEMS["MG"].shares)
    assert (download / "twisted" / "0").is_dir()


def test_a_finished_run_is_not_done_again(finished, asked):
    out, report = finished
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert numbers_of("reproduce", *asked, "--out", out) == report
    for name in ("dataset.h5", "report.json"):
        assert (out / name).stat().st_mtime_ns == before[name]
    assert not (out / "dataset.h5.partial").exists()
    shown = run("reproduce", *asked, "--out", out)
    assert "DeepH-E3 (literature)" in shown.stdout
    assert "MAE_cha_s" in shown.stdout
    assert "aligned bands" in shown.stdout


def test_a_killed_run_goes_on_to_the_same_result(asked, tmp_path):
    words = [*asked, "--stage1", "60", "--set", "snapshot_seconds=0"]
    whole = numbers_of("reproduce", *words, "--out", tmp_path / "whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "workbench", "reproduce", *words, "--out", out]
    running = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    while running.poll() is None and not (out / "snapshot.safetensors").exists():
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (out / "report.json").exists()
    assert numbers_of("reproduce", *words, "--out", out)["measured"] == whole["measured"]


def test_a_broken_import_goes_on_where_it_stood(download, tmp_path):
    """What was read before is not read again, except where its files have changed."""
    root, work = tmp_path / "copy", tmp_path / "set.h5.partial"
    shutil.copytree(download, root)
    words = ["import", "deeph", root, "--out", tmp_path / "set.h5"]
    for name in ("5", "7"):
        with h5py.File(root / name / "hamiltonians.h5", "a") as file:
            file["[0, 0, 0, 1, 1]"][0, 1] += 1.0
    stamps = []
    for name in ("5", "7"):
        refused = run(*words)
        assert refused.exit_code == 2
        assert f"{name}: H is not hermitian" in refused.stderr
        stamps.append([part.stat().st_mtime_ns for part in sorted(work.iterdir())])
        shutil.copy(download / name / "hamiltonians.h5", root / name)
        (root / "1" / "info.json").touch()
    before, after = stamps
    assert (len(before), len(after)) == (5, 7)
    assert [k for k in range(5) if before[k] != after[k]] == [1]
    made = numbers_of(*words)
    assert not work.exists()
    undisturbed = numbers_of("import", "deeph", download, "--out", tmp_path / "other.h5")
    assert made == undisturbed | {"path": made["path"]}


def test_spin_orbit_coupling_goes_the_same_way(tmp_path):
    root = folders(tmp_path / "bismuthene", 6, spinor=True)
    words = ["--data", root, "--out", tmp_path / "run", *BRIEF, *SMALL]
    report = numbers_of("reproduce", "bb", *words, "--set", "pseudo_lmax=2")
    assert report["splits"] == {"train": 4, "valid": 1, "test": 1}
    assert report["spin_orbit"] is True
    errors = report["measured"]["test"]["refined"]
    assert errors["cha_b_block"].startswith("Bi ")
    assert errors["band_mae_mev"] > 0
    for code, part in (("MG", "without spin-orbit"), ("BT", "made of Bi and Te")):
        refused = run("reproduce", code, *words[:2], "--out", tmp_path / "none")
        assert refused.exit_code == 2
        assert part in refused.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("code", "words", "part"),
    [
        ("XY", [], "choose one of MG (monolayer graphene)"),
        ("BB", [], "with spin-orbit coupling"),
        ("MM", [], "made of Mo and S"),
        ("MG", ["--data", "nowhere"], "No folder of the DeepH format"),
        ("MG", ["--twisted", "nowhere"], "No folder of the DeepH format"),
        ("MG", ["--data", "{}/twisted"], "too few to split"),
        ("MG", ["--twisted", "{}"], "none is left"),
        ("MG", ["--stage1", "soon"], "soon"),
        ("MG", ["--set", "colour=1"], "colour"),
    ],
)
def test_what_cannot_be_reproduced_says_so(code, words, part, download, tmp_path):
    words = [word.format(download) for word in words]
    result = run("reproduce", code, "--data", download, "--out", tmp_path / "run", *words)
    assert result.exit_code == 2
    assert part in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_download_is_left_alone(finished, asked):
    out, _ = finished
    result = run("reproduce", *asked, "--seed", 1, "--out", out)
    assert result.exit_code == 2
    assert "another download or seed" in result.stderr


# ---- what the columns mean -----------------------------------------------------------------------


BASIS = wb.Basis("toy", {1: (0,), 6: (0, 0, 1)})


def constructed(errors):
    """A zero matrix of C and H, and one that differs in the given elements of `dense`, eV."""
    zero = wb.BlockMatrix.from_dense(BASIS, [6, 1], np.zeros((6, 6)))
    dense = np.zeros((6, 6))
    for place, value in errors.items():
        dense[place] = dense[place[::-1]] = value
    return zero, wb.BlockMatrix.from_dense(BASIS, [6, 1], dense)


def test_blocks_are_those_of_two_shells():
    """C has the orbitals s, s, p, p, p and H one s: the padded layout is s, s, p."""
    found = block_errors(*constructed({(0, 0): 0.004, (1, 3): -0.003, (2, 5): 0.006}))
    assert found.shape == (2, 2, 3, 3)
    hydrogen, carbon = 0, 1
    np.testing.assert_allclose(found[carbon, carbon, 0], [4, 0, 0])
    np.testing.assert_allclose(found[carbon, carbon, 1], [0, 0, 3 / 3])
    np.testing.assert_allclose(found[carbon, hydrogen, :, 0], [0, 0, 6 / 3])
    np.testing.assert_allclose(found[hydrogen, carbon, 0], [0, 0, 6 / 3])
    np.testing.assert_array_equal(np.isnan(found[hydrogen, hydrogen]).sum(), 8)
    assert np.isnan(found[carbon, hydrogen, 0, 1])


def test_blocks_of_spinors_hold_all_spins():
    basis = replace(BASIS, spinor=True)
    a = wb.BlockMatrix.from_dense(basis, [1], np.zeros((2, 2), dtype=complex))
    b = wb.BlockMatrix.from_dense(basis, [1], np.array([[0.001, 0.003j], [-0.003j, 0.001]]))
    assert block_errors(a, b)[0, 0, 0, 0] == pytest.approx((1 + 3 + 3 + 1) / 4)


def test_the_most_challenging_structure_and_block_in_both_readings():
    """The baseline is worst in structure 1 and at block (0, 1), the model in 0 and (0, 0)."""
    nan = float("nan")
    baseline = [1.0, 5.0], [np.array([[1.0, 2.0, nan]]), np.array([[3.0, 8.0, nan]])]
    model = [0.9, 0.4], [np.array([[0.9, 0.1, nan]]), np.array([[0.5, 0.3, nan]])]
    hardest = challenging(*baseline)
    assert (hardest.structure, hardest.structure_mae) == (1, 5.0)
    assert (hardest.block, hardest.block_mae) == ((0, 1), 5.0)
    own, shared = challenging(*model), challenging(*model, hardest)
    assert (own.structure_mae, own.block, own.block_mae) == (0.9, (0, 0), pytest.approx(0.7))
    assert (shared.structure_mae, shared.block_mae) == (0.4, pytest.approx(0.2))


# ---- the table of the small sets -----------------------------------------------------------------


def test_the_six_are_those_of_the_literature():
    assert list(SYSTEMS) == ["MG", "MM", "BG", "BB", "BT", "BS"]
    assert [code for code, s in SYSTEMS.items() if s.spin_orbit] == ["BB", "BT", "BS"]
    assert benchmark_system("bt").mini == "bt-mini"
    for system in SYSTEMS.values():
        assert sum(system.shares.values()) == pytest.approx(1)


def test_small_sets_that_are_bundled_are_measured(finished, tmp_path):
    out, report = finished
    for kind, name in (("datasets", "dataset.h5"), ("checkpoints", "model.safetensors")):
        (tmp_path / kind).mkdir()
        shutil.copy(out / name, (tmp_path / kind / "mg-mini").with_suffix(Path(name).suffix))
    (tmp_path / "datasets" / "mg-mini.md").write_text("| noise floor, meV | 0.0123 |\n")
    environment = {**os.environ, "WORKBENCH_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "benchmarks" / "six_sets.py"]
    done, raw = (
        subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, check=True
        )
        for more in ([], ["--raw"])
    )
    assert done.stdout.count("not shipped") == 5
    assert "noise of the labels" in done.stdout
    assert "0.0123" in done.stdout
    shown = report["measured"]["test"]["refined"]["mae_all_mev"]
    assert f"{shown:.3g}" in done.stdout
    free = report["measured"]["test"]["refined"]["gauge_free_mae_mev"]
    assert f"{free:.3g}" in done.stdout
    assert "without gauge" not in raw.stdout
    assert f"{shown:.3g}" in raw.stdout
