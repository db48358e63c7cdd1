"""The Hamiltonian of a large molecule, whose integrals are computed atom by atom."""

import numpy as np
import pytest
from ase import Atoms

from workbench.engines import gaussian_charges
from workbench.engines.initial_guess import EXPONENTS, superposition
from workbench.engines.pyscf_molecules import basis_of
from workbench.structures.loading import load


def chain(units: int, symbols: str) -> Atoms:
    """A zigzag chain: atoms at its ends are beyond the reach of each other's orbitals."""
    n = np.arange(units)
    positions = np.stack([1.27 * n, 0.44 * (-1.0) ** n, 0.1 * n % 0.3], axis=1)
    return Atoms([symbols[i % len(symbols)] for i in n], positions)


@pytest.mark.parametrize(
    "atoms",
    [load("ethanol"), chain(24, "CNO"), chain(16, "HI")],
    ids=["small", "a chain of 30 A", "effective cores"],
)
def test_atom_by_atom_the_hamiltonian_is_the_same(atoms, monkeypatch):
    basis = basis_of("def2-svp", atoms.numbers)
    charges = np.random.default_rng(0).uniform(0.0, 2.0, (len(basis.elements), len(EXPONENTS)))
    whole = superposition(atoms, basis, charges)
    monkeypatch.setattr(gaussian_charges, "_BYTES_AT_ONCE", 0)
    assert (superposition(atoms, basis, charges) - whole).max_abs() < 1e-13 * whole.max_abs()


def test_integrals_and_charges_beyond_the_reach_are_not_computed(monkeypatch):
    """Of a long chain each atom meets its neighbourhood: the work is linear in the atoms."""
    shells, soft = [], []
    block = gaussian_charges._Integrals.block

    def counted(self, chosen, rows, near, nuclei):
        shells.append(len(chosen))
        soft.append(len(near))
        return block(self, chosen, rows, near, nuclei)

    monkeypatch.setattr(gaussian_charges, "_BYTES_AT_ONCE", 0)
    monkeypatch.setattr(gaussian_charges._Integrals, "block", counted)
    atoms = chain(40, "C")
    basis = basis_of("sto-3g", atoms.numbers)
    superposition(atoms, basis, np.ones((1, len(EXPONENTS))))
    assert max(shells) < 15 * 3  # shells of the atoms on one side
    assert max(soft) < 30  # atoms on both sides
