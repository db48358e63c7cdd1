"""Molecules with spin-orbit coupling for tests: extended Hückel theory, exactly equivariant."""

from dataclasses import replace

import numpy as np
from ase import Atoms

from tests.support.crystal import spin_orbit
from workbench.engines import Reference
from workbench.engines.pyscf_molecules import basis_of, overlap

STRENGTH = 0.3  # eV, of sigma.L
ORBITALS = {1: (-13.6,), 8: (-560.0, -32.3, -14.8, -14.8, -14.8)}  # eV, in the order of the basis


def selenide():
    """H2Se without any symmetry."""
    return Atoms("SeHH", [[0.0, 0.1, 0.0], [0.3, 0.9, 1.1], [0.1, -1.1, 1.0]])


def coupled(atoms, magnetic=0.0):
    """``(h S + S h) / 2 + S sigma.L + sigma.L S`` and S; a field along z breaks time reversal.

    h contains the energies of the shells (Hoffmann 1963, doi 10.1063/1.1734456).
    """
    S = overlap(atoms, replace(basis_of("sto-3g", atoms.numbers), spinor=True))
    h = np.zeros((len(atoms), S.basis.dim))
    for k, z in enumerate(atoms.numbers):
        h[k, S.basis.slots(z)] = ORBITALS[z]
    row, column = np.tile(h, 2)[S.edges]
    L = spin_orbit(S.basis, STRENGTH)
    values = (row[:, :, None] + column[:, None, :]) / 2 * S.values + S.values @ L + L @ S.values
    field = magnetic * np.kron(np.diag([1.0, -1.0]), np.eye(S.basis.dim))
    return replace(S, values=values + field @ S.values), S


def reference_of(atoms, magnetic=0.0, n_electrons=10):
    """The `Reference` that an engine would return."""
    H, S = coupled(atoms, magnetic)
    return Reference(H, S, -1.0, n_electrons, {"functional": "Hückel", "program": "test"})
