"""Properties of a true Hamiltonian are those of PySCF; they follow rotations and permutations."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from pyscf import lo, scf

import workbench as wb
from workbench.engines import pyscf_spinors
from workbench.engines.pyscf_molecules import mole
from workbench.hamiltonians.conventions import BOHR, HARTREE
from workbench.structures.sampling import Displaced

FIELD = {"conv_tol": 1e-12, "conv_tol_grad": 1e-9}


def solved(atoms, basis="def2-svp", xc="hf"):
    """PySCF's own calculation, converged tightly."""
    molecule = mole(atoms, basis)
    field = scf.RHF(molecule) if xc == "hf" else scf.RKS(molecule, xc=xc)
    field.set(**FIELD)
    if xc != "hf":
        field.grids.level, field.grids.prune = 2, None
    field.kernel()
    return field


def loewdin_charges(field):
    """PySCF's Mulliken analysis in Loewdin's orthogonal orbitals."""
    C = lo.orth.lowdin(field.get_ovlp())
    back = np.linalg.inv(C)
    density = back @ field.make_rdm1() @ back.T
    return field.mulliken_pop(dm=density, s=np.eye(len(C)), verbose=0)[1]


def mayer(field):
    """Bond orders atom by atom, by the definition."""
    PS = field.make_rdm1() @ field.get_ovlp()
    slices = field.mol.aoslice_by_atom()[:, 2:]
    orders = [[np.sum(PS[a:b, c:d] * PS[c:d, a:b].T) for c, d in slices] for a, b in slices]
    return np.array(orders) * (1 - np.eye(len(slices)))


CASES = {
    "ammonia": ("ammonia", "def2-svp", "hf"),
    "a Kohn-Sham molecule": ("water", "def2-svp", "pbe"),
    "an ion": ("smiles:[OH3+]", "def2-svp", "hf"),
    "a core potential": ("smiles:CI", "def2-svp", "hf"),
}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def case(request):
    source, basis, xc = request.param
    atoms = Displaced(0.05).draw(wb.load(source), 1, np.random.default_rng(3))[0]
    ref = wb.reference(atoms, basis, xc, grid=2, conv_tol=1e-12, conv_tol_grad=1e-9)
    return atoms, ref, solved(atoms, basis, xc)


def test_each_property_is_that_of_pyscf(case):
    atoms, ref, field = case
    found = wb.properties(atoms, ref, total_energy=True)
    np.testing.assert_allclose(found.orbital_energies, field.mo_energy * HARTREE, atol=1e-6)
    frontier = field.mo_energy[found.n_occupied - 1 : found.n_occupied + 1] * HARTREE
    assert [found.homo, found.lumo, found.gap] == pytest.approx([*frontier, np.ptp(frontier)])
    mulliken = field.mulliken_pop(verbose=0)[1]
    np.testing.assert_allclose(found.mulliken_charges, mulliken, atol=1e-6)
    np.testing.assert_allclose(found.loewdin_charges, loewdin_charges(field), atol=1e-6)
    np.testing.assert_allclose(found.bond_orders, mayer(field), atol=1e-6)
    origin = found.dipole_origin / BOHR
    dipole = scf.hf.dip_moment(field.mol, field.make_rdm1(), origin=origin, verbose=0)
    np.testing.assert_allclose(found.dipole, dipole, atol=1e-6)
    assert found.total_energy == pytest.approx(field.e_tot * HARTREE, abs=1e-6)
    assert found.total_energy == pytest.approx(ref.energy, abs=1e-6)
    charge = atoms.info["charge"]
    assert found.n_electrons == field.mol.nelectron
    assert found.mulliken_charges.sum() == pytest.approx(charge, abs=1e-9)
    assert found.loewdin_charges.sum() == pytest.approx(charge, abs=1e-9)


def test_a_bare_matrix_and_a_reference_agree(case):
    atoms, ref, _ = case
    bare, full = wb.properties(atoms, ref.H), wb.properties(atoms, ref)
    np.testing.assert_allclose(bare.dipole, full.dipole, atol=1e-9)
    np.testing.assert_allclose(bare.density_matrix, full.density_matrix, atol=1e-9)
    assert (bare.level_of_theory, bare.n_electrons) == ("", full.n_electrons)
    assert full.level_of_theory


