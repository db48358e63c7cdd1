"""The overlap of one structure from files of the same structure: moved, rotated, wrapped."""

import re

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support.crystal import integrals, sheet
from workbench.datasets.dataset import Sample
from workbench.datasets.formats import FormatError, deeph
from workbench.datasets.writing import write
from workbench.evaluation.overlap_file import read_overlap

BASIS, REACH = "sto-3g", 6.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A distorted sheet and its overlap as a folder of DeepH, and as the second of a dataset."""
    folder = tmp_path_factory.mktemp("overlap")
    atoms = sheet()
    atoms.rattle(0.05, seed=0)
    S = integrals(atoms, "int1e_ovlp", BASIS, REACH)
    deeph.write(folder / "deeph", atoms, S, S)
    other = atoms.copy()
    other.rattle(0.05, seed=1)
    samples = [Sample(a, S, float("nan"), 8, k, S) for k, a in enumerate((other, atoms))]
    write(folder / "a.h5", samples, {}, {})
    return folder, atoms, S


def everywhere(atoms):
    """The same crystal: as it is; moved and wrapped by lattice vectors; rotated; inverted."""
    moved = atoms.copy()
    moved.positions += [0.3, -0.2, 0.1]
    moved.positions[1] += 2 * atoms.cell.array[0] - atoms.cell.array[1]
    return [
        atoms,
        moved,
        wb.rotate(moved, wb.rotation((1, 2, 3), 70)),
        wb.rotate(moved, -np.eye(3)),
    ]


@pytest.mark.parametrize("name", ["deeph", "a.h5"])
@pytest.mark.parametrize("number", range(4))
def test_the_overlap_follows_the_structure(name, number, files):
    folder, atoms, S = files
    there = everywhere(atoms)[number]
    expected = integrals(there, "int1e_ovlp", BASIS, REACH)
    found = read_overlap(folder / name, there, S.basis)
    assert (found.S - expected).max_abs() < 1e-8
    assert found.n_electrons == (8 if name == "a.h5" else None)


@pytest.mark.parametrize("name", ["deeph", "a.h5"])
def test_a_spinor_model_takes_an_overlap_without_spin(name, files):
    folder, atoms, S = files
    spinor = S.with_spin().basis
    assert (read_overlap(folder / name, atoms, spinor).S - S.with_spin()).max_abs() < 1e-8


@pytest.mark.parametrize("name", ["deeph", "a.h5"])
def test_another_structure_and_other_orbitals_are_refused(name, files):
    folder, atoms, S = files
    bent, larger, longer, carbide = (atoms.copy() for _ in range(4))
    bent.positions[1, 2] += 0.002
    larger.set_cell(atoms.cell.array * 1.001, scale_atoms=True)
    longer = atoms.repeat((2, 1, 1))
    carbide.numbers[0] = 14
    for wrong in (bent, larger, longer, carbide):
        with pytest.raises(FormatError, match=r"is of another structure than the one to predict"):
            read_overlap(folder / name, wrong, S.basis)
    other = wb.Basis(BASIS, {6: (0, 1, 1)})
    with pytest.raises(FormatError, match=rf"{re.escape(name)} has other orbitals than the basis"):
        read_overlap(folder / name, atoms, other)


def test_a_dataset_without_overlaps_says_so(files, tmp_path):
    _, atoms, S = files
    write(tmp_path / "a.h5", [Sample(atoms, S, float("nan"), 8)], {}, {})
    with pytest.raises(ValueError, match="This crystal came without its overlap"):
        read_overlap(tmp_path / "a.h5", atoms, S.basis)


def test_an_ion_takes_the_overlap_of_its_box(tmp_path):
    """DeepH says no charge, so that hydronium keeps its cell there."""
    places = [[0, 0, 0], [0.98, 0, 0.2], [-0.49, 0.85, 0.2], [-0.49, -0.85, 0.2]]
    ion = wb.reference(wb.load(Atoms("OH3", places), charge=1), basis=BASIS, xc="hf")
    deeph.write(tmp_path / "box", ion.atoms, ion.H, ion.S)
    assert deeph.read(tmp_path / "box").atoms.pbc.all()
    found = read_overlap(tmp_path / "box", ion.atoms, ion.S.basis)
    assert (found.S - ion.S).max_abs() < 1e-12
