"""Molecules with spin-orbit coupling: the laws of spinors, known splittings, labels, refusals."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from pyscf import dft, scf
from pyscf.x2c import x2c
from typer.testing import CliRunner

import workbench as wb
from tests.support.spinor import selenide
from workbench.cli.app import app
from workbench.engines import SCFError, pyscf_spinors
from workbench.engines.dispatch import again
from workbench.engines.pyscf_molecules import ao_order, mole
from workbench.hamiltonians import spin_parts
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import gap, levels
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import StructureError

TURN = random_rotation(np.random.default_rng(5))
WAYS = {
    "ecp": {"xc": "hf"},
    "x2c": {"xc": "hf", "relativity": "x2c", "basis": "dzp-dkh"},
    "pbe": {"xc": "pbe", "grid": 1},
}


def telluride() -> Atoms:
    """H2Te of no symmetry."""
    return Atoms("TeHH", [[0.0, 0.1, 0.0], [0.3, 1.1, 1.2], [0.1, -1.2, 1.1]])


@cache
def made(way: str) -> wb.Reference:
    return wb.reference(selenide(), spin_orbit=True, **WAYS[way])


def relative(a: BlockMatrix, b: BlockMatrix) -> float:
    return (a - b).max_abs() / b.max_abs()


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [TURN, -TURN], ids=["proper", "improper"])
@pytest.mark.parametrize("way", ["ecp", "x2c"])
def test_hartree_fock_obeys_the_rotation_law_of_spinors(way, turn):
    here, there = made(way), wb.reference(wb.rotate(selenide(), turn), spin_orbit=True, **WAYS[way])
    coupling = here.H - here.H.without_spin().with_spin()
    assert coupling.max_abs() > 0.1  # eV: it is really there
    assert relative(there.H, here.H.rotate(turn)) < 1e-11
    assert relative(there.S, here.S.rotate(turn)) < 1e-12
    assert there.energy == pytest.approx(here.energy, abs=1e-7)


def test_kohn_sham_obeys_it_down_to_the_grid_of_the_same_molecule_without_spin():
    """Were there magnetisation, spins seen along z alone would leave more than the grid does."""

    def predictor(**how):
        return lambda atoms: wb.reference(atoms, "crenbl", "pbe", grid=1, **how).H

    report = wb.equivariance(
        {"GKS": predictor(spin_orbit=True), "RKS": predictor()}, selenide(), TURN
    )
    assert 0.1 < report["RKS"].max_mev < 10  # never exactly zero
    assert report["GKS"].max_mev == pytest.approx(report["RKS"].max_mev, rel=0.01)
    assert report["GKS"].mae_mev == pytest.approx(report["RKS"].mae_mev / 2, rel=0.01)


def test_the_sign_of_a_full_turn_is_lost_in_h():
    H, half = made("ecp").H, wb.rotation((1, 2, 3), 180)
    D = H.basis.rotation(half)
    np.testing.assert_allclose(D @ D, -np.eye(len(D)), atol=1e-12)
    assert relative(H.rotate(half).rotate(half), H) < 1e-14


@pytest.mark.parametrize("way", WAYS)
def test_levels_are_kramers_pairs_of_a_hermitian_matrix(way):
    ref = made(way)
    energies = levels(ref.H, ref.S)
    np.testing.assert_allclose(energies[::2], energies[1::2], atol=1e-9, rtol=0)
    assert spin_parts.odd_part(ref.H.values) == 0
    assert (ref.H - ref.H.hermitian()).max_abs() == 0
    assert gap(ref.H, ref.S, ref.n_electrons) > 1
    flip = np.kron([[0, 1], [-1, 0]], np.eye(ref.H.n_ao // 2))  # i sigma_y, then conjugation
    dense = ref.H.dense()
    np.testing.assert_allclose(flip @ dense.conj() @ flip.T, dense, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_permuting_the_atoms_permutes_the_blocks(way):
    order = [2, 0, 1]
    permuted = wb.reference(selenide()[order], spin_orbit=True, **WAYS[way])
    assert relative(permuted.H, made(way).H.permute(order)) < 1e-11


# ---- against other programs, theories and experiment ---------------------------------------------


def plain(field: Any, tilted: bool = False) -> Any:
    """PySCF's solver run from its own guess or from unpolarised spins."""
    field.conv_tol, field.conv_tol_grad = 1e-11, 1e-8
    start = np.kron(np.eye(2), scf.hf.init_guess_by_minao(field.mol) / 2).astype(complex)
    field.kernel(dm0=None if tilted else start)
    assert field.converged
    return field