def test_a_rotation_turns_the_dipole_and_keeps_the_charges(case):
    atoms, ref, _ = case
    R = wb.rotation((1, 2, 0), 70)
    here = wb.properties(atoms, ref.H)
    there = wb.properties(wb.rotate(atoms, R), ref.H.rotate(R))
    np.testing.assert_allclose(there.dipole, R @ here.dipole, atol=1e-7)
    for name in ("mulliken_charges", "loewdin_charges", "bond_orders", "orbital_energies"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-7)


def test_a_shift_changes_nothing_also_of_an_ion(case):
    atoms, ref, _ = case
    moved = atoms.copy()
    moved.positions += [3.0, -2.0, 1.0]
    here, there = wb.properties(atoms, ref.H), wb.properties(moved, ref.H)
    np.testing.assert_allclose(there.dipole, here.dipole, atol=1e-8)


def test_a_permutation_of_the_atoms_permutes_the_charges(case):
    atoms, ref, _ = case
    order = np.roll(np.arange(len(atoms)), 1)
    here = wb.properties(atoms, ref.H)
    there = wb.properties(atoms[order], ref.H.permute(order))
    np.testing.assert_allclose(there.mulliken_charges, here.mulliken_charges[order], atol=1e-8)
    np.testing.assert_allclose(there.loewdin_charges, here.loewdin_charges[order], atol=1e-8)
    np.testing.assert_allclose(there.bond_orders, here.bond_orders[np.ix_(order, order)], atol=1e-8)
    np.testing.assert_allclose(there.dipole, here.dipole, atol=1e-8)


def test_iodine_counts_its_valence_electrons():
    """def2-SVP replaces 28 electrons of iodine; HI has 26 left, and charges that add up to 0."""
    atoms = wb.load("smiles:I")
    found = wb.properties(atoms, wb.reference(atoms, "def2-svp", "hf"))
    assert found.n_electrons == 26
    assert np.abs(found.mulliken_charges).max() < 0.5
    assert found.bonds()[0][2] == pytest.approx(1, abs=0.1)


def test_a_prediction_has_properties_near_the_true_ones(water):
    prediction, true = wb.load_model("water").predict(water), wb.reference(water)
    found, right = (wb.properties(water, H, total_energy=True) for H in (prediction, true))
    assert found.level_of_theory == "PBE/def2-svp, PySCF"
    np.testing.assert_allclose(found.dipole, right.dipole, atol=0.05)
    np.testing.assert_allclose(found.mulliken_charges, right.mulliken_charges, atol=0.02)
    assert -1e-4 < found.total_energy - true.energy < 0.05  # eV; variational
    assert wb.properties(water, true).total_energy is None


def test_the_functional_may_be_another_one(water):
    ref = wb.reference(water, "sto-3g", "hf")
    own = wb.properties(water, ref.H, total_energy=True, xc="hf").total_energy
    assert own == pytest.approx(ref.energy, abs=1e-7)
    coarse = wb.properties(water, ref.H, total_energy=True, xc="pbe", grid=1).total_energy
    fine = wb.properties(water, ref.H, total_energy=True, xc="pbe").total_energy
    assert 0 < abs(coarse - fine) < 0.05
    other = wb.properties(water, ref, total_energy=True, xc="pbe").total_energy
    assert abs(other - own) > 1


def test_without_an_empty_orbital_there_is_no_gap():
    atoms = wb.load(Atoms("He"))
    found = wb.properties(atoms, wb.reference(atoms, "sto-3g", "hf"))
    assert (found.lumo, found.gap) == (None, None)
    assert found.to_json()["gap_ev"] is None


def test_the_result_is_json(case):
    atoms, ref, _ = case
    found = wb.properties(atoms, ref)
    result = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert result["dipole_debye"] == pytest.approx(found.dipole)
    assert result["gap_ev"] == found.gap
    assert "missing" not in result
    assert all(order >= 0.1 for _, _, order in result["bond_orders"])


