"""`predict` of one structure: its overlap, levels, bands and files, also on faulty disks."""

import hashlib
import json
import os
import shutil

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.io.jsonio import read_json

import workbench as wb
from tests.support.command_line import numbers_of, refusal, run
from tests.support.crystal import integrals, quickly_trained
from tests.support.faults import command_in_a_copy, limit_files, small_disk
from tests.support.gpaw import needs_gpaw
from workbench.cli.exit_codes import ExitCode
from workbench.datasets.dataset import Sample
from workbench.datasets.formats import deeph, deeph_present
from workbench.datasets.writing import write
from workbench.engines import gpaw_lcao
from workbench.hamiltonians.bands import LEAST, energies_at
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.checkpoint import save_model
from workbench.storage.bundled import data_path

PREDICT = ("predict", "water", "--json")
OPTIONS = ("--out", "--warm-start")
GTH = "gth-szv-molopt-sr"


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


@pytest.mark.parametrize("layout", ["older", "present"])
def test_a_folder_with_an_overlap_is_predicted_and_written(layout, tmp_path):
    """A crystal of another program: its overlap goes in, the predicted H comes out beside it."""
    module, matrix = {
        "older": (deeph, "hamiltonians.h5"),
        "present": (deeph_present, "hamiltonian.h5"),
    }[layout]
    with wb.Dataset("graphene") as data:
        sample = data[0]
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


# ---- crystals ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sheet_file(tmp_path_factory):
    """A sheet of two atoms as a file, with its sample in the basis of mg-mini."""
    with wb.Dataset("graphene") as data:
        sample = data[0]
    path = tmp_path_factory.mktemp("sheet") / "sheet.extxyz"
    ase.io.write(path, sample.atoms)
    return path, sample


def test_without_an_overlap_h_alone_is_written_and_said_what_is_missing(sheet_file, tmp_path):
    found = numbers_of("predict", sheet_file[0], "-m", "mg-mini", "--out", tmp_path / "H.npz")
    if not gpaw_lcao.available():
        assert "the overlap (GPAW is not installed: " in found["note"]
        assert "give it with --overlap" in found["note"]
        assert "fermi_level_ev" not in found
        bands = ("predict", sheet_file[0], "-m", "mg-mini", "--bands", tmp_path / "bands.png")
        assert "Bands need the overlap, and there is none (GPAW" in refusal(*bands)
    with np.load(tmp_path / "H.npz") as arrays:
        np.testing.assert_array_equal(arrays["positions"], wb.load(sheet_file[0]).positions)
        assert arrays["refined"].shape[0] == found["blocks"]
        about = json.loads(str(arrays["about"]))
    assert about["units"] == {"hamiltonian": "eV", "overlap": "1", "positions": "Angstrom"}
    assert about["model"] == "mg-mini"
    file = data_path("checkpoints", "mg-mini.safetensors").read_bytes()
    assert about["model_sha256"] == hashlib.sha256(file).hexdigest()


@pytest.mark.parametrize(
    ("structure", "model"),
    [
        ("graphene", "mg-mini"),
        ("bilayer-graphene", "bg-mini"),
        ("mos2", "mm-mini"),
        ("bilayer-bismuthene", "bb-mini"),
        ("bi2te3", "bt-mini"),
        ("bi2se3", "bs-mini"),
    ],
)
def test_each_bundled_crystal_is_predicted(structure, model):
    found = numbers_of("predict", structure, "--model", model)
    atoms = wb.load(structure)
    trained = wb.load_model(model)
    each = sum(trained.basis.n_orbitals(int(z)) for z in atoms.numbers)
    assert found["orbitals"] == each * (2 if trained.basis.spinor else 1)
    assert found["blocks"] > len(atoms) ** 2
    assert "levels_ev" not in found
    assert ("note" in found) != gpaw_lcao.available()


@needs_gpaw
def test_gpaw_gives_the_overlap_of_a_bundled_crystal(sheet_file, tmp_path):
    found = numbers_of("predict", sheet_file[0], "-m", "mg-mini", "--out", tmp_path / "H.npz")
    assert found["electrons"] == sheet_file[1].n_electrons
    assert found["fermi_level_ev"] == pytest.approx(sheet_file[1].fermi_level, abs=0.05)


