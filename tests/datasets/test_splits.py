"""Splitting by molecule: the bundled collection, jobs over it, and what they refuse."""

import csv
import gzip
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.datasets.dataset import Dataset
from workbench.datasets.labelling import label
from workbench.datasets.splits import split_in_order
from workbench.storage.bundled import data_path
from workbench.structures.loading import (
    StructureError,
    collection,
    collection_names,
    load,
    require_closed_shell,
    validate,
)
from workbench.structures.sampling import Displaced, Langevin, RelaxedAndThermal, bonded

TINY = {"sampling": Displaced(), "basis": "sto-3g", "xc": "hf", "progress": False}
BY_SPLIT = {"train": ["HF", "H2"], "test": ["H2O"]}
SPLITS = {"train": 4, "test": 3}
JOB = """
import sys
from workbench.structures.sampling import Displaced
from workbench.datasets.labelling import label
label({"train": ["HF", "H2"], "test": ["H2O"]}, sys.argv[1], {"train": 4, "test": 3},
      sampling=Displaced(), basis="sto-3g", xc="hf", progress=False)
"""
SHORT = Langevin(interval_fs=10, equilibration_fs=10, timestep_fs=1.0)
needs_rdkit = pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="needs RDKit")


# ---- the collection ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def organic():
    return collection("organic")


def test_the_collection_has_its_splits(organic):
    assert collection_names() == ["familiar", "organic"]
    sizes = {split: len(structures) for split, structures in organic.items()}
    assert list(sizes) == ["train", "valid", "test"]
    assert sizes["train"] >= 650
    assert sizes["valid"] >= 75
    assert sizes["test"] >= 110


def test_no_molecule_is_in_two_splits(organic):
    keys = [atoms.info["key"] for structures in organic.values() for atoms in structures]
    assert len(set(keys)) == len(keys)


def test_every_structure_is_a_small_organic_closed_shell(organic):
    for atoms in (atoms for structures in organic.values() for atoms in structures):
        validate(require_closed_shell(atoms))
        assert set(atoms.symbols) <= set("HCNOF")
        assert 1 <= (atoms.numbers > 1).sum() <= 9
        assert (atoms.info["charge"], atoms.info["spin"]) == (0, 0)
        np.testing.assert_allclose(atoms.get_center_of_mass(), 0, atol=1e-3)


def test_the_splits_cover_all_sizes(organic):
    for structures in organic.values():
        heavy = {int((atoms.numbers > 1).sum()) for atoms in structures}
        assert heavy >= set(range(3, 10))


def test_the_table_agrees_with_the_structures(organic):
    with data_path("structures", "organic.csv").open() as file:
        table = {row["key"]: row for row in csv.DictReader(file)}
    assert len(table) == sum(map(len, organic.values()))
    for split, structures in organic.items():
        for atoms in structures:
            row = table[atoms.info["key"]]
            assert (row["split"], row["smiles"]) == (split, atoms.info["smiles"])
            assert int(row["heavy_atoms"]) == (atoms.numbers > 1).sum()


def test_familiar_molecules_are_in_no_other_collection(organic):
    familiar = collection("familiar")
    assert {split: len(structures) for split, structures in familiar.items()} == {"test": 40}
    known = {atoms.info["key"] for structures in organic.values() for atoms in structures}
    for atoms in familiar["test"]:
        validate(require_closed_shell(atoms))
        assert 8 <= len(atoms) <= 35
        assert atoms.info["key"] not in known
    with Dataset("familiar") as labelled:
        assert [labelled.atoms(i).get_chemical_formula() for i in range(40)] == [
            atoms.get_chemical_formula() for atoms in familiar["test"]
        ]


@needs_rdkit
def test_the_bonds_are_those_of_the_smiles(organic):
    from rdkit import Chem

    for atoms in (atoms for structures in organic.values() for atoms in structures):
        mol = Chem.AddHs(Chem.MolFromSmiles(atoms.info["smiles"]))
        assert [a.GetSymbol() for a in mol.GetAtoms()] == list(atoms.symbols)
        assert np.array_equal(Chem.GetAdjacencyMatrix(mol), bonded(atoms))


@needs_rdkit
def test_tautomers_stay_together_by_another_opinion_as_well(organic):
    from rdkit import Chem
    from rdkit.Chem import rdMolHash

    split_of = defaultdict(set)
    for split, structures in organic.items():
        for atoms in structures:
            mol = Chem.MolFromSmiles(atoms.info["smiles"])
            kind = rdMolHash.HashFunction.HetAtomTautomerv2
            split_of[rdMolHash.MolHash(mol, kind)].add(split)
    assert {len(splits) for splits in split_of.values()} == {1}


