"""Which structures of a format with cells are molecules, and how many electrons they have."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support import abacus as abacus_files
from tests.support import openmx as openmx_files
from tests.support import siesta as siesta_files
from tests.support.command_line import numbers_of
from workbench.datasets.formats import Foreign, abacus, deeph, deeph_present, openmx, sisl
from workbench.datasets.formats.boxes import foreign_molecule, without_box


@pytest.fixture(scope="module")
def reference():
    return wb.reference(wb.load("water"), basis="sto-3g", xc="hf")


def boxed(atoms, length):
    box = Atoms(atoms.numbers, atoms.positions, cell=[length, 20, 20], pbc=True)
    box.center()
    return box


@pytest.mark.parametrize(("length", "periodic"), [(20, False), (5.1, False), (4.9, True)])
def test_a_box_leaves_five_angstroms_to_the_images(reference, length, periodic):
    """Water is flat along x, so that each atom is nearest to its own image."""
    box = boxed(reference.atoms, length)
    made = without_box(box, reference.S)
    assert made.pbc.any() == periodic
    np.testing.assert_allclose(made.positions, box.positions)


def test_a_long_molecule_needs_as_much_room_as_its_orbitals_reach(reference):
    """Images 7 A apart are a crystal if atoms overlap over 8 A."""
    atoms = Atoms("H2", [[0, 0, 0], [0, 8.0, 0]])
    box = Atoms("H2", atoms.positions, cell=[20, 15.0, 20], pbc=True)
    for coupling, periodic in ((2e-3, True), (1e-4, False)):
        basis = wb.Basis("sto-3g", {1: (0,)})
        S = wb.BlockMatrix.from_dense(basis, [1, 1], [[1.0, coupling], [coupling, 1.0]])
        assert without_box(box, S).pbc.any() == periodic


def test_a_block_to_another_cell_makes_a_crystal(reference):
    box = boxed(reference.atoms, 20)
    S = reference.S
    values = np.concatenate([S.values, np.zeros((2, *S.values.shape[1:]))])
    shifts = np.concatenate([S.shifts, [[1, 0, 0], [-1, 0, 0]]])
    more = replace(
        S, edges=np.concatenate([S.edges, [[1, 2], [2, 1]]], axis=1), shifts=shifts, values=values
    )
    assert without_box(box, more).pbc.all()


def test_an_ion_keeps_its_cell():
    """No file of the format says a charge, and H3O has an odd number of electrons without one."""
    ion = wb.reference(hydronium(), basis="sto-3g", xc="hf")
    assert without_box(boxed(ion.atoms, 20), ion.S).pbc.all()


def hydronium():
    places = [[0, 0, 0], [0.98, 0, 0.2], [-0.49, 0.85, 0.2], [-0.49, -0.85, 0.2]]
    return wb.load(Atoms("OH3", places), charge=1)


@pytest.mark.parametrize(
    ("level", "electrons"), [(0.5, 10), (-10.66, 10), (0.0, 0), (float("nan"), 0), (-1e4, 0)]
)
def test_the_fermi_level_gives_the_number_of_electrons(reference, level, electrons):
    """The highest of the five occupied levels is at -10.67 eV; exactly zero says nothing."""
    box = boxed(reference.atoms, 20)
    for H, S in ((reference.H, reference.S), (reference.H.with_spin(), reference.S.with_spin())):
        found = foreign_molecule(Foreign(box, H, S, level))
        assert found.n_electrons == electrons
    assert foreign_molecule(Foreign(box, reference.H, None, level)).n_electrons == 0


@pytest.mark.parametrize("module", [deeph, deeph_present])
def test_molecules_of_deeph_are_trained_predicted_and_evaluated_as_molecules(module, tmp_path):
    """Without the number of electrons there are errors of levels, but not of the gap."""
    for k in range(4):
        atoms = wb.load("water")
        atoms.rattle(0.05, seed=k)
        made = wb.reference(atoms, basis="sto-3g", xc="hf")
        module.write(tmp_path / "in" / str(k), atoms, made.H, made.S, 0.5 if k < 3 else None)
    shares = ("--train", 0.5, "--valid", 0.25, "--test", 0.25)
    made = numbers_of("import", "deeph", tmp_path / "in", "--out", tmp_path / "a.h5", *shares)
    assert made["kind"] == "molecules"
    with wb.Dataset(tmp_path / "a.h5") as data:
        assert not data.periodic
        assert [sample.n_electrons for sample in data] == [10, 10, 10, 0]
    small = ("channels=4", "layers=1", "readout=8", "pair_readout=8", "guess=none")
    settings = [word for setting in small for word in ("--set", setting)]
    run = (tmp_path / "a.h5", "--out", tmp_path / "run", "--stage1", 0, "--stage2", "none")
    numbers_of("train", *run, *settings)
    model = tmp_path / "run" / "model.safetensors"
    for split in ("train", "valid", "test"):
        words = ("evaluate", "--model", model, "--dataset", tmp_path / "a.h5", "--split", split)
        errors = numbers_of(*words)["refined"]
        assert errors["level_mae_mev"] > 0
        with wb.Dataset(tmp_path / "a.h5") as data:
            known = [data[int(k)].n_electrons for k in data.split(split)]
        assert (errors["gap_mae_mev"] is None) == (known == [0])
    found = numbers_of("predict", tmp_path / "in" / "0", "--model", model, "--electrons", 10)
    assert found["gap_ev"] > 20
    assert len(found["levels_ev"]) == 7


def of_openmx(folder, atoms, H, S, level):
    return openmx.read(openmx_files.write(folder / "a.scfout", atoms, H, S, level=level))


def of_abacus(folder, atoms, H, S, level):
    return abacus.read(abacus_files.write(folder, atoms, H, S, level=level))


def of_siesta(folder, atoms, H, S, level):
    """SIESTA's reader takes the Fermi level as the zero of energy."""
    made = siesta_files.hamiltonian(atoms, H - level * S, S)
    made.write(str(folder / "a.HSX"))
    return sisl.read(folder / "a.HSX")


@pytest.mark.parametrize(
    "program",
    [
        of_openmx,
        of_abacus,
        pytest.param(
            of_siesta, marks=pytest.mark.skipif(not sisl.available(), reason="needs sisl")
        ),
    ],
)
def test_other_programs_have_molecules_in_boxes_too(program, reference, tmp_path):
    box = boxed(reference.atoms, 20)
    found = program(tmp_path, box, reference.H, reference.S, 0.5)
    assert not found.atoms.pbc.any()
    assert found.n_electrons == 10
    np.testing.assert_allclose(
        found.atoms.get_all_distances(), reference.atoms.get_all_distances(), atol=1e-6
    )
