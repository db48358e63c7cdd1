"""The initial guess of the Hamiltonian, H0: superposed atomic potentials, without any SCF cycle.

    H0 = T + V_nuc + V_ecp + sum over atoms A and k of  q(Z_A, k) (ij | g_k at A)

The potential of an atom's electrons is modelled by a few spherical Gaussian charges g_k. Their
amounts q are fitted, per element, to reference Hamiltonians by least squares. Superposed atomic
potentials are Lehtola's initial guess (J. Chem. Theory Comput. 2019, 15, 1593). New here is the fit
to the Fock matrix itself, which includes the mean effect of bonding and of exchange and
correlation. All integrals are analytic, so H0 is equivariant to rounding, unlike a Hamiltonian from
an integration grid. The occupied orbitals of H0 give a density matrix at the cost of one
diagonalisation: it shows where bonds are and where charge moves.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import expit

from workbench.engines.gaussian_charges import hamiltonian, repulsion
from workbench.engines.pyscf_library import lib, scf
from workbench.engines.pyscf_molecules import ao_order, check_known, mole
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import fill_to

__all__ = ["EXPONENTS", "density", "fit", "guess", "superposition"]

EXPONENTS = tuple(np.geomspace(0.1, 20.0, 6).tolist())
"""Exponents of the Gaussian charges, 1/Bohr^2. More, or a wider range, hardly improve H0."""

SMEARING_EV = 0.3
"""Width of the Fermi distribution, eV: keeps the density smooth where the gap of H0 closes."""

_MANY = 1000
"""Number of orbitals above which only those that hold electrons are computed: that is faster."""

_EMPTY = 1e-13
"""Occupation of an orbital that may be left out, as may be all above it."""

_RIDGE = 1e-10  # added to the diagonal of the normal equations, which are scaled to unit diagonal


def superposition(atoms: Atoms, basis: Basis, charges: NDArray[np.float64]) -> BlockMatrix:
    """H0 of a molecule, eV; takes a few milliseconds.

    Args:
        atoms: a molecule, positions in A. Charge and spin do not matter.
        basis: its name must be one of PySCF's and its shells those that PySCF has for it.
        charges: (elements of the basis, exponents) in e, from `fit`.

    Raises:
        ValueError: for a crystal, or a basis that is not PySCF's.

    H0 is equivariant, ``H0(R x) = D H0(x) D^T``:

    >>> water, R = wb.load("water"), wb.rotation((1, 1, 0), 30)
    >>> H = wb.reference(water, basis="sto-3g", xc="hf").H
    >>> charges = fit([(water, H)], H.basis)
    >>> H0, rotated = (superposition(a, H.basis, charges) for a in (water, wb.rotate(water, R)))
    >>> (rotated - H0.rotate(R)).max_abs() < 1e-9  # eV
    True
    """
    return guess(atoms, basis, charges, orbitals=False)[0]


def guess(
    atoms: Atoms,
    basis: Basis,
    charges: NDArray[np.float64],
    *,
    orbitals: bool,
    edges: NDArray[np.int64] | None = None,
) -> list[BlockMatrix]:
    """H0 as of `superposition`; with `orbitals` also the density matrix of its orbitals.

    Both contain the blocks of these pairs of atoms, edges (2, E); None: all.
    """
    check_known(basis, atoms.numbers)
    molecule = mole(atoms, basis.name, electrons=False)
    rows = [basis.elements.index(z) for z in atoms.numbers]
    shells = [[(EXPONENTS, tuple(charges[row]))] for row in rows]
    dense = hamiltonian(molecule, atoms, shells) * HARTREE
    matrices = [dense]
    if orbitals:
        electrons = int(molecule.atom_charges().sum()) - int(atoms.info.get("charge", 0))
        matrices.append(density(dense, molecule.intor_symmetric("int1e_ovlp"), electrons))
    order = np.ix_(*[ao_order(molecule)] * 2)
    return [BlockMatrix.from_dense(basis, atoms.numbers, m[order], edges) for m in matrices]


def density(
    hamiltonian: NDArray[np.float64], overlap: NDArray[np.float64], electrons: int
) -> NDArray[np.float64]:
    """Density matrix (n_ao, n_ao) of a Hamiltonian's orbitals, at most two electrons in each.

    Args:
        hamiltonian: (n_ao, n_ao) eV.
        overlap: (n_ao, n_ao).
        electrons: number of electrons; occupations follow a Fermi distribution.

    The trace of P S is the number of electrons:

    >>> P = density(np.diag([-10.0, 5.0]), np.eye(2), electrons=2)
    >>> float(np.trace(P))
    2.0
    """
    energies, orbitals = _lowest(hamiltonian, overlap, electrons)
    level = fill_to(energies, electrons, 2, SMEARING_EV)
    return (orbitals * (2 * expit((level - energies) / SMEARING_EV))) @ orbitals.T


def _lowest(
    hamiltonian: NDArray[np.float64], overlap: NDArray[np.float64], electrons: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies (k,) and orbitals (n_ao, k) that hold electrons: all, or of many the lowest ones."""
    n = len(hamiltonian)
    count = 9 * electrons // 10  # 9/5 of the occupied ones
    while n > _MANY and count < n:
        energies, orbitals = eigh(hamiltonian, overlap, subset_by_index=(0, count - 1))
        level = fill_to(energies, electrons, 2, SMEARING_EV)
        if expit((level - energies[-1]) / SMEARING_EV) < _EMPTY:
            return energies, orbitals
        count = 5 * count // 4
    return eigh(hamiltonian, overlap)


def fit(samples: Iterable[tuple[Atoms, BlockMatrix]], basis: Basis) -> NDArray[np.float64]:
    """The charges (elements of the basis, exponents), e, whose H0 is nearest to some Hamiltonians.

    The least-squares distance counts every matrix element of every sample alike.

    Args:
        samples: molecules and their reference Hamiltonians, eV, in this basis. A few dozen suffice.
        basis: covers every element of the samples; elements without a sample get charge zero.

    Raises:
        ValueError: for a crystal, or a basis that is not PySCF's.
    """
    n = len(basis.elements) * len(EXPONENTS)
    square, cross = np.zeros((n, n)), np.zeros(n)
    for atoms, matrix in samples:
        check_known(basis, atoms.numbers)
        molecule = mole(atoms, basis.name, electrons=False)
        unit_charges = [[((e,), (1.0,)) for e in EXPONENTS] for _ in atoms]
        per_charge = repulsion(molecule, atoms, unit_charges)
        design = np.zeros((len(per_charge), len(basis.elements), len(EXPONENTS)))
        for atom, z in enumerate(atoms.numbers):
            first = atom * len(EXPONENTS)
            design[:, basis.elements.index(z)] += per_charge[:, first : first + len(EXPONENTS)]
        back = np.argsort(ao_order(molecule))
        two_electron = matrix.dense()[np.ix_(back, back)] / HARTREE - scf.hf.get_hcore(molecule)
        columns, target = design.reshape(len(design), n), lib.pack_tril(two_electron)
        weight = 2.0 - lib.pack_tril(np.eye(len(two_electron)))  # both triangles count
        square += columns.T @ (columns * weight[:, None])
        cross += columns.T @ (target * weight)
    scale = np.sqrt(np.diagonal(square))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = square / scale / scale[:, None] + _RIDGE * np.eye(n)
    return (np.linalg.solve(scaled, cross / scale) / scale).reshape(len(basis.elements), -1)