def test_the_overlap_of_a_file_gives_fermi_level_and_bands(sheet_file, tmp_path):
    """From a dataset; from our own arrays; from folders of DeepH in both layouts."""
    path, sample = sheet_file
    words = ("predict", path, "--model", "mg-mini", "--points", 5, "--path", "GM")
    first = numbers_of(
        *words,
        *("--overlap", data_path("datasets", "graphene.h5"), "--out", tmp_path / "H.npz"),
        *("--bands", tmp_path / "a.csv", "--bands", tmp_path / "a.json"),
    )
    assert first["fermi_level_ev"] == pytest.approx(sample.fermi_level, abs=0.02)
    assert first["electrons"] == sample.n_electrons == 8
    table = np.genfromtxt(tmp_path / "a.csv", delimiter=",", skip_header=1)
    H = wb.load_model("mg-mini")(sample.atoms)
    for row in table[[0, -1]]:
        expected = energies_at(H, sample.S, row[:3], least=LEAST)[:20]
        np.testing.assert_allclose(row[5:25], expected, atol=1e-5)
    kept = read_json(tmp_path / "a.json")
    np.testing.assert_allclose(kept.energies[0], table[:, 5:], atol=1e-6)
    assert kept.reference == pytest.approx(first["fermi_level_ev"])
    assert [point[4] for point in csv_rows(tmp_path / "a.csv")[1::4]] == ["G", "M"]
    deeph.write(tmp_path / "old", sample.atoms, sample.H, sample.S)
    deeph_present.write(tmp_path / "new", sample.atoms, sample.H, sample.S)
    for name in ("H.npz", "old", "new"):
        again = ("--overlap", tmp_path / name, "--electrons", 8, "--bands", tmp_path / "b.csv")
        found = numbers_of(*words, *again, "--overwrite")
        assert found["fermi_level_ev"] == pytest.approx(first["fermi_level_ev"], abs=1e-6)
        bands = np.genfromtxt(tmp_path / "b.csv", delimiter=",", skip_header=1)
        np.testing.assert_allclose(bands[:, 5:], table[:, 5:], atol=1e-4)


def csv_rows(path):
    return [line.split(",") for line in path.read_text().splitlines()]


def test_an_overlap_of_another_structure_or_kind_is_refused(sheet_file, tmp_path):
    path, sample = sheet_file
    words = ("predict", path, "--model", "mg-mini", "--overlap")
    moved = sample.atoms.copy()
    moved.positions[0, 0] += 0.01
    deeph.write(tmp_path / "moved", moved, sample.H, sample.S)
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name, says in {
        "moved": "is of another structure than the one to predict",
        data_path("datasets", "mg-mini.h5"): "is of another structure",
        "text.npz": "holds no overlap that is read here",
        "other.npz": "has no array 'about': write it with `predict --out`",
        "none.h5": "There is no file",
    }.items():
        assert says in refusal(*words, tmp_path / name)
    water = ("predict", "water", "--out", tmp_path / "water.npz")
    assert run(*water).exit_code == 0
    assert "is of another structure" in refusal(*words, tmp_path / "water.npz")
    mixed = ("predict", tmp_path / "moved", "--model", "mg-mini", "--overlap", tmp_path / "moved")
    assert "has an overlap itself" in refusal(*mixed)


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_bands_are_drawn(ending, start, sheet_file, tmp_path):
    picture = tmp_path / f"bands.{ending}"
    overlap = ("--overlap", data_path("datasets", "graphene.h5"), "--points", 3)
    found = numbers_of("predict", sheet_file[0], "-m", "mg-mini", *overlap, "--bands", picture)
    assert found["bands"] == [str(picture)]
    content = picture.read_bytes()
    assert content.startswith(start)
    assert len(content) > 5000


