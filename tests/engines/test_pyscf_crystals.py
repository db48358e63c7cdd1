"""Periodic references: PySCF's own bands come back from the blocks, and turning turns them."""

import warnings

import numpy as np
import pytest
from ase import Atoms

import workbench as wb
from tests.support.crystal import integrals, with_solver
from workbench.datasets.validation import check
from workbench.engines import SCFError, dispatch
from workbench.engines.pyscf_crystals import BASIS, ENGINE
from workbench.hamiltonians.bands import energies_at
from workbench.hamiltonians.bloch import default_mesh, k_mesh
from workbench.hamiltonians.conventions import HARTREE
from workbench.structures.loading import StructureError, pair_vectors
from workbench.structures.validation import StructureWarning

MESH, CUTOFF = (5, 1, 1), 25.0  # coarse and quick: what is tested here is not the physics of carbon


def chain():
    """A bent chain of carbon along x."""
    places = [[0.3, 3.2, 3.3], [1.6, 3.4, 3.2]]
    return Atoms("C2", places, cell=[2.6, 6.5, 6.5], pbc=(True, False, False))


@pytest.fixture(scope="module")
def solved():
    """The reference, and the solver of PySCF that it came from."""
    return with_solver(chain(), mesh=MESH, ke_cutoff=CUTOFF)


def test_the_bands_are_those_of_pyscf_on_the_mesh_and_between(solved):
    found, solver = solved
    for k, expected in zip(k_mesh(MESH), solver.mo_energy, strict=True):
        np.testing.assert_allclose(
            energies_at(found.H, found.S, k), np.asarray(expected) * HARTREE, atol=1e-5
        )
    k = [0.13, 0.0, 0.0]
    direct = solver.get_bands(solver.cell.get_abs_kpts([k]))[0][0] * HARTREE
    between = energies_at(found.H, found.S, k)
    np.testing.assert_allclose(between[:5], direct[:5], atol=2e-3)  # five points reach 6.5 A
    assert direct[3] < found.fermi_level < direct[5]


def test_the_blocks_are_hermitian_and_in_order(solved):
    """H is held to its hermiticity only: so coarse a grid breaks the chain's own symmetry."""
    H, S = solved[0].H, solved[0].S
    assert check(chain(), H).hermiticity_ev < 1e-9
    proof = check(chain(), S, S)
    assert proof.complaint is None
    assert proof.operations > 0
    assert proof.overlap_across < 1e-4  # images across the vacuum


def test_a_turn_of_the_crystal_turns_its_blocks(solved):
    """By 90 degrees about the chain, which leaves the grid of plane waves what it is."""
    R = wb.rotation((1, 0, 0), 90)
    turned = chain()
    turned.positions = (turned.positions - [0, 3.25, 3.25]) @ R.T + [0, 3.25, 3.25]
    again = wb.reference(turned, mesh=MESH, ke_cutoff=CUTOFF)
    assert (again.H - solved[0].H.rotate(R)).max_abs() < 1e-4
    assert (again.S - solved[0].S.rotate(R)).max_abs() < 1e-7


def test_how_it_was_made_is_recorded(solved):
    assert solved[0].method["k_mesh"] == [5, 1, 1]
    assert solved[0].n_electrons == 8
    assert default_mesh(chain()) == (10, 1, 1)


@pytest.mark.parametrize(
    ("change", "settings", "error", "says"),
    [
        ({"symbols": "CN"}, {}, StructureError, "double the cell"),
        ({"cell": [2.6, 0, 0]}, {}, StructureError, "cell of three vectors"),
        ({}, {"basis": "no-such-basis"}, ValueError, "PySCF lacks 'no-such-basis'"),
        ({}, {"xc": "b3lyp"}, ValueError, "no local or gradient functional"),
        ({}, {"max_cycle": 1, "mesh": (1, 1, 1), "ke_cutoff": 10.0}, SCFError, "did not converge"),
    ],
)
def test_refusals_are_one_clear_sentence(change, settings, error, says):
    atoms = chain()
    for name, value in change.items():
        setattr(atoms, name, value)
    with pytest.raises(error, match=says):
        wb.reference(atoms, **settings)


@pytest.mark.parametrize("basis", ["def2-svp", "STO-3G", "cc-pvdz"])
def test_orbitals_of_all_electrons_do_not_go_with_a_pseudopotential(basis):
    with pytest.raises(ValueError, match=f"gth-pbe replaces the core electrons, and {basis}"):
        wb.reference(chain(), basis=basis, mesh=MESH, ke_cutoff=CUTOFF)


@pytest.mark.parametrize(("key", "value"), [("charge", 2), ("spin", 2)])
def test_a_charge_or_spin_that_the_engine_would_ignore_is_refused(key, value):
    atoms = chain()
    atoms.info[key] = value
    with pytest.raises(StructureError, match=rf"\({value}\), but crystals are computed neutral"):
        wb.reference(atoms, mesh=MESH, ke_cutoff=CUTOFF)


def test_images_that_nearly_touch_across_the_vacuum_are_announced():
    atoms = chain()
    atoms.cell[1, 1] = 4.0
    with pytest.warns(StructureWarning, match=r"Along cell vector 2, .* only 3\.8 A apart"):
        ENGINE.check(atoms, None, "pbe")
    atoms.cell[1, 1] = atoms.cell[2, 2] = 12.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ENGINE.check(atoms, None, "pbe")


def test_the_overlap_alone_is_that_of_the_reference(solved):
    """On the mesh of the reference; and beyond it that of the integrals between two atoms."""
    found, _ = solved
    overlap = dispatch.overlap(chain(), found.S.basis, found.method, 6.5)
    assert (overlap.S - found.S).max_abs() < 1e-8
    assert overlap.n_electrons == found.n_electrons == 8
    apart = integrals(chain(), "int1e_ovlp", BASIS, 9.0)
    wide = dispatch.overlap(chain(), found.S.basis, found.method, 12.0).S
    kept = np.linalg.norm(pair_vectors(apart, chain()), axis=1) < 9.0
    values = wide.over(apart.edges, apart.shifts)
    np.testing.assert_allclose(values[kept], apart.values[kept], atol=5e-4)  # across the vacuum


def test_orbitals_that_pyscf_lacks_have_no_overlap(solved):
    basis = solved[0].S.basis
    for wrong, says in (
        (wb.Basis("deeph", basis.shells), "no basis 'deeph'"),
        (wb.Basis(basis.name, {6: (0, 1, 2)}), "other shells"),
    ):
        with pytest.raises(ValueError, match=says):
            dispatch.overlap(chain(), wrong, {}, 6.0)
    of_siesta = wb.Basis("siesta", basis.shells)
    with pytest.raises(ValueError, match="no basis 'siesta'"):
        dispatch.overlap(chain(), of_siesta, {"program": "SIESTA"}, 6.0)