def test_core_potentials_give_what_pyscf_alone_does():
    """Started from spins tilted as PySCF does: the closed shell is its ground state."""
    field: Any = scf.GHF(mole(selenide(), "crenbl"))
    field.with_soc = True
    theirs, ours = plain(field, tilted=True), made("ecp")
    assert ours.energy == pytest.approx(theirs.e_tot * HARTREE, abs=1e-6)
    np.testing.assert_allclose(levels(ours.H, ours.S), theirs.mo_energy * HARTREE, atol=1e-5)
    order = ao_order(theirs.mol)
    both = np.concatenate([order, order + theirs.mol.nao])
    assert np.abs(ours.H.dense() / HARTREE - theirs.get_fock()[np.ix_(both, both)]).max() < 1e-7
    assert np.array_equal(ours.S.dense(), theirs.get_ovlp()[np.ix_(both, both)])
    assert ours.n_electrons == 18  # 18 of selenium's 34 are in the core


def test_x2c_in_spin_orbitals_is_x2c_in_spinors_of_definite_j():
    atoms = Atoms("ClH", [[0.1, 0, 0], [0.5, 0.9, 0.8]])
    theirs: Any = x2c.UHF(mole(atoms, "dzp-dkh"))
    theirs.conv_tol = 1e-11
    energy = theirs.kernel() * HARTREE
    assert theirs.converged
    ours = wb.reference(atoms, "dzp-dkh", "hf", spin_orbit=True, relativity="x2c")
    assert ours.energy == pytest.approx(energy, abs=1e-6)
    energies = levels(ours.H, ours.S)
    np.testing.assert_allclose(energies, theirs.mo_energy * HARTREE, atol=1e-4)
    assert 1 < energies[6] - energies[4] < 3  # eV; 2p(3/2) over 2p(1/2): it is really there
    assert ours.n_electrons == 18


def test_collinear_spins_are_exact_where_there_is_no_magnetisation():
    """The local density in full, with spins along any axis, is the same matrix."""
    field: Any = dft.GKS(mole(telluride(), "crenbl"), xc="lda,vwn")
    field.with_soc, field.collinear = True, "ncol"
    field.grids.level, field.grids.prune = 1, None
    theirs = plain(field)
    ours = wb.reference(telluride(), xc="lda,vwn", grid=1, spin_orbit=True)
    assert ours.energy == pytest.approx(theirs.e_tot * HARTREE, abs=1e-7)
    np.testing.assert_allclose(levels(ours.H, ours.S), theirs.mo_energy * HARTREE, atol=1e-6)


def test_without_coupling_levels_are_those_without_spin_twice():
    field = pyscf_spinors.solver(selenide(), xc="hf")
    field.with_soc = False
    scalar = wb.reference(selenide(), "crenbl", "hf")
    energies = levels(scalar.H, scalar.S)
    assert scalar.H.basis.spinor is False
    np.testing.assert_allclose(
        plain(field).mo_energy * HARTREE, np.repeat(energies, 2), atol=1e-6, rtol=0
    )
    coupled = levels(made("ecp").H, made("ecp").S)
    assert np.abs(coupled - np.repeat(energies, 2)).max() > 0.1


@cache
def atom(symbol: str, charge: int, **how) -> wb.Reference:
    atoms = Atoms(symbol, [[0, 0, 0]], info={"charge": charge})
    return wb.reference(atoms, xc="hf", spin_orbit=True, **how)


