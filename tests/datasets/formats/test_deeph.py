"""Other programs' files: there and back, and proved by turning; the faults that files have."""

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support.crystal import integrals, sheet, spin_orbit
from workbench.datasets.conversion import export_files, import_files
from workbench.datasets.dataset import Dataset, DatasetError
from workbench.datasets.formats import FormatError, deeph
from workbench.datasets.validation import check
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import AO_TO_M, HARTREE

ATOMS = sheet()
SAMPLES = os.environ.get("WORKBENCH_SAMPLES", "")


@pytest.fixture(scope="module")
def matrices():
    """Kinetic energy (eV) and overlap of graphene, s to d orbitals."""
    return integrals(ATOMS, "int1e_kin") * HARTREE, integrals(ATOMS, "int1e_ovlp")


@pytest.fixture(scope="module")
def spinors(matrices):
    """The same with spin, and a spin-orbit coupling on each atom."""
    H, S = matrices
    basis = replace(H.basis, spinor=True)
    both = [np.kron(np.eye(2), m.values).astype(complex) for m in (H, S)]
    both[0][: len(ATOMS)] += spin_orbit(basis)
    return tuple(replace(m, basis=basis, values=v) for m, v in zip((H, S), both, strict=True))


@pytest.fixture
def folder(tmp_path, matrices):
    deeph.write(tmp_path / "graphene", ATOMS, *matrices, fermi_level=-4.5)
    return tmp_path / "graphene"


@pytest.mark.parametrize("kind", ["matrices", "spinors"])
def test_what_is_written_is_read_again(kind, tmp_path, request):
    H, S = request.getfixturevalue(kind)
    deeph.write(tmp_path, ATOMS, H, S, fermi_level=-4.5)
    found = deeph.read(tmp_path, "def2-svp")
    assert (found.H - H).max_abs() == (found.S - S).max_abs() == 0
    assert found.H.basis == H.basis
    assert found.fermi_level == -4.5
    np.testing.assert_array_equal(found.atoms.positions, ATOMS.positions)
    np.testing.assert_array_equal(found.atoms.cell.array, ATOMS.cell.array)


def test_the_files_are_those_of_the_format(folder):
    """p is x, y, z there; atoms count from 1; vectors are columns; both partners are stored."""
    with h5py.File(folder / "overlaps.h5") as file:
        block = np.asarray(file["[0, 0, 0, 1, 2]"])
        assert "[-1, 0, 0, 1, 2]" in file
        assert "[1, 0, 0, 2, 1]" in file
    away = ATOMS.positions[1] - ATOMS.positions[0]
    s_with_p = block[0, 3:6]  # def2-SVP's carbon: s s s p p d
    np.testing.assert_allclose(s_with_p / np.linalg.norm(s_with_p), -away / np.linalg.norm(away))
    np.testing.assert_allclose(np.loadtxt(folder / "lat.dat").T, ATOMS.cell.array)
    reciprocal = np.loadtxt(folder / "rlat.dat").T @ ATOMS.cell.array.T
    np.testing.assert_allclose(reciprocal, 2 * np.pi * np.eye(3), atol=1e-12)


@pytest.mark.parametrize("kind", ["matrices", "spinors"])
def test_a_sound_structure_passes_its_proof(kind, request):
    found = check(ATOMS, *request.getfixturevalue(kind))
    assert found.complaint is None
    assert found.operations == 23  # of the 24 of D6h
    assert found.overlap_across < 1e-12
    assert found.symmetry_share < 1e-6 if kind == "matrices" else found.symmetry_share < 1e-4