def test_functions_unknown_to_pyscf_leave_the_dipole_out(water):
    ref = wb.reference(water, "sto-3g", "hf")
    own = {m: replace(getattr(ref, m), basis=replace(ref.H.basis, name="own")) for m in ("H", "S")}
    found = wb.properties(water, replace(ref, **own))
    assert found.dipole is None
    assert found.missing == {"dipole": "PySCF does not have the functions of the basis own"}
    right = wb.properties(water, ref)
    np.testing.assert_allclose(found.mulliken_charges, right.mulliken_charges, atol=1e-12)
    bare = wb.properties(water, own["H"], own["S"], 10)
    np.testing.assert_allclose(bare.bond_orders, right.bond_orders, atol=1e-12)
    with pytest.raises(ValueError, match="functions of the basis own, so the total energy"):
        wb.properties(water, own["H"], own["S"], 10, total_energy=True, xc="hf")
    with pytest.raises(ValueError, match=r"need the overlap, and there is none .*: give it as S\."):
        wb.properties(water, own["H"])
    with pytest.raises(ValueError, match="number of electrons that H describes is not known"):
        wb.properties(water, own["H"], own["S"])


def test_electrons_that_fit_no_cores_leave_the_charges_out(water):
    ref = wb.reference(water, "sto-3g", "hf")
    found = wb.properties(water, ref, n_electrons=8)
    assert found.mulliken_charges is None
    assert set(found.missing) == {"mulliken_charges", "loewdin_charges", "dipole"}
    json.dumps(found.to_json(), allow_nan=False)


def test_what_makes_no_sense_is_refused_in_a_sentence(water):
    ref = wb.reference(water, "sto-3g", "hf")
    with pytest.raises(ValueError, match="belongs to other atoms than the structure"):
        wb.properties(wb.load("ammonia"), ref)
    moved = water.copy()
    moved.positions[1] += 0.1
    with pytest.raises(ValueError, match=r"other positions of these atoms.*reference\.atoms"):
        wb.properties(moved, ref)
    with pytest.raises(ValueError, match="unpaired electron"):
        wb.properties(wb.load(water, spin=2), ref)
    with pytest.raises(ValueError, match="9 electrons do not fill closed shells"):
        wb.properties(water, ref, n_electrons=9)
    with pytest.raises(ValueError, match=r"functional .* is not known.*give it with xc"):
        wb.properties(water, ref.H, total_energy=True)
    with pytest.raises(ValueError, match="grid must be a whole number from 0 to 9"):
        wb.properties(water, ref, total_energy=True, grid=10)
    with pytest.raises(ValueError, match="libxc knows no functional 'nonsense'"):
        wb.properties(water, ref, total_energy=True, xc="nonsense")


@pytest.mark.parametrize(("basis", "relativity"), [("crenbl", "ecp"), ("sto-3g", "x2c")])
def test_spinors_have_spin_orbit_levels_and_pyscf_s_properties(basis, relativity):
    atoms = wb.load("smiles:Br" if relativity == "x2c" else "smiles:I")
    tight = {"conv_tol": 1e-12, "conv_tol_grad": 1e-9, "spin_orbit": True}
    ref = wb.reference(atoms, basis, "hf", relativity=relativity, **tight)
    found = wb.properties(atoms, ref, total_energy=True)
    field = pyscf_spinors.solver(atoms, basis, "hf", relativity=relativity)
    field.conv_tol, field.conv_tol_grad = 1e-12, 1e-9
    field.kernel(dm0=pyscf_spinors.start(field.mol))
    np.testing.assert_allclose(found.orbital_energies, field.mo_energy * HARTREE, atol=1e-5)
    pairs = found.orbital_energies.reshape(-1, 2)
    assert np.ptp(pairs, axis=1).max() < 1e-5  # Kramers
    assert np.diff(pairs[: found.n_occupied // 2, 0])[-1] > 0.1  # the split lone pairs, eV
    mulliken = field.mulliken_pop(verbose=0)[1]
    np.testing.assert_allclose(found.mulliken_charges, mulliken, atol=1e-6)
    np.testing.assert_allclose(found.dipole, field.dip_moment(verbose=0), atol=1e-6)
    assert found.total_energy == pytest.approx(field.e_tot * HARTREE, abs=1e-6)
