"""The engines of crystals on graphene and on MoS2: each its own bands, and each other's.

GPAW's half runs where it is installed (`make crystals`).
"""

import numpy as np
import pytest
from ase.build import graphene

import workbench as wb
from tests.support.crystal import with_solver
from workbench.engines import gpaw_lcao
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.bloch import k_mesh
from workbench.hamiltonians.conventions import HARTREE

MESH = (6, 6, 1)  # holds K, where the cones meet
K, M, BETWEEN = [1 / 3, 1 / 3, 0], [0.5, 0, 0], [0.13, 0.29, 0]
OCCUPIED = 4
BASES_DIFFER = 0.7  # eV; four orbitals an atom hold no more
POLARISED_BASES_DIFFER = 0.2  # eV, down to 14 eV below the gap; 0.154 at most on MoS2


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


@pytest.mark.skipif(not gpaw_lcao.available(), reason="GPAW is not installed")
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


@pytest.mark.skipif(not gpaw_lcao.available(), reason="GPAW is not installed")
def test_on_mos2_the_two_engines_agree_with_pyscf_and_each_other():
    """Bands over the top of the valence band at K, with polarised bases of unlike kinds."""
    sheet = wb.load("mos2")
    sheet.center(vacuum=4.0, axis=2)
    small = (3, 3, 1)  # PySCF's energies hold on the mesh itself, GPAW's are asked for between
    ours, solver = with_solver(sheet, basis="gth-dzvp-molopt-sr", mesh=small, ke_cutoff=25.0)
    theirs = wb.reference(sheet, engine="gpaw", basis="dzp", mesh=(6, 6, 1), longest=5.5)
    valence = round(ours.n_electrons) // 2
    assert round(theirs.n_electrons) // 2 == valence == 13
    points = k_mesh(small)
    bands = [np.array([energies_at(ref.H, ref.S, k) for k in points]) for ref in (ours, theirs)]
    own = np.asarray(solver.mo_energy) * HARTREE
    np.testing.assert_allclose(bands[0], own, atol=1e-3)
    at_K = np.argmin(np.abs(points - K).sum(axis=1))
    here, there = (each - each[at_K, valence - 1] for each in bands)
    shared = slice(valence - 9, valence)  # below are 4s and 4p of Mo
    np.testing.assert_allclose(here[:, shared], there[:, shared], atol=POLARISED_BASES_DIFFER)
    for energies in (here, there):  # the gap of PBE, direct at K
        assert energies[:, valence - 1].max() == pytest.approx(0, abs=1e-3)
        assert energies[at_K, valence] == pytest.approx(1.74, abs=0.06)
