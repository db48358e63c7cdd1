"""A calculation of one's own with PySCF as a `Reference`."""

import numpy as np
import pytest
from ase import Atoms
from pyscf import dft, gto, scf
from pyscf.pbc import dft as pbc_dft
from pyscf.pbc import gto as pbc_gto
from pyscf.pbc import scf as pbc_scf

import workbench as wb
from workbench.engines import SCFError
from workbench.engines.dispatch import again
from workbench.engines.pyscf_molecules import mole
from workbench.hamiltonians.conventions import BOHR, HARTREE


def molecule(atoms, basis="def2-svp", **settings):
    positions = zip(atoms.symbols, (atoms.positions / BOHR).tolist(), strict=True)
    return gto.M(atom=list(positions), unit="Bohr", basis=basis, verbose=0, **settings)


@pytest.fixture(scope="module")
def water():
    atoms = wb.load("water")
    atoms.rattle(0.05, seed=2)
    return atoms


def test_it_is_the_reference_of_the_same_settings(water):
    field = scf.RHF(molecule(water)).run(conv_tol=1e-12, conv_tol_grad=1e-9)
    mine, made = wb.from_pyscf(field), wb.reference(water, xc="hf")
    assert (mine.H - made.H).max_abs() < 1e-6
    assert (mine.S - made.S).max_abs() < 1e-10
    assert mine.energy == pytest.approx(made.energy, abs=1e-6)
    assert mine.H.basis == made.H.basis
    assert mine.n_electrons == 10
    np.testing.assert_allclose(mine.atoms.positions, water.positions, atol=1e-12)
    np.testing.assert_allclose(wb.levels(mine.H, mine.S), field.mo_energy * HARTREE, atol=1e-6)


def test_settings_that_the_workbench_lacks_turn_with_the_molecule(water):
    """Density fitting and a mixed basis: rotated and computed again."""
    basis = {"H": "6-31g", "O": gto.basis.load("6-31g*", "O")}

    def computed(atoms):
        field = scf.RHF(molecule(atoms, basis)).density_fit()
        return wb.from_pyscf(field.run(conv_tol=1e-11))

    R = wb.rotation((1, 2, 3), 70)
    made, rotated = computed(water), computed(wb.rotate(water, R))
    assert made.H.basis.name == "own"
    assert (rotated.H - made.H.rotate(R)).max_abs() < 1e-5
    assert (rotated.S - made.S.rotate(R)).max_abs() < 1e-10
    assert made.method["calculation"] == "DFRHF"
    with pytest.raises(ValueError, match="comes from a script of your own"):
        again(water, made)


def test_a_basis_of_a_known_name_with_other_functions_is_one_of_its_own(water):
    tables = {s: gto.basis.load("def2-svp", s) for s in ("H", "O")}
    tables["O"][0][1][0] *= 1.01
    made = wb.from_pyscf(scf.RHF(molecule(water, tables)).run())
    assert made.H.basis.name == "own"
    named = wb.from_pyscf(scf.RHF(molecule(water, "DEF2-SVP")).run())
    assert named.H.basis.name == "def2-svp"


def test_spinors_and_functionals(water):
    field = dft.GKS(mole(water, "crenbl"), xc="pbe")
    field.with_soc, field.grids.level = True, 0
    made = wb.from_pyscf(field.run())
    assert made.H.basis.spinor
    assert (made.method["method"], made.method["functional"]) == ("GKS", "pbe")
    np.testing.assert_allclose(wb.levels(made.H, made.S), field.mo_energy * HARTREE, atol=1e-6)


@pytest.fixture(scope="module")
def chain():
    return pbc_gto.M(
        a=np.diag([2.0, 6.0, 6.0]),
        atom="He 0 0 0; He 1.2 0.3 0",
        basis="gth-szv",
        pseudo="gth-pade",
        ke_cutoff=40,
        verbose=0,
    )


