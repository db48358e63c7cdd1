"""QH9, nablaDFT and SchNOrb's MD17: what all three formats must do, on files in their layout."""

import random
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.support import published_sets as sets
from tests.support.command_line import numbers_of, run
from tests.support.faults import killed_after
from tests.support.fuzzing import fault_of, faults
from tests.support.mutants import count, mutants
from workbench.datasets.conversion import FORMATS, import_files
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError
from workbench.engines.dispatch import again

WRITERS = {
    "qh9": sets.qh9_stable,
    "nabladft": lambda path, found: sets.nabladft(path, list(enumerate(found))),
    "schnorb": sets.schnorb,
}
LOST = {"qh9": 1e-5, "nabladft": 5e-5, "schnorb": 5e-5}
"""Largest rounding of an element of H, eV: float64, float32, and six digits of ORCA."""

each = pytest.mark.parametrize("form", WRITERS)


def read_all(form, path):
    found = FORMATS[form].find([path])
    return [FORMATS[form].read(source, "def2-svp") for source, _ in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one database of each set."""
    root = tmp_path_factory.mktemp("published")
    for form, writer in WRITERS.items():
        writer(root / f"{form}.db", sets.calculations())
    return root


@each
def test_matrices_are_those_of_the_workbench(form, folder):
    found = read_all(form, folder / f"{form}.db")
    for foreign, atoms in zip(found, sets.structures(), strict=True):
        mine = wb.reference(atoms, xc="hf")
        assert (foreign.H - mine.H).max_abs() < LOST[form]
        assert foreign.S is None or (foreign.S - mine.S).max_abs() < 1e-6
        assert np.abs(foreign.atoms.positions - atoms.positions).max() < 1e-6
        assert foreign.n_electrons == mine.n_electrons
        assert not foreign.atoms.pbc.any()


@each
def test_rotated_molecules_give_rotated_matrices(form, folder, tmp_path):
    R = wb.rotation((1, -2, 3), 77)
    turned = [sets.Calculation(wb.rotate(atoms, R)) for atoms in sets.structures()[:2]]
    WRITERS[form](tmp_path / "turned.db", turned)
    before, after = (read_all(form, p) for p in (folder / f"{form}.db", tmp_path / "turned.db"))
    for a, b in zip(before, after, strict=False):
        assert (b.H - a.H.rotate(R)).max_abs() < 2 * LOST[form]


@each
def test_the_order_of_another_program_is_refused(form, tmp_path):
    """Each molecule alone shows that the orbitals are in another order."""
    for k, c in enumerate(sets.calculations()):
        wrong = sets.Calculation.__new__(sets.Calculation)
        wrong.__dict__ |= c.__dict__
        if form == "qh9":
            wrong.H = c.in_order_of_orca(c.H)
        else:
            wrong.outwards = list(range(len(c.H)))
        path = tmp_path / f"{k}.db"
        WRITERS[form](path, [wrong])
        with pytest.raises(FormatError, match="order") as refused:
            read_all(form, path)
        assert str(refused.value).endswith(".")


@each
def test_an_import_is_trained_and_predicts(form, folder, tmp_path):
    shares = "--train", 0.34, "--valid", 0.33, "--test", 0.33
    made = numbers_of("import", form, folder / f"{form}.db", "--out", tmp_path / "a.h5", *shares)
    assert made["samples"] == 3
    with Dataset(tmp_path / "a.h5") as data:
        assert "overlap/values" not in data._large  # PySCF has it
        assert sorted(data.groups.tolist()) == [0, 1, 2]
        assert data.method["basis"] == "def2-svp"
        with pytest.raises(ValueError, match=f"comes from {data.method['published_set']}, whose"):
            again(data.atoms(0), data.reference(0))
    small = ("channels=8", "layers=1", "readout=8", "pair_readout=8", "refiner_width=16")
    settings = [word for setting in small for word in ("--set", setting)]
    budget = "--stage1", 2, "--stage2", 2
    numbers_of("train", tmp_path / "a.h5", "--out", tmp_path / "run", *budget, *settings)
    model = tmp_path / "run" / "model.safetensors"
    predicted = numbers_of("predict", "H2O", "--model", model, "--out", tmp_path / "H.npz")
    assert predicted["electrons"] == 10
    assert predicted["gap_ev"] is not None  # with PySCF's overlap, whatever program made the data
    assert np.isfinite(np.load(tmp_path / "H.npz")["refined"]).all()


@each
def test_a_folder_is_searched_and_a_limit_draws_some(form, folder, tmp_path):
    for k, limit in enumerate((2, 5)):
        words = "import", form, folder, "--out", tmp_path / f"{k}.h5", "--limit", limit
        assert numbers_of(*words)["samples"] == min(limit, 3)
    said = run("import", form, folder, "--out", tmp_path / "n.h5", "--limit", 0)
    assert "limit must be a whole number from 1" in said.stderr


@pytest.mark.parametrize("form", ["sisl", "deeph", *WRITERS])
def test_the_wrong_command_names_the_right_one(form, folder, tmp_path):
    other = "qh9" if form != "qh9" else "nabladft"
    said = run("import", form, folder / f"{other}.db", "--out", tmp_path / "a.h5")
    assert said.exit_code == 2
    assert f"use `import {other}`." in said.stderr


@each
def test_a_killed_import_goes_on(form, folder, tmp_path):
    rng, out, kills = random.Random(4), tmp_path / "a.h5", 0
    do = partial(import_files, form, folder / f"{form}.db", out, progress=False)
    while not out.exists() and kills < 3:
        kills += killed_after(0.02 + 0.1 * rng.random(), do)
    do()
    import_files(form, folder / f"{form}.db", tmp_path / "b.h5", progress=False)
    with Dataset(out) as resumed, Dataset(tmp_path / "b.h5") as whole:
        assert resumed.hash == whole.hash


@each
def test_bad_rows_are_left_out_and_listed(form, folder, tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes((folder / f"{form}.db").read_bytes())
    table, column = {"schnorb": ("systems", "positions")}.get(form, ("data", "Z"))
    sets.changed(path, table, column, b"\x01")
    words = "import", form, path, "--out", tmp_path / "a.h5"
    said = run(*words)
    assert said.exit_code == 2
    assert "a.db/1" in said.stderr
    made = numbers_of(*words, "--skip-bad")
    assert (made["samples"], list(made["skipped"])) == (2, ["a.db/1"])


# ---- damaged files ----------------------------------------------------------------------------


def outcomes(form):
    """For each mutant of a database a fault in words, or None where it is read or refused."""
    path = Path("mutant.db")
    WRITERS[form](Path("sound.db"), sets.calculations()[:2])
    for mutant in islice(mutants(Path("sound.db").read_bytes(), seed=1), count(100)):
        path.write_bytes(mutant)
        yield fault_of(partial(_check, form, path), FormatError, mutant[:100])


def _check(form, path):
    for foreign in read_all(form, path):
        assert np.isfinite(foreign.H.values).all()


def qh9_outcomes():
    yield from outcomes("qh9")


def nabladft_outcomes():
    yield from outcomes("nabladft")


def schnorb_outcomes():
    yield from outcomes("schnorb")


@pytest.mark.parametrize("check", [qh9_outcomes, nabladft_outcomes, schnorb_outcomes])
def test_mutants_are_read_or_refused_in_one_sentence(check):
    assert faults(check) == []