@pytest.mark.parametrize(("l", "wrong"), [(1, (0, 1, 2)), (1, (2, 1, 0)), (2, (0, 1, 2, 3, 4))])
@pytest.mark.parametrize("with_overlap", [True, False])
def test_a_wrong_order_fails_it(l, wrong, with_overlap, folder, monkeypatch):
    """By the overlap in any structure, by the space group where no overlap is stored."""
    monkeypatch.setitem(AO_TO_M["openmx"], l, wrong)
    found = deeph.read(folder)
    complaint = check(found.atoms, found.H, found.S if with_overlap else None).complaint
    assert "order or the signs" in complaint
    assert ("of S" if with_overlap else "own symmetry") in complaint


def test_a_rotated_structure_needs_no_symmetry(matrices):
    """Two shaken atoms leave but the inversion; the overlap is a proof all the same."""
    shaken = ATOMS.copy()
    shaken.rattle(0.05, seed=1)
    found = check(shaken, integrals(shaken, "int1e_kin"), integrals(shaken, "int1e_ovlp"))
    assert found.operations == 1
    assert found.overlap_across < 1e-12
    assert found.complaint is None
    assert check(shaken, *matrices).complaint is not None  # those of the atoms where they were


def test_a_spin_that_turns_the_wrong_way_fails_it(spinors):
    H = replace(spinors[0], values=spinors[0].values.conj())
    assert "own symmetry" in check(ATOMS, H).complaint


def _drop(path, name):
    with h5py.File(path, "a") as file:
        del file[name]


def _add(path, name, value):
    with h5py.File(path, "a") as file:
        file[name] = value


def _change(path, name, value):
    _drop(path, name)
    _add(path, name, value)


FAULTS = {
    "no info.json": lambda f: (f / "info.json").unlink(),
    "must be a JSON object": lambda f: (f / "info.json").write_text("{}"),
    "gives two sets of shells for C": lambda f: (f / "orbital_types.dat").write_text("0\n0 1\n"),
    "has 1 lines for 2 atoms": lambda f: (f / "orbital_types.dat").write_text("0 0 0 1 1 2\n"),
    "no table of numbers": lambda f: (f / "lat.dat").write_text("1 0 0\n0 one 0\n0 0 1\n"),
    "positions of shape": lambda f: (f / "site_positions.dat").write_text("0 0\n0 1\n"),
    "truncated": lambda f: os.truncate(f / "hamiltonians.h5", 3000),
    "no partner": lambda f: _drop(f / "hamiltonians.h5", "[1, 0, 0, 2, 1]"),
    "lacks the block": lambda f: _drop(f / "hamiltonians.h5", "[0, 0, 0, 2, 2]"),
    "has the shape": lambda f: _change(f / "hamiltonians.h5", "[0, 0, 0, 1, 2]", np.eye(3)),
    "not finite": lambda f: _change(
        f / "hamiltonians.h5", "[0, 0, 0, 1, 2]", np.full((14, 14), np.nan)
    ),
    "complex": lambda f: _change(f / "hamiltonians.h5", "[0, 0, 0, 1, 2]", 1j * np.eye(14)),
    "block of the atoms 1 and 7": lambda f: _add(
        f / "hamiltonians.h5", "[0, 0, 0, 1, 7]", np.eye(14)
    ),
    "are named": lambda f: _add(f / "hamiltonians.h5", "[0, 0, 0, 1]", np.eye(14)),
}


