"""The engines of crystals on one sheet of graphene: each its own bands, and each other's.

GPAW's half runs where it is installed (`make crystals`).
"""

import numpy as np
import pytest
from ase.build import graphene
from crystal import with_solver

import workbench as wb
from workbench.bands import energies_at
from workbench.bloch import k_mesh
from workbench.conventions import HARTREE
from workbench.engines import lcao

MESH = (6, 6, 1)  # holds K, where the cones meet
K, M, BETWEEN = [1 / 3, 1 / 3, 0], [0.5, 0, 0], [0.13, 0.29, 0]
OCCUPIED = 4
BASES_DIFFER = 0.7  # eV; four orbitals an atom hold no more


def sheet():
    atoms = graphene(a=2.46, vacuum=4.0)
    atoms.pbc = (True, True, False)
    return atoms


@pytest.fixture(scope="module")
def solved():
    """The reference, and the solver of PySCF that it came from."""
    return with_solver(sheet(), mesh=MESH, ke_cutoff=40.0)


def test_the_bands_of_graphene_are_pyscfs_own_on_the_mesh_and_between(solved):
    found, solver = solved
    for k, expected in list(zip(k_mesh(MESH), solver.mo_energy, strict=True))[::5]:
        energies = energies_at(found.H, found.S, k)
        np.testing.assert_allclose(energies, np.asarray(expected) * HARTREE, atol=1e-3)
    direct = solver.get_bands(solver.cell.get_abs_kpts([BETWEEN]))[0][0] * HARTREE
    np.testing.assert_allclose(energies_at(found.H, found.S, BETWEEN), direct, atol=1e-3)


def test_its_cones_meet_at_the_fermi_level(solved):
    found, _ = solved
    energies = energies_at(found.H, found.S, K)
    np.testing.assert_allclose(energies[3:5], found.fermi_level, atol=1e-3)
    np.testing.assert_allclose(energies[0], energies[1], atol=1e-3)


@pytest.mark.skipif(not lcao.available(), reason="GPAW is not installed")
def test_the_two_engines_agree_to_the_difference_of_their_bases(solved):
    """Occupied bands over the Fermi level; the narrower basis has them all a little lower."""
    ours, _ = solved
    theirs = wb.reference(sheet(), engine="gpaw", basis="dzp", mesh=MESH)
    for k in ([0, 0, 0], M, K, BETWEEN):
        here, there = (
            energies_at(ref.H, ref.S, k)[:OCCUPIED] - ref.fermi_level for ref in (ours, theirs)
        )
        np.testing.assert_allclose(here, there, atol=BASES_DIFFER)
        assert np.ptp(here - there) < 0.5
    assert energies_at(theirs.H, theirs.S, K)[3] == pytest.approx(theirs.fermi_level, abs=1e-3)
