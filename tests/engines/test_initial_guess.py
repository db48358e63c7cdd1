"""The Hamiltonian of superposed atomic potentials, and the charges fitted for it."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from pyscf import df, gto, scf

from workbench.engines import initial_guess
from workbench.engines.initial_guess import EXPONENTS, density, fit, guess, superposition
from workbench.engines.pyscf_molecules import ao_order, basis_of, mole, overlap, reference
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import load, rotate

ATOMS = load("ethanol")
BASIS = basis_of("def2-svp", ATOMS.numbers)
CHARGES = np.random.default_rng(0).uniform(0.0, 2.0, (len(BASIS.elements), len(EXPONENTS)))
IODINE = Atoms("HI", [[0, 0, 0], [0.3, 0.2, 1.6]])  # its core is an effective potential


def largest(matrix) -> float:
    return float(matrix.max_abs())


@pytest.mark.parametrize("atoms", [ATOMS, IODINE], ids=["ethanol", "an effective core"])
@pytest.mark.parametrize("sign", [1, -1], ids=["rotation", "with inversion"])
def test_it_turns_with_the_molecule(atoms, sign):
    basis = basis_of("def2-svp", atoms.numbers)
    charges = CHARGES[: len(basis.elements)]
    R = sign * random_rotation(np.random.default_rng(1))
    moved = atoms.copy()
    moved.positions = atoms.positions @ R.T + [1.0, -2.0, 3.0]
    here, there = (superposition(a, basis, charges) for a in (atoms, moved))
    assert largest(there - here.rotate(R)) < 1e-11 * largest(here)


def test_renumbered_atoms_renumber_it():
    order = np.random.default_rng(2).permutation(len(ATOMS))
    here, there = (superposition(a, BASIS, CHARGES) for a in (ATOMS, ATOMS[order]))
    for a, i in enumerate(order):
        for b, j in enumerate(order):
            np.testing.assert_allclose(there.block(a, b), here.block(i, j), atol=1e-10)


@pytest.mark.parametrize("atoms", [ATOMS, IODINE], ids=["ethanol", "an effective core"])
def test_the_integrals_are_those_of_gaussian_charges(atoms):
    """Each charge alone against PySCF's own molecules of unit charges."""
    basis = basis_of("def2-svp", atoms.numbers)
    charges = CHARGES[: len(basis.elements)]
    mol = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)),
        basis="def2-svp",
        ecp="def2-svp",
        verbose=0,
    )
    expected = scf.hf.get_hcore(mol)
    for k, exponent in enumerate(EXPONENTS):
        fake = gto.fakemol_for_charges(mol.atom_coords(), np.full(len(atoms), exponent))
        amounts = [charges[basis.elements.index(z), k] for z in atoms.numbers]
        expected = expected + df.incore.aux_e2(mol, fake) @ amounts
    order = ao_order(mol)
    found = superposition(atoms, basis, charges).dense()
    np.testing.assert_allclose(found, expected[np.ix_(order, order)] * HARTREE, atol=1e-6)


def test_the_fit_finds_the_charges_it_was_given():
    shaken = [rotate(ATOMS, random_rotation(np.random.default_rng(k))) for k in range(3)]
    for k, atoms in enumerate(shaken):
        atoms.rattle(0.05, seed=k)
    samples = [(a, superposition(a, BASIS, CHARGES)) for a in shaken]
    found = fit(samples, BASIS)
    for atoms, wanted in samples:
        assert largest(superposition(atoms, BASIS, found) - wanted) < 1e-3
    np.testing.assert_allclose(found, CHARGES, atol=0.01)


def test_an_element_that_never_comes_up_gets_no_charge():
    basis = basis_of("def2-svp", [1, 6, 8, 9])
    found = fit([(ATOMS, superposition(ATOMS, BASIS, CHARGES))], basis)
    assert (found[basis.elements.index(9)] == 0).all()


def test_the_density_of_a_solved_hamiltonian_is_that_of_pyscf():
    """The width of the Fermi distribution is all that parts them."""
    solved = reference(ATOMS, xc="hf")
    found = density(solved.H.dense(), solved.S.dense(), solved.n_electrons)
    molecule = mole(ATOMS, "def2-svp")
    order = ao_order(molecule)
    expected = scf.RHF(molecule).run().make_rdm1()[np.ix_(order, order)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("charge", [0, -1, 2])
def test_the_density_contains_the_electrons_and_rotates(charge):
    atoms, R = ATOMS.copy(), random_rotation(np.random.default_rng(1))
    atoms.info["charge"] = charge
    here, there = (guess(a, BASIS, CHARGES, orbitals=True)[1] for a in (atoms, rotate(atoms, R)))
    held = np.sum(here.dense() * overlap(atoms, BASIS).dense())
    assert held == pytest.approx(ATOMS.numbers.sum() - charge, abs=1e-8)
    assert largest(there - here.rotate(R)) < 1e-9 * largest(here)


def test_what_has_no_guess_is_refused_in_a_sentence():
    crystal = molecule("H2O", vacuum=4.0, pbc=True)
    with pytest.raises(ValueError, match="crystal"):
        superposition(crystal, BASIS, CHARGES)
    own = Basis("def2-svp", {1: (0,), 8: (0, 1)})
    with pytest.raises(ValueError, match="other shells"):
        superposition(molecule("H2O"), own, CHARGES)
    unknown = Basis("my-own", {1: (0,), 8: (0, 1)})
    with pytest.raises(ValueError, match="my-own"):
        superposition(molecule("H2O"), unknown, CHARGES)


def test_the_density_of_many_orbitals_is_that_of_all(monkeypatch):
    atoms = molecule("C60")[:12]
    basis = basis_of("def2-svp", atoms.numbers)
    charges = np.full((1, len(EXPONENTS)), 0.7)
    h0, whole = guess(atoms, basis, charges, orbitals=True)
    monkeypatch.setattr(initial_guess, "_MANY", 10)
    _, lowest = guess(atoms, basis, charges, orbitals=True)
    assert h0.n_ao > 9 * atoms.numbers.sum() // 10
    assert largest(lowest - whole) < 1e-11
