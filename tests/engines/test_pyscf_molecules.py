"""The reference engine: rotating and recomputing, permuting, and every refusal."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from pyscf import scf

from workbench.engines import pyscf_molecules
from workbench.engines.convention_check import convention_residuals
from workbench.engines.dispatch import again, pyscf
from workbench.engines.pyscf_molecules import (
    SCFError,
    ao_order,
    basis_of,
    mole,
    overlap,
    reference,
    solver,
    xc_of,
)
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import levels
from workbench.hamiltonians.rotations import random_rotation, rotation
from workbench.structures.loading import StructureError, rotate

TURN = random_rotation(np.random.default_rng(5))


def relative(a: BlockMatrix, b: BlockMatrix) -> float:
    return (a - b).max_abs() / b.max_abs()


def water() -> Atoms:
    """Water of no symmetry, away from the origin."""
    return Atoms("OHH", [[0.3, 0.1, 0.0], [0.5, 0.9, 0.5], [0.4, -0.6, 0.6]])


@pytest.mark.parametrize(
    ("atoms", "basis", "turn"),
    [
        (water(), "def2-svp", TURN),
        (water(), "def2-svp", -TURN),
        (water(), "def2-tzvpp", TURN),  # up to f on O
        (molecule("CH2_s1A1d"), "def2-svp", rotation((1, 2, 3), 77)),
        (Atoms("FBr", [[0, 0, 0], [0.9, 0.8, 1.2]]), "def2-svp", TURN),
    ],
    ids=["proper", "improper", "f shells", "carbene", "bromine"],
)
def test_hartree_fock_obeys_the_rotation_law(atoms, basis, turn):
    here, there = (reference(a, basis, "hf") for a in (atoms, rotate(atoms, turn)))
    assert relative(there.H, here.H.rotate(turn)) < 1e-10
    assert relative(there.S, here.S.rotate(turn)) < 1e-12
    assert there.energy == pytest.approx(here.energy, abs=1e-7)


def test_kohn_sham_obeys_the_rotation_law_down_to_its_grid():
    atoms = water()
    law = pyscf(grid=2)(atoms).rotate(TURN)
    coarse = (pyscf(grid=2)(rotate(atoms, TURN)) - law).mae()
    fine = (pyscf(grid=4)(rotate(atoms, TURN)) - pyscf(grid=4)(atoms).rotate(TURN)).mae()
    assert 1e-9 < fine < 1e-6 < coarse < 1e-2  # eV; never exactly zero


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("grid", [2, 4])  # without and with a grid between
@pytest.mark.parametrize("gradient", [1e-8, 1e-6, 1e-5])
def test_two_grids_end_where_the_fine_one_alone_does(gradient, grid, fitted):
    """The Fock matrix of PySCF's plain solver, within the gradient that was asked for."""
    plain = solver(water(), grid=grid, density_fitting=fitted)
    plain.conv_tol, plain.conv_tol_grad = 1e-12, 1e-10
    energy = plain.kernel() * HARTREE
    order = np.ix_(*[ao_order(plain.mol)] * 2)
    ours = reference(water(), grid=grid, conv_tol_grad=gradient, density_fitting=fitted)
    error = np.linalg.norm(ours.H.dense() / HARTREE - plain.get_fock()[order])
    assert error < 2 * gradient
    assert ours.energy == pytest.approx(energy, abs=1e-7)


def test_a_fitted_density_is_near_the_exact_one_and_on_record():
    exact, fitted = (reference(water(), grid=2, density_fitting=f) for f in (False, True))
    assert 1e-6 < (fitted.H - exact.H).max_abs() / HARTREE < 2e-4
    assert fitted.method == exact.method | {"density_fitting": True}
    assert (again(water(), fitted).H - fitted.H).max_abs() < 1e-4


def test_the_matrices_are_those_of_pyscf():
    atoms = water()
    ours = reference(atoms, xc="hf")
    theirs = scf.RHF(mole(atoms, "def2-svp")).run(conv_tol_grad=1e-8)
    assert np.allclose(levels(ours.H, ours.S), theirs.mo_energy * HARTREE, atol=1e-6)
    assert ours.energy == pytest.approx(theirs.e_tot * HARTREE, abs=1e-7)
    assert ours.n_electrons == 10
    assert ours.method["method"] == "RHF"
    assert "grid_level" not in ours.method


def test_the_method_is_recorded():
    made = reference(Atoms("He", [[0, 0, 0]]), basis="Def2-SVP", xc="PBE", grid=1).method
    assert (made["functional"], made["basis"], made["grid_level"]) == ("pbe", "def2-svp", 1)
    assert made["grid_pruning"] == "none"
    assert made["program"] == "PySCF"
    assert made["version"]


def test_permuting_the_atoms_permutes_the_blocks():
    atoms, order = water(), [2, 0, 1]
    assert relative(pyscf(xc="hf")(atoms[order]), pyscf(xc="hf")(atoms).permute(order)) < 1e-10


