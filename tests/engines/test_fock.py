"""One step of self-consistency: its Fock matrix, and what the density itself says."""

import numpy as np
import pytest
from pyscf import scf

import workbench as wb
from workbench.engines.fock import fock_step
from workbench.engines.pyscf_molecules import mole
from workbench.hamiltonians.block_matrix import BlockMatrix


def disturbed(H: BlockMatrix, size: float) -> BlockMatrix:
    noise = np.random.default_rng(0).normal(size=(H.n_ao, H.n_ao))
    return BlockMatrix.from_dense(H.basis, H.numbers, H.dense() + size * (noise + noise.T))


@pytest.fixture(scope="module")
def water():
    atoms = wb.load("water")
    return atoms, wb.reference(atoms, grid=1)


def test_the_true_hamiltonian_is_its_own_fock_matrix(water):
    atoms, reference = water
    step = fock_step(atoms, reference.H, grid=1, density_fitting=False)
    assert (step.F - reference.H).max_abs() < 1e-5  # eV
    assert (step.S - reference.S).max_abs() < 1e-12
    assert step.energy == pytest.approx(reference.energy, abs=1e-7)
    assert step.n_electrons == reference.n_electrons


def test_the_energy_of_any_other_density_is_higher_and_the_error_is_quadratic(water):
    atoms, reference = water
    excess = [
        fock_step(atoms, disturbed(reference.H, e), grid=1, density_fitting=False).energy
        - reference.energy
        for e in (0.02, 0.04)
    ]
    assert 0 < excess[0] < excess[1]
    assert excess[1] / excess[0] == pytest.approx(4, rel=0.15)


def test_dipole_and_charges_are_those_of_pyscf(water):
    atoms, reference = water
    step = fock_step(atoms, reference.H, grid=1, density_fitting=False)
    field = scf.RKS(mole(atoms, "def2-svp"), xc="pbe")
    field.grids.level, field.grids.prune = 1, None
    field.kernel()
    assert step.dipole == pytest.approx(field.dip_moment(verbose=0), abs=1e-4)
    assert step.charges == pytest.approx(field.mulliken_pop(verbose=0)[1], abs=1e-5)


def test_the_dipole_of_an_ion_does_not_depend_on_where_it_lies():
    atoms = wb.load("smiles:[OH3+]")
    H = wb.reference(atoms, "sto-3g", "hf").H
    moved = atoms.copy()
    moved.positions += [5.0, 0.0, -3.0]
    here, there = (fock_step(a, H, "hf", density_fitting=False).dipole for a in (atoms, moved))
    assert there == pytest.approx(here, abs=1e-8)


def test_the_step_follows_a_rotation(water):
    atoms, reference = water
    R = wb.rotation((1, 2, 0), 50)
    H = disturbed(reference.H, 0.02)
    here = fock_step(atoms, H, xc="hf")
    there = fock_step(wb.rotate(atoms, R), H.rotate(R), xc="hf")
    assert (there.F - here.F.rotate(R)).max_abs() < 1e-6
    assert there.energy == pytest.approx(here.energy, abs=1e-8)
    assert there.dipole == pytest.approx(R @ here.dipole, abs=1e-7)
    assert there.charges == pytest.approx(here.charges, abs=1e-8)


def test_a_hamiltonian_with_spin_is_refused(water):
    atoms, reference = water
    with pytest.raises(ValueError, match="has spin"):
        fock_step(atoms, reference.H.with_spin())