def test_bands_that_cannot_be_are_refused_before_the_prediction(sheet_file, tmp_path):
    overlap = ("--overlap", data_path("datasets", "graphene.h5"))
    words = ("predict", sheet_file[0], "-m", "mg-mini", *overlap, "--bands")
    assert "let it end with .png, .svg" in refusal(*words, tmp_path / "bands.txt")
    assert "omit --bands" in refusal("predict", "water", "--bands", tmp_path / "bands.png")
    wrong = refusal(*words, tmp_path / "bands.png", "--path", "GQX")
    assert "ASE has no path GQX in this cell" in wrong
    (tmp_path / "kept.png").write_text("kept")
    assert "exists: choose another name" in refusal(*words, tmp_path / "kept.png")
    assert os.listdir(tmp_path) == ["kept.png"]


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """A model of chains in PySCF's basis of crystals; their Hamiltonian is the kinetic energy."""
    folder = tmp_path_factory.mktemp("chains")

    def sample(seed):
        atoms = Atoms("C2", [[0.3, 3.2, 3.3], [1.6, 3.4, 3.2]], cell=[2.6, 6.5, 6.5])
        atoms.pbc = (True, False, False)
        atoms.rattle(0.03, seed=seed)
        T, S = (integrals(atoms, f"int1e_{kind}", GTH, 6.0) for kind in ("kin", "ovlp"))
        return Sample(atoms, T * HARTREE, float("nan"), 8, seed, S)

    method = {"program": "PySCF", "basis": GTH, "pseudopotential": "gth-pbe", "functional": "pbe"}
    splits = {"train": [0, 1, 2], "valid": [3], "test": [4]}
    write(folder / "a.h5", map(sample, range(5)), splits, {"recipe": {"method": method}})
    config = wb.ModelConfig(channels=6, layers=1, readout=12, pair_readout=12, guess="none")
    model = quickly_trained(config, folder / "a.h5")
    save_model(model, folder / "a.safetensors", {"method": method})
    ase.io.write(folder / "chain.extxyz", sample(4).atoms)
    return folder, sample(4)


def test_pyscf_gives_the_overlap_of_its_crystals(chains, tmp_path):
    folder, sample = chains
    words = ("predict", folder / "chain.extxyz", "--model", folder / "a.safetensors")
    found = numbers_of(*words, "--out", tmp_path / "H.npz", "--bands", tmp_path / "bands.csv")
    assert found["electrons"] == 8
    assert "note" not in found
    with np.load(tmp_path / "H.npz") as arrays:
        expected = sample.S.over(arrays["edges"], arrays["shifts"])
        near = np.abs(arrays["shifts"][:, 0]) <= 1
        assert np.abs(arrays["overlap"] - expected)[near].max() < 5e-4  # tails
    table = np.genfromtxt(tmp_path / "bands.csv", delimiter=",", skip_header=1)
    H = wb.load_model(folder / "a.safetensors")(sample.atoms)
    expected = energies_at(H, sample.S, table[7, :3], least=LEAST)
    np.testing.assert_allclose(table[7, 5:9], expected[:4], atol=0.05)


def test_a_prediction_becomes_a_dataset(sheet_file, tmp_path):
    path, sample = sheet_file
    overlap = ("--overlap", data_path("datasets", "graphene.h5"))
    numbers_of("predict", path, "-m", "mg-mini", *overlap, "--out", tmp_path / "H.h5")
    with wb.Dataset(tmp_path / "H.h5") as data:
        data.verify()
        (one,) = data
        assert data.provenance["predicted_by"]["model"] == "mg-mini"
        assert data.method["functional"] == "pbe"
    assert (one.H - wb.load_model("mg-mini")(sample.atoms)).max_abs() <= 1e-6
    assert (one.S - sample.S).max_abs() < 1e-12
    assert one.n_electrons == 8
    assert one.fermi_level == pytest.approx(sample.fermi_level, abs=0.02)


# ---- molecules -----------------------------------------------------------------------------------


def test_an_open_shell_is_said_to_be_none_that_the_model_knows(tmp_path):
    """Triplet methylene and oxygen; a radical has no closed shell, and so no gap."""
    for name in ("CH2_s3B1d", "O2", "OH"):
        result = run("predict", name, "--model", "organic", "--json")
        assert result.exit_code == 0, result.output
        assert "unpaired electrons, but the model was trained on closed shells" in result.stderr
        assert result.stderr.startswith("Warning: ")
        found = json.loads(result.stdout)
        assert (found["gap_ev"] is None) == (name == "OH")
    assert "closed shells" not in run("predict", "CH2_s1A1d", "--model", "organic").stderr


def test_a_molecule_in_a_box_of_deeph_has_levels_and_no_bands(tmp_path):
    water = wb.reference(wb.load("water"), basis="def2-svp")
    deeph.write(tmp_path / "box", water.atoms, water.H, water.S)
    found = numbers_of("predict", tmp_path / "box", "--model", "water", "--electrons", 10)
    assert found["gap_ev"] == pytest.approx(wb.gap(water.H, water.S, 10), abs=0.05)
    assert len(found["levels_ev"]) == 24
    assert "blocks" not in found
    assert "it must be at least 1" in refusal(
        "predict", "water", "--electrons", 0, "--out", tmp_path / "a"
    )