@pytest.mark.parametrize("says", FAULTS)
def test_a_fault_is_one_clear_sentence(says, folder):
    FAULTS[says](folder)
    with pytest.raises(FormatError, match=says) as caught:
        deeph.read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_many_folders_become_one_dataset_and_folders_again(tmp_path, spinors):
    for k in range(5):
        H = replace(spinors[0], values=spinors[0].values * (1 + 0.1 * k))
        deeph.write(tmp_path / "raw" / f"{k}", ATOMS, H, spinors[1], fermi_level=k)
    path = import_files("deeph", tmp_path / "raw", tmp_path / "set.h5", basis_name="def2-svp")
    with Dataset(path) as dataset:
        dataset.verify()
        assert {name: len(dataset.split(name)) for name in dataset.splits} == {
            "train": 3,
            "valid": 1,
            "test": 1,
        }
        sample = dataset[3]
        assert sample.fermi_level == 3
        assert np.isnan(sample.energy)
        assert sample.atoms.pbc.all()
        np.testing.assert_array_equal(sample.atoms.cell.array, ATOMS.cell.array)
        assert (sample.H - spinors[0] * 1.3).max_abs() < dataset.step
        assert (sample.S - spinors[1]).max_abs() < 1e-14
        assert dataset.provenance["largest_residuals"]["overlap_across"] < 1e-12
        export_files("deeph", dataset, tmp_path / "back", split="test")
        number = int(dataset.split("test")[0])
        again = deeph.read(tmp_path / "back" / str(number), "def2-svp")
        assert (again.H - dataset[number].H).max_abs() == 0


def test_the_import_names_the_folder_that_fails(tmp_path, matrices):
    H, S = matrices
    deeph.write(tmp_path / "good", ATOMS, H, S)
    spoiled = H.values.copy()
    spoiled[-1] += 0.1
    deeph.write(tmp_path / "odd", ATOMS, replace(H, values=spoiled), S)
    with pytest.raises(FormatError, match=r"odd: H is not hermitian"):
        import_files("deeph", tmp_path, tmp_path / "set.h5", progress=False)
    assert not (tmp_path / "set.h5").exists()
    with pytest.raises(FormatError, match="No folder of the DeepH format"):
        import_files("deeph", tmp_path / "elsewhere", tmp_path / "set.h5")
    with pytest.raises(ValueError, match="add up to 1"):
        import_files("deeph", tmp_path, tmp_path / "set.h5", shares={"train": 0.5})


def test_an_overlap_that_is_none_is_refused(matrices):
    H, S = matrices
    assert "belongs to no set of orbitals" in check(ATOMS, H, S * -1.0).complaint
    assert (
        "S is not hermitian"
        in check(
            ATOMS,
            H,
            replace(S, values=S.values + np.arange(S.values[0].size).reshape(S.values[0].shape)),
        ).complaint
    )


def test_a_crystal_without_its_overlap_says_so(tmp_path, matrices):
    deeph.write(tmp_path / "raw", ATOMS, matrices[0])
    path = import_files("deeph", tmp_path / "raw", tmp_path / "set.h5", shares={"train": 1.0})
    with Dataset(path) as dataset, pytest.raises(DatasetError, match="without its overlap"):
        _ = dataset[0].S


def test_a_shell_that_the_format_does_not_order_is_refused(tmp_path, matrices):
    H = matrices[0].in_basis(Basis("def2-svp", {**matrices[0].basis.shells, 1: (0, 4)}))
    odd = replace(H, numbers=np.array([1, 1]), values=np.zeros_like(H.values))
    with pytest.raises(ValueError, match="use a basis with l <= 3"):
        deeph.write(tmp_path, ATOMS, odd)


@pytest.mark.skipif(not SAMPLES, reason="WORKBENCH_SAMPLES names no folder of foreign samples")
def test_a_folder_that_another_program_wrote(tmp_path):
    source = Path(SAMPLES) / "deeph" / "MoTe2"
    found = deeph.read(source)
    proof = check(found.atoms, found.H, found.S)
    assert proof.complaint is None
    assert proof.operations == 11
    assert proof.overlap_across < 1e-11
    assert proof.symmetry_ev < 0.02
    deeph.write(tmp_path, found.atoms, found.H, found.S, found.fermi_level)
    for name in ("hamiltonians.h5", "overlaps.h5"):
        with h5py.File(source / name) as theirs, h5py.File(tmp_path / name) as ours:
            assert set(theirs) == set(ours)
            for key in theirs:
                np.testing.assert_array_equal(np.asarray(theirs[key]), np.asarray(ours[key]))
    assert json.loads((tmp_path / "info.json").read_text())["isspinful"] is False