def test_overlap_alone_equals_that_of_the_reference():
    atoms = water()
    full = reference(atoms, xc="hf")
    assert relative(overlap(atoms, full.S.basis), full.S) < 1e-14
    wider = basis_of("def2-svp", [1, 6, 8])
    assert relative(overlap(atoms, wider), full.S) < 1e-14
    spinor = overlap(atoms, Basis("def2-svp", wider.shells, spinor=True)).dense()
    assert np.allclose(spinor, np.kron(np.eye(2), full.S.dense()), atol=1e-14)


def test_overlap_ignores_an_odd_electron_count():
    assert overlap(Atoms("H", [[0, 0, 0]]), basis_of("sto-3g", [1])).dense() == pytest.approx(1.0)


def test_a_cached_molecule_that_was_moved_has_the_integrals_of_a_new_one():
    """One cached molecule serves all geometries of its atoms."""
    atoms = molecule("CH3CH2OH")
    for seed in (1, 2):
        rotated = rotate(atoms, random_rotation(np.random.default_rng(seed)))
        moved, new = mole(rotated, "def2-svp", electrons=False), mole(rotated, "def2-svp")
        np.testing.assert_array_equal(moved.atom_coords(), new.atom_coords())
        np.testing.assert_array_equal(scf.hf.get_hcore(moved), scf.hf.get_hcore(new))


def test_all_elements_to_krypton_have_def2_svp():
    basis = basis_of("def2-SVP", range(1, 37))
    assert basis.elements == tuple(range(1, 37))
    assert basis.shells[8] == (0, 0, 0, 1, 1, 2)
    assert max(basis.layout) == 2 or max(basis.layout) == 3
    assert basis.name == "def2-svp"


def test_a_core_potential_comes_with_the_basis():
    made = reference(Atoms("IH", [[0, 0, 0], [0, 0, 1.61]]), xc="hf")
    assert made.n_electrons == 26  # 28 of iodine's 53 are in the potential
    assert made.energy > -320 * HARTREE


def test_charge_is_respected():
    atoms = Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], info={"charge": -1})
    assert reference(atoms, "sto-3g", "hf").n_electrons == 10


@pytest.mark.parametrize(
    ("atoms", "options", "error", "says"),
    [
        (Atoms("H", [[0, 0, 0]]), {}, StructureError, "odd"),
        (Atoms("OO", [[0, 0, 0], [0, 0, 1.2]], info={"spin": 2}), {}, StructureError, "unpaired"),
        (water(), {"basis": "def2-svpp"}, ValueError, "no basis 'def2-svpp'"),
        (Atoms("UHe", [[0, 0, 0], [0, 0, 3]]), {}, ValueError, "for U"),
        (water(), {"xc": "pbee"}, ValueError, "functional 'pbee'"),
        (water(), {"xc": ""}, ValueError, "functional ''"),
        (water(), {"grid": 11}, ValueError, "0 to 9"),
        (water(), {"xc": "hf", "max_cycle": 2}, SCFError, "H2O.*did not converge in 2 cycles"),
        (Atoms("He", [[0, 0, 0]], cell=[9, 9, 9], pbc=True), {}, ValueError, "crystal"),
    ],
)
def test_refusals_are_one_clear_sentence(atoms, options, error, says):
    with pytest.raises(error, match=says):
        reference(atoms, **options)


def test_overlap_refuses_another_basis_of_the_same_name():
    with pytest.raises(ValueError, match="other shells"):
        overlap(Atoms("He", [[0, 0, 0]]), Basis("sto-3g", {2: (0, 0)}))


def test_every_convention_holds():
    residuals = convention_residuals(seed=1)
    assert len(residuals) == 8
    assert max(residuals.values()) < 1e-10, residuals


def test_a_wrong_order_of_p_shows_as_a_residual(monkeypatch):
    table = {"pyscf": {0: (0,), 1: (0, 1, 2), 2: tuple(range(5)), 3: tuple(range(7))}}
    monkeypatch.setattr("workbench.engines.pyscf_molecules.AO_TO_M", table)
    uncached = pyscf_molecules._order.__wrapped__
    monkeypatch.setattr("workbench.engines.pyscf_molecules._order", uncached)
    residuals = convention_residuals()
    assert residuals["overlap of s to g orbitals, rotation"] > 1e-3
    assert residuals["spin-orbit core Hamiltonian, rotation"] > 1e-3
    assert residuals["harmonics against PySCF orbitals, s to g"] > 0.1


def test_a_method_without_a_functional_has_no_fock_matrix():
    assert xc_of({"method": "RHF"}) == "hf"
    with pytest.raises(ValueError, match="functional of these data is not on record"):
        xc_of({"basis": "def2-svp", "program": "ORCA"})