def test_an_unknown_collection_is_a_sentence():
    with pytest.raises(StructureError, match="called 'inorganic': choose familiar, organic"):
        collection("inorganic")


# ---- jobs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return label(BY_SPLIT, tmp_path_factory.mktemp("labels") / "a.h5", SPLITS, **TINY)


def test_each_split_holds_its_own_structures(undisturbed):
    with Dataset(undisturbed) as ds:
        formulas = {s: [ds.atoms(i).get_chemical_formula() for i in ds.split(s)] for s in ds.splits}
        described = ds.provenance["recipe"]["structures"]
    assert formulas == {"train": ["HF"] * 4 + ["H2"] * 4, "test": ["H2O"] * 3}
    assert [d["split"] for d in described] == ["train", "train", "test"]


def test_a_killed_job_ends_with_the_same_bytes(undisturbed, tmp_path):
    out, work = tmp_path / "b.h5", tmp_path / "b.h5.partial"
    process = subprocess.Popen([sys.executable, "-c", JOB, out])
    deadline = time.monotonic() + 60
    while len(list(work.glob("label-*.npz"))) < 3 and process.poll() is None:
        assert time.monotonic() < deadline, "the job makes no progress"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    label(BY_SPLIT, out, SPLITS, **TINY)
    assert out.read_bytes() == undisturbed.read_bytes()


def test_other_splits_of_structures_than_of_samples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="in the splits train, test, the numbers of samples in a"):
        label(BY_SPLIT, tmp_path / "a.h5", {"a": 1}, **TINY)
    assert not list(tmp_path.iterdir())


def test_the_command_takes_a_collection_with_its_splits(tmp_path, monkeypatch):
    folder = tmp_path / "structures"
    folder.mkdir()
    frame = '{n}\nProperties=species:S:1:pos:R:3 split={s} pbc="F F F"\n{atoms}'
    hf = frame.format(n=2, s="train", atoms="H 0 0 0\nF 0 0 0.93\n")
    h2 = frame.format(n=2, s="test", atoms="H 0 0 0\nH 0 0 0.74\n")
    (folder / "pair.extxyz.gz").write_bytes(gzip.compress((hf + h2).encode()))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    command = ["label", "pair", "--out", tmp_path / "pair.h5", "--basis", "sto-3g", "--xc", "hf"]
    command += ["--sigma", "0.05", "--processes", "1", "--test", "2"]
    done = CliRunner().invoke(app, [str(word) for word in command])
    assert done.exit_code == 0, done.output
    with Dataset(tmp_path / "pair.h5") as ds:
        assert {s: len(ds.split(s)) for s in ds.splits} == {"train": 3, "test": 2}


# ---- the sampling --------------------------------------------------------------------------------


def test_the_given_geometry_comes_first_and_thermal_ones_follow():
    pytest.importorskip("tblite")
    water = load("water")
    first, again = (
        RelaxedAndThermal(SHORT).draw(water, 3, np.random.default_rng(0)) for _ in range(2)
    )
    assert np.array_equal(first[0].positions, water.positions)
    moved = [np.abs(f.positions - water.positions).max() for f in first[1:]]
    assert min(moved) > 0.01
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(first, again, strict=True))
    [only] = RelaxedAndThermal(SHORT).draw(water, 1, np.random.default_rng(0))
    assert np.array_equal(only.positions, water.positions)


def test_a_molecule_that_comes_apart_is_a_sentence():
    pytest.importorskip("tblite")
    hot = Langevin(temperature_K=50000, interval_fs=40, equilibration_fs=0, timestep_fs=0.5)
    with pytest.raises(StructureError, match="H2 does not keep its bonds at 50000 K: lower"):
        RelaxedAndThermal(hot).draw(load("H2"), 2, np.random.default_rng(0))


def test_bonds_are_seen_where_they_are():
    assert bonded(load("ethanol")).sum() == 2 * 8
    assert not bonded(Atoms("HeHe", [[0, 0, 0], [0, 0, 2]])).any()


def test_all_structures_of_one_formula_are_in_one_split():
    names = ["water", "ethanol", "ammonia", "benzene", "CH4"]
    structures = [load(name) for name in names for _ in range(20)]
    shares = {"train": 0.6, "valid": 0.2, "test": 0.2}
    seen = set()
    for seed in range(20):
        parts = split_in_order(structures, shares, np.random.default_rng(seed))
        assert {name: len(part) for name, part in parts.items()} == {
            "train": 60,
            "valid": 20,
            "test": 20,
        }
        formulas = [{a.get_chemical_formula() for a in part} for part in parts.values()]
        assert sum(map(len, formulas)) == len(names)
        seen.add(tuple(sorted(formulas[2])))
    assert len(seen) > 2  # drawn at random