def test_a_crystal_on_a_mesh_in_any_order(chain):
    k = chain.make_kpts([4, 1, 1])
    field = pbc_dft.KRKS(chain, k[[2, 0, 3, 1]], xc="lda,vwn").run()
    made = wb.from_pyscf(field)
    np.testing.assert_allclose(made.atoms.cell.lengths(), [2, 6, 6], atol=1e-9)
    for point, energies in zip(chain.get_scaled_kpts(field.kpts), field.mo_energy, strict=True):
        h, s = made.H.at_k(point), made.S.at_k(point)
        found = np.linalg.eigvals(np.linalg.solve(s, h)).real
        np.testing.assert_allclose(np.sort(found), energies * HARTREE, atol=1e-6)
    assert made.method["method"] == "KRKS"
    assert made.method["k_mesh"] == [4, 1, 1]


def test_what_approximates_a_calculation_is_recorded(water, chain):
    """Pseudopotential, cutoff and smearing of crystals; fitting, solvent and cores of molecules."""
    smeared = scf.addons.smearing_(pbc_dft.KRKS(chain, chain.make_kpts([2, 1, 1])), sigma=0.01)
    made = wb.from_pyscf(smeared.run(xc="lda,vwn"))
    said = {"pseudopotential": "gth-pade", "ke_cutoff_hartree": 40, "smearing": "fermi"}
    assert {name: made.method[name] for name in said} == said
    assert made.method["smearing_ev"] == pytest.approx(0.01 * HARTREE)
    field = dft.RKS(molecule(water, "sto-3g"), xc="pbe").density_fit(auxbasis="def2-svp-jkfit")
    field.grids.level = 1
    made = wb.from_pyscf(field.PCM().run())
    said = {"grid_level": 1, "density_fitting": "def2-svp-jkfit", "solvent": "PCM"}
    assert {name: made.method[name] for name in said} == said
    assert "pseudopotential" not in made.method
    cores = wb.from_pyscf(scf.RHF(molecule(wb.load("HF"), "crenbl", ecp={"F": "crenbl"})).run())
    assert cores.method["ecp"] == {"F": "crenbl"}


def test_what_cannot_be_used_is_refused_in_a_sentence(water, chain):
    ready = molecule(water, "sto-3g")
    shifted = chain.make_kpts([2, 1, 1]) + 0.1
    two_bases = gto.M(
        atom="O 0 0 0; H1 0 0 1; H2 0 1 0",
        basis={"O": "sto-3g", "H1": "sto-3g", "H2": "6-31g"},
        verbose=0,
    )
    ghost = gto.M(atom="O 0 0 0; H 0 0 1; H 0 1 0; GHOST-H 2 2 2", basis="sto-3g", verbose=0)
    cases = [
        (scf.UHF(ready).run(), ValueError, "UHF is not supported here: use RHF, RKS"),
        (scf.ROHF(ready).run(), ValueError, "ROHF is not supported"),
        (scf.RHF(ready), SCFError, "has not converged: call its kernel"),
        (scf.RHF(ready).run(max_cycle=1), SCFError, "has not converged"),
        (scf.RHF(molecule(water, "def2-svp", cart=True)).run(), ValueError, "set cart=False"),
        (scf.RHF(two_bases).run(), ValueError, "Two atoms of H have different orbitals"),
        (scf.RHF(ghost).run(), ValueError, "GHOST-H is a ghost atom"),
        (pbc_dft.KRKS(chain, shifted).run(), ValueError, "no whole Gamma-centred mesh"),
        (pbc_scf.KUHF(chain), ValueError, "KUHF is not supported here: use KRHF or KRKS"),
    ]
    for field, error, sentence in cases:
        with pytest.raises(error, match=sentence):
            wb.from_pyscf(field)


def test_every_engine_records_the_structure():
    atoms = Atoms("H2", [(0, 0, 0), (0, 0, 0.74)])
    assert wb.reference(atoms, basis="sto-3g", xc="hf").atoms == atoms