def splitting(shell: str, symbol: str, charge: int, **how) -> float:
    """Of the outermost p or, below it and an s, d shell of an atom or ion, eV."""
    ref = atom(symbol, charge, **how)
    start, inner, outer = {"p": (-6, 2, 4), "d": (-18, 4, 6)}[shell]
    own = levels(ref.H, ref.S)[ref.n_electrons + start :][: inner + outer]
    np.testing.assert_allclose(own, np.repeat(own[[0, -1]], [inner, outer]), atol=1e-6)
    return float(own[-1] - own[0])


@pytest.mark.parametrize(
    ("symbol", "charge", "inverse_cm"),
    [("Br", -1, 3685.2), ("I", -1, 7603.0), ("Xe", 0, 10537.0)],
)
def test_p_shells_split_as_the_spectra_of_their_ions_say(symbol, charge, inverse_cm):
    """2P(1/2) over 2P(3/2) of Br, I and Xe+ (NIST); frozen orbitals overshoot by a tenth."""
    measured = inverse_cm * units.invcm
    assert measured < splitting("p", symbol, charge) < 1.15 * measured


@pytest.mark.parametrize(("shell", "excess"), [("p", 0.05), ("d", 0.5)])
def test_x2c_leaves_out_what_electrons_do_to_each_other(shell, excess):
    all_electron = splitting(shell, "Br", -1, relativity="x2c")
    assert all_electron / splitting(shell, "Br", -1) == pytest.approx(1 + excess, rel=0.03)


def test_a_basis_contracted_without_coupling_is_too_stiff_for_heavy_atoms():
    contracted = splitting("p", "Xe", 0, relativity="x2c", basis="dzp-dkh")
    assert contracted / splitting("p", "Xe", 0) == pytest.approx(2 / 3, rel=0.05)


def test_both_ways_agree_on_the_valence_shell():
    ecp, all_electron = (
        levels(ref.H, ref.S)[ref.n_electrons - 8 : ref.n_electrons]
        for ref in (made("ecp"), made("x2c"))
    )
    np.testing.assert_allclose(ecp, all_electron, atol=0.4)  # eV, of levels between -26 and -9


# ---- records, labels -----------------------------------------------------------------------------


def test_another_geometry_is_computed_the_same_way():
    for way in ("x2c", "pbe"):
        ref = made(way)
        record = json.loads(json.dumps(ref.method))
        assert record["spin_orbit"] is True
        assert record["relativity"] == ("x2c" if way == "x2c" else "ecp")
        assert record["method"] == ("GKS" if way == "pbe" else "GHF")
        other = again(wb.rotate(selenide(), TURN), ref)
        assert other.method == ref.method
        assert (other.H - ref.H.rotate(TURN)).mae() < 1e-4


def test_without_spin_orbit_nothing_changes():
    atoms = Atoms("He", [[0, 0, 0]])
    with_word, without = (
        wb.reference(atoms, xc="hf", spin_orbit=False),
        wb.reference(atoms, xc="hf"),
    )
    assert with_word.method == without.method
    assert with_word.H.basis == without.H.basis


def test_labels_are_spinor_references_of_their_geometries(tmp_path):
    out = tmp_path / "selenides.h5"
    words = ["label", str(xyz(tmp_path)), "--out", str(out), "--sigma", "0.05", "--json"]
    words += ["--train", "1", "--valid", "1", "--test", "1", "--processes", "1", "--xc", "hf"]
    result = CliRunner().invoke(app, [*words, "--set", "spin_orbit=true"])
    assert result.exit_code == 0, result.output
    with wb.Dataset(out) as data:
        sample, method = data[0], data.provenance["recipe"]["method"]
    ref = wb.reference(sample.atoms, xc="hf", spin_orbit=True)
    assert method == ref.method
    assert (sample.H - ref.H).max_abs() < 1e-7
    assert relative(sample.S, ref.S) < 1e-14
    assert (sample.n_electrons, sample.energy) == (18, pytest.approx(ref.energy, abs=1e-6))


def xyz(folder):
    selenide().write(folder / "selenide.xyz")
    return folder / "selenide.xyz"


