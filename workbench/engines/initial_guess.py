"""A Hamiltonian for nothing: electrons in the superposed potentials of the atoms.

    H0 = T + V_nuc + V_ecp + sum over atoms A and k of  q(Z_A, k) (ij | g_k at A)

The potential of an atom's electrons is that of a few spherical Gaussian charges g_k, whose amounts
q are fitted, per element, to reference Hamiltonians by least squares. Superposed atomic potentials
are Lehtola's initial guess (J. Chem. Theory Comput. 2019, 15, 1593); fitting them to the Fock
matrix itself, so that they take in the mean effect of bonding and of exchange and correlation, is
ours. All integrals are analytic: H0 turns with the molecule to rounding, unlike one from a grid.
Its orbitals, filled, give a density matrix: where bonds are and where charge goes, for a
diagonalisation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import expit

from workbench.engines.pyscf_library import df, gto, lib, scf
from workbench.engines.pyscf_molecules import ao_order, check_known, mole
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import fill_to

__all__ = ["EXPONENTS", "density", "fit", "guess", "superposition"]

EXPONENTS = tuple(np.geomspace(0.1, 20.0, 6).tolist())
"""Of the Gaussian charges, 1/Bohr^2. More, or a wider range, hardly bring H0 closer."""

SMEARING_EV = 0.3
"""Width of the Fermi distribution: keeps the density smooth where the gap of H0 closes."""

_RIDGE = 1e-10  # of the normal equations, scaled to unit diagonal


def superposition(atoms: Atoms, basis: Basis, charges: NDArray[np.float64]) -> BlockMatrix:
    """H0 of a molecule, eV; a few milliseconds.

    Args:
        atoms: a molecule, positions in A. Charge and spin do not matter.
        basis: its name must be one of PySCF's and its shells those that PySCF has for it.
        charges: (elements of the basis, exponents) as `fit` finds them, e.

    Raises:
        ValueError: for a crystal, or a basis that is not PySCF's.
    """
    return guess(atoms, basis, charges, orbitals=False)[0]


def guess(
    atoms: Atoms, basis: Basis, charges: NDArray[np.float64], *, orbitals: bool
) -> list[BlockMatrix]:
    """H0 as `superposition` makes it and, if wanted, the density matrix of its orbitals."""
    check_known(basis, atoms.numbers)
    molecule = mole(atoms, basis.name, electrons=False)
    rows = [basis.elements.index(z) for z in atoms.numbers]
    shells = [[(EXPONENTS, tuple(charges[row]))] for row in rows]
    repulsion = _electrostatic(molecule, atoms, shells).sum(axis=-1)
    dense = (scf.hf.get_hcore(molecule) + lib.unpack_tril(repulsion)) * HARTREE
    found = [dense]
    if orbitals:
        electrons = int(molecule.atom_charges().sum()) - int(atoms.info.get("charge", 0))
        found.append(density(dense, molecule.intor_symmetric("int1e_ovlp"), electrons))
    order = np.ix_(*[ao_order(molecule)] * 2)
    return [BlockMatrix.from_dense(basis, atoms.numbers, matrix[order]) for matrix in found]


def density(
    hamiltonian: NDArray[np.float64], overlap: NDArray[np.float64], electrons: int
) -> NDArray[np.float64]:
    """Density matrix (n_ao, n_ao) of electrons in a Hamiltonian's orbitals, two in each.

    Args:
        hamiltonian: (n_ao, n_ao) eV.
        overlap: (n_ao, n_ao).
        electrons: how many; they fill the orbitals to a Fermi distribution.
    """
    energies, orbitals = eigh(hamiltonian, overlap)
    level = fill_to(energies, electrons, 2, SMEARING_EV)
    return (orbitals * (2 * expit((level - energies) / SMEARING_EV))) @ orbitals.T


def fit(samples: Iterable[tuple[Atoms, BlockMatrix]], basis: Basis) -> NDArray[np.float64]:
    """Charges (elements of the basis, exponents), e, whose H0 is nearest to given Hamiltonians.

    Args:
        samples: molecules and their reference Hamiltonians, eV, in this basis. A few dozen do.
        basis: holds every element of them; one that never comes up gets no charge.

    Raises:
        ValueError: for a crystal, or a basis that is not PySCF's.
    """
    n = len(basis.elements) * len(EXPONENTS)
    square, cross = np.zeros((n, n)), np.zeros(n)
    for atoms, matrix in samples:
        check_known(basis, atoms.numbers)
        molecule = mole(atoms, basis.name, electrons=False)
        one_by_one = [[((e,), (1.0,)) for e in EXPONENTS] for _ in atoms]
        per_charge = _electrostatic(molecule, atoms, one_by_one)
        design = np.zeros((len(per_charge), len(basis.elements), len(EXPONENTS)))
        for atom, z in enumerate(atoms.numbers):
            at = atom * len(EXPONENTS)
            design[:, basis.elements.index(z)] += per_charge[:, at : at + len(EXPONENTS)]
        back = np.argsort(ao_order(molecule))
        rest = matrix.dense()[np.ix_(back, back)] / HARTREE - scf.hf.get_hcore(molecule)
        columns, wanted = design.reshape(len(design), n), lib.pack_tril(rest)
        weight = 2.0 - lib.pack_tril(np.eye(len(rest)))  # both halves of the matrix count
        square += columns.T @ (columns * weight[:, None])
        cross += columns.T @ (wanted * weight)
    scale = np.sqrt(np.diagonal(square))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = square / scale / scale[:, None] + _RIDGE * np.eye(n)
    return (np.linalg.solve(scaled, cross / scale) / scale).reshape(len(basis.elements), -1)


def _electrostatic(
    molecule: gto.Mole,
    atoms: Atoms,
    shells: list[list[tuple[tuple[float, ...], tuple[float, ...]]]],
) -> NDArray[np.float64]:
    """Repulsion integrals (pairs of orbitals, shells), Hartree, lower triangle, PySCF's order.

    Args:
        molecule: of the orbitals.
        atoms: the same atoms.
        shells: for each atom spherical charges: exponents of their Gaussians and charge in each.
    """
    exponents = np.array([e for own in shells for es, _ in own for e in es])
    amounts = np.array([q for own in shells for _, qs in own for q in qs])
    # libcint multiplies an s function by 1 / sqrt(4 pi); this makes it hold the charge given.
    heights = amounts / (2 * np.sqrt(np.pi) * gto.gaussian_int(2, exponents))
    start = gto.PTR_ENV_START + 3 * len(atoms)
    places = molecule.atom_coords().ravel()
    table, rows, at = [], [], 0
    for atom, own in enumerate(shells):
        rows.append([0, gto.PTR_ENV_START + 3 * atom, 0, 0, 0, 0])
        for es, _ in own:
            table.append([atom, 0, len(es), 1, 0, start + at, start + len(exponents) + at, 0])
            at += len(es)
    charges = gto.Mole(verbose=0)
    charges._atm = np.array(rows, dtype=np.int32)
    charges._bas = np.array(table, dtype=np.int32)
    charges._env = np.concatenate([np.zeros(gto.PTR_ENV_START), places, exponents, heights])
    charges._built = True
    return df.incore.aux_e2(molecule, charges, "int3c2e", aosym="s2ij")
