"""DeepH's present layout: what is written is read again, also by other programs' rules."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.io import read as ase_read

import workbench as wb
from tests.datasets.formats.test_deeph import ATOMS, matrices, spinors  # noqa: F401  fixtures
from tests.support.command_line import numbers_of, run
from workbench.datasets.conversion import import_files
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats import FormatError, deeph, deeph_present
from workbench.datasets.validation import check

SAMPLES = os.environ.get("WORKBENCH_SAMPLES", "")
needs_samples = pytest.mark.skipif(not SAMPLES, reason="WORKBENCH_SAMPLES names no folder")


@pytest.fixture
def folder(tmp_path, matrices):  # noqa: F811
    deeph_present.write(tmp_path / "graphene", ATOMS, *matrices, fermi_level=-4.5)
    return tmp_path / "graphene"


@pytest.mark.parametrize("kind", ["matrices", "spinors"])
def test_what_is_written_is_read_again(kind, tmp_path, request):
    H, S = request.getfixturevalue(kind)
    deeph_present.write(tmp_path, ATOMS, H, S, fermi_level=-4.5)
    found = deeph.read(tmp_path, "def2-svp")  # one reader for both layouts
    assert (found.H - H).max_abs() == (found.S - S).max_abs() == 0
    assert found.H.basis == H.basis
    assert found.fermi_level == -4.5
    np.testing.assert_allclose(found.atoms.positions, ATOMS.positions, atol=1e-12)
    np.testing.assert_allclose(found.atoms.cell.array, ATOMS.cell.array, atol=1e-12)
    assert check(found.atoms, found.H, found.S).complaint is None


def test_the_files_are_those_of_the_format(folder, matrices):  # noqa: F811
    """p is y, z, x there; atoms count from 0; the blocks follow each other in one array."""
    with h5py.File(folder / "overlap.h5") as file:
        pairs, shapes, bounds, entries = (
            np.asarray(file[name])
            for name in ("atom_pairs", "chunk_shapes", "chunk_boundaries", "entries")
        )
    k = int(np.flatnonzero((pairs == [0, 0, 0, 0, 1]).all(axis=1))[0])
    block = entries[bounds[k] : bounds[k + 1]].reshape(shapes[k])
    away = ATOMS.positions[1] - ATOMS.positions[0]
    s_with_p = block[0, 3:6]  # def2-SVP's carbon: s s s p p d
    norm = np.linalg.norm(s_with_p)
    np.testing.assert_allclose(s_with_p / norm, -away[[1, 2, 0]] / np.linalg.norm(away))
    info = json.loads((folder / "info.json").read_text())
    assert (info["spinful"], info["fermi_energy_eV"], info["orbits_quantity"]) == (False, -4.5, 28)
    assert info["elements_orbital_map"] == {"C": [0, 0, 0, 1, 1, 2]}
    np.testing.assert_allclose(ase_read(folder / "POSCAR").positions, ATOMS.positions, atol=1e-9)


def test_elements_in_any_order_keep_their_numbers(tmp_path):
    atoms = wb.load("ethanol")
    made = wb.reference(atoms, basis="sto-3g", xc="hf")
    deeph_present.write(tmp_path, atoms, made.H, made.S)
    found = deeph.read(tmp_path, "sto-3g")
    np.testing.assert_array_equal(found.atoms.numbers, atoms.numbers)
    assert (found.H - made.H).max_abs() == 0
    assert np.isnan(found.fermi_level)


def test_a_dataset_goes_out_and_comes_back_by_the_command_line(tmp_path, matrices):  # noqa: F811
    for k in range(3):
        deeph_present.write(tmp_path / "raw" / f"{k}", ATOMS, matrices[0] * (1 + k), matrices[1])
    path = import_files("deeph", tmp_path / "raw", tmp_path / "set.h5", shares={"test": 1.0})
    words = ("export", "deeph", path, "--out", tmp_path / "out", "--layout", "present")
    assert numbers_of(*words)["structures"] == 3
    assert sorted(os.listdir(tmp_path / "out" / "0")) == sorted(deeph_present.FILES)
    assert numbers_of(*words)["structures"] == 3  # a finished export is left as it is
    older = run("export", "deeph", path, "--out", tmp_path / "out")
    assert "holds the export of another dataset" in older.stderr
    numbers_of("export", "deeph", path, "--out", tmp_path / "out", "--overwrite")
    assert "POSCAR" not in os.listdir(tmp_path / "out" / "0")
    again = import_files("deeph", tmp_path / "out", tmp_path / "again.h5", shares={"test": 1.0})
    with Dataset(path) as first, Dataset(again) as second:
        for a, b in zip(first, second, strict=True):
            assert (a.H - b.H).max_abs() <= first.step
            assert a.fermi_level is None is b.fermi_level


def _changed(file, name, change):
    with h5py.File(file, "r+") as h5:
        array = change(np.asarray(h5[name]))
        del h5[name]
        h5.create_dataset(name, data=array)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "hamiltonian.h5").unlink(), "has no hamiltonian.h5"),
        (lambda f: (f / "POSCAR").write_text("graphene"), "POSCAR"),
        (lambda f: (f / "info.json").write_text("{}"), "must be a JSON object with spinful"),
        (
            lambda f: (f / "info.json").write_text(
                '{"spinful": false, "elements_orbital_map": {"H": [0]}}'
            ),
            "has no shells for C in elements_orbital_map",
        ),
        (lambda f: _changed(f / "overlap.h5", "entries", lambda a: a[:-1]), "do not fit each"),
        (lambda f: _changed(f / "overlap.h5", "entries", lambda a: a * np.nan), "not finite"),
        (lambda f: _changed(f / "overlap.h5", "chunk_shapes", lambda a: a[:, ::2]), "do not fit"),
        (lambda f: _changed(f / "overlap.h5", "atom_pairs", lambda a: a * 0), "two blocks of"),
        (lambda f: _changed(f / "overlap.h5", "atom_pairs", lambda a: a + 1), "of 2 atoms"),
    ],
)
def test_what_is_broken_is_refused_in_one_sentence(spoil, says, folder):
    spoil(folder)
    with pytest.raises(FormatError, match=says) as caught:
        deeph.read(folder)
    assert "\n" not in str(caught.value)


@needs_samples
def test_both_layouts_of_another_program_give_one_matrix():
    older, present = (
        deeph.read(Path(SAMPLES) / "deeph_molecules" / name)
        for name in ("legacy_4990", "new_format_4990")
    )
    assert (older.H - present.H).max_abs() < 1e-12
    assert (older.S - present.S).max_abs() < 1e-12
    np.testing.assert_allclose(older.atoms.positions, present.atoms.positions, atol=1e-5)


@needs_samples
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("deeph_fermi_null/1000", None),
        ("deeph_no_fermi/Si", None),
        ("deeph_single_atom/Bi", -4.331),
    ],
)
def test_folders_without_a_fermi_level_or_a_neighbour_are_read(name, level):
    found = deeph.read(Path(SAMPLES) / name)
    assert check(found.atoms, found.H, found.S).complaint is None
    if level is None:
        assert np.isnan(found.fermi_level)
    else:
        assert found.fermi_level == pytest.approx(level, abs=1e-3)


@needs_samples
def test_a_turned_molecule_has_the_turned_matrix():
    """Water in four orientations, computed anew by another program: equal up to its grid."""
    first, *others = (
        deeph.read(Path(SAMPLES) / "deeph_molecules" / "turned_water_pyscf" / f"{k}")
        for k in range(4)
    )
    for other in others:
        a, b = (f.atoms.positions - f.atoms.positions.mean(axis=0) for f in (first, other))
        u, _, v = np.linalg.svd(a.T @ b)
        R = (u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v).T
        assert np.abs(a @ R.T - b).max() < 1e-4
        assert (first.H.rotate(R) - other.H).max_abs() < 4e-4  # eV
