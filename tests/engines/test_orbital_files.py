"""Molden and cube files hold the orbitals of the Hamiltonian, as PySCF and ASE read them."""

import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import read_cube_data
from pyscf.tools import molden

import workbench as wb
from workbench.engines.pyscf_molecules import ao_order, basis_of
from workbench.hamiltonians.conventions import BOHR, HARTREE
from workbench.storage.writing_errors import TargetError


@pytest.fixture(scope="module")
def ammonia():
    """In a basis with d functions, whose orders differ most between programs."""
    atoms = wb.load("ammonia")
    return atoms, wb.reference(atoms, "def2-svp", "hf")


def test_a_molden_file_read_back_has_the_same_orbitals(ammonia, tmp_path):
    atoms, ref = ammonia
    path = wb.write_molden(tmp_path / "ammonia.molden", atoms, ref)
    molecule, energies, orbitals, occupations, _, _ = molden.load(str(path))
    eps, C = wb.solve(ref.H, ref.S)
    np.testing.assert_allclose(energies * HARTREE, eps, atol=1e-5)
    assert occupations.tolist() == [2.0] * 5 + [0.0] * (len(eps) - 5)
    ours = orbitals[ao_order(molecule)]
    signs = np.sign(np.sum(ours * C, axis=0))
    np.testing.assert_allclose(ours * signs, C, atol=1e-8)
    np.testing.assert_allclose(molecule.atom_coords() * BOHR, atoms.positions, atol=1e-7)
    overlap = molecule.intor("int1e_ovlp")
    np.testing.assert_allclose(orbitals.T @ overlap @ orbitals, np.eye(len(eps)), atol=1e-5)


def test_a_core_potential_is_written(tmp_path):
    atoms = wb.load("smiles:I")
    path = wb.write_molden(tmp_path / "HI.molden", atoms, wb.reference(atoms, "def2-svp", "hf"))
    assert "[core]\n1 : 28\n" in path.read_text()


def test_a_prediction_is_written(tmp_path):
    water = wb.load("water")
    prediction = wb.load_model("water").predict(water)
    path = wb.write_molden(tmp_path / "water.molden", water, prediction)
    expected = wb.properties(water, prediction).orbital_energies
    np.testing.assert_allclose(molden.load(str(path))[1] * HARTREE, expected, atol=1e-5)


def test_cubes_integrate_to_one_and_to_the_electrons(ammonia, tmp_path):
    atoms, ref = ammonia
    volume = None
    cubes = {}
    for show in ("homo", 4, "lumo", "density"):
        path = wb.write_cube(tmp_path / f"{show}.cube", atoms, ref, show, points=60)
        cubes[show], _ = read_cube_data(str(path))
        steps = [line.split()[1:] for line in path.read_text().splitlines()[3:6]]
        volume = np.linalg.det(np.array(steps, dtype=float))  # Bohr^3
    np.testing.assert_array_equal(cubes["homo"], cubes[4])
    assert (cubes["homo"] ** 2).sum() * volume == pytest.approx(1, abs=0.03)
    assert cubes["density"].sum() * volume == pytest.approx(10, abs=0.3)
    assert (cubes["density"] >= 0).all()


def test_what_cannot_be_written_is_refused_before_a_file_appears(ammonia, tmp_path):
    atoms, ref = ammonia
    path = tmp_path / "file"
    with pytest.raises(ValueError, match="Hamiltonian without spin"):
        wb.write_molden(path, atoms, ref.H.with_spin())
    with pytest.raises(ValueError, match="belongs to other atoms"):
        wb.write_molden(path, wb.load("water"), ref)
    periodic = atoms.copy()
    periodic.pbc = True
    with pytest.raises(ValueError, match="This is a crystal"):
        wb.write_cube(path, periodic, ref)
    for show in ("LUMO+1", -1, 10_000, True, 1.5):
        with pytest.raises(ValueError, match="There is no orbital"):
            wb.write_cube(path, atoms, ref, show)
    with pytest.raises(ValueError, match="points"):
        wb.write_cube(path, atoms, ref, points=1)
    assert not path.exists()
    with pytest.raises(TargetError, match="is a folder"):
        wb.write_molden(tmp_path, atoms, ref)


def test_a_basis_beyond_the_format_is_refused(tmp_path):
    atoms = wb.load(Atoms("Ne"))
    H = wb.overlap(atoms, basis_of("cc-pv5z", [10]))
    with pytest.raises(ValueError, match=r"l = 5, and Molden files have none above 4"):
        wb.write_molden(tmp_path / "Ne.molden", atoms, H)
    assert not list(tmp_path.iterdir())