def test_a_job_says_what_it_lacks_before_it_starts(tmp_path):
    words = ["label", str(xyz(tmp_path)), "--out", str(tmp_path / "a.h5"), "--sigma", "0.05"]
    for more, says in [
        (["--set", "spin_orbit=true", "--basis", "def2-svp"], "no effective core potential"),
        (["--set", "spin_orbit=true", "--density-fitting"], "no setting 'density_fitting'"),
        (["--set", "spin_orbit=maybe"], "must be true or false"),
        (["--set", "relativity=x2c"], "no setting 'relativity'"),
    ]:
        result = CliRunner().invoke(app, [*words, *more])
        assert result.exit_code == 2
        assert says in " ".join(result.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["selenide.xyz"]


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("atoms", "how", "error", "says"),
    [
        ("TeHH", {"basis": "def2-svp"}, ValueError, "spin-orbit part for H, Te: use 'crenbl'"),
        ("BiI", {"basis": "crenbl"}, ValueError, "spin-orbit part for Bi:"),
        ("KrHF", {"basis": "crenbl"}, ValueError, "spin-orbit part for Kr:"),
        ("SeHH", {"basis": "def2-svp"}, ValueError, "for H, Se: use 'crenbl'"),
        ("HeHe", {}, ValueError, "no basis 'crenbl' for He"),
        ("TeHH", {"basis": "crenbl", "relativity": "x2c"}, ValueError, "effective cores for Te"),
        ("TeHH", {"relativity": "zora"}, ValueError, "choose ecp or x2c"),
        ("TeHH", {"xc": "pbee"}, ValueError, "functional 'pbee'"),
        ("TeHH", {"grid": 11}, ValueError, "0 to 9"),
        ("TeHH", {"density_fitting": True}, ValueError, "no setting 'density_fitting' .*coupling"),
        ("TeHH", {"spin_orbit": "yes"}, ValueError, "'yes': it must be true or false"),
        ("I", {}, StructureError, "odd"),
        ("TeHH", {"xc": "hf", "max_cycle": 2}, SCFError, "H2Te .*did not converge in 2 cycles"),
    ],
)
def test_refusals_are_one_clear_sentence(atoms, how, error, says):
    structure = Atoms(atoms)
    structure.positions = 2.0 * np.eye(3)[: len(structure)]
    with pytest.raises(error, match=says):
        wb.reference(structure, **{"spin_orbit": True, **how})


def test_crystals_and_open_shells_are_refused():
    with pytest.raises(ValueError, match="no setting 'spin_orbit'"):
        wb.reference(Atoms("Xe", cell=[9, 9, 9], pbc=True), spin_orbit=True)
    with pytest.raises(StructureError, match="unpaired"):
        wb.reference(Atoms("Te", [[0, 0, 0]], info={"spin": 2}), spin_orbit=True)
    with pytest.raises(ValueError, match="crystal"):
        pyscf_spinors.reference(Atoms("Xe", cell=[9, 9, 9], pbc=True))


def test_a_magnetic_solution_is_no_label():
    dense = made("ecp").H.dense() / HARTREE
    n = len(dense) // 2
    assert np.allclose(pyscf_spinors._paired(dense, selenide()), dense, atol=1e-14)
    with pytest.raises(SCFError, match="H2Se became magnetic"):
        pyscf_spinors._paired(dense + 1e-4 * np.kron(np.diag([1, -1]), np.eye(n)), selenide())


# ---- two grids -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [{}, WAYS["x2c"] | {"xc": "pbe"}], ids=["ecp", "x2c"])
def test_two_grids_end_where_the_fine_one_alone_does(way):
    """The Fock matrix of PySCF's plain GKS, within the gradient that was asked for."""
    how = {"xc": "pbe", "grid": 3, **way}
    theirs = plain(pyscf_spinors.solver(selenide(), **how))
    ours = wb.reference(selenide(), spin_orbit=True, **how)
    assert ours.energy == pytest.approx(theirs.e_tot * HARTREE, abs=1e-7)
    order = ao_order(theirs.mol)
    both = np.concatenate([order, order + theirs.mol.nao])
    assert np.linalg.norm(ours.H.dense() / HARTREE - theirs.get_fock()[np.ix_(both, both)]) < 3e-7
