"""The density matrix of occupied orbitals, and what it says of atoms: charges and bond orders.

The occupied orbitals of a Hamiltonian give the density matrix ``P = 2 sum_k c_k c_k^T``; a spinor
holds one electron, so there the factor is 1. With the overlap S, P counts electrons:

- Mulliken (1955, doi 10.1063/1.1740588): an orbital has ``(P S)_mm`` electrons.
- Loewdin (1950, doi 10.1063/1.1747632): an orbital has ``(S^1/2 P S^1/2)_mm`` electrons. S is that
  of the basis functions; a program that first changes them, e.g. to natural orbitals of atoms,
  prints other charges by this name.
- Mayer (1983, doi 10.1016/0009-2614(83)80005-0): the bond order of two atoms A and B is
  ``sum (P S)_mn (P S)_nm`` over the orbitals m of A and n of B, about 1 for a single bond.

A rotation of the molecule changes none of these numbers. All depend on the basis: charges of two
bases do not compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["atom_of_orbital", "bond_orders", "density_matrix", "loewdin", "mulliken"]


def density_matrix(occupied: NDArray[Any], spinor: bool = False) -> NDArray[Any]:
    """The density matrix (n_ao, n_ao) of occupied orbitals (n_ao, n_occupied).

    Args:
        occupied: orbital k in column k, ``C^+ S C = 1``.
        spinor: whether an orbital holds one electron instead of two.

    The trace of P S is the number of electrons:

    >>> from workbench.hamiltonians.populations import density_matrix
    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> P = density_matrix(wb.solve(ref.H, ref.S)[1][:, :5])
    >>> float(np.trace(P @ ref.S.dense()))
    10.000000
    """
    return (1 if spinor else 2) * occupied @ occupied.conj().T


def mulliken(P: NDArray[Any], S: BlockMatrix) -> NDArray[np.float64]:
    """Electrons (N,) of each atom by Mulliken's analysis; their sum is the number of electrons.

    Args:
        P: (n_ao, n_ao) density matrix of a molecule.
        S: its overlap.

    >>> from workbench.hamiltonians.populations import density_matrix, mulliken
    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> P = density_matrix(wb.solve(ref.H, ref.S)[1][:, :5])
    >>> mulliken(P, ref.S)  # O, H, H
    array([8.35, 0.83, 0.83])
    """
    return _by_atom(np.einsum("ij,ji->i", P, S.dense()), S)


def loewdin(P: NDArray[Any], S: BlockMatrix) -> NDArray[np.float64]:
    """Electrons (N,) of each atom by Loewdin's analysis; their sum is the number of electrons.

    Args:
        P: (n_ao, n_ao) density matrix of a molecule.
        S: its overlap.
    """
    overlaps, vectors = eigh(S.dense())
    root = (vectors * np.sqrt(np.maximum(overlaps, 0))) @ vectors.conj().T  # (n_ao, n_ao)
    return _by_atom(np.einsum("ij,jk,ki->i", root, P, root, optimize=True), S)


def bond_orders(P: NDArray[Any], S: BlockMatrix) -> NDArray[np.float64]:
    """Mayer's bond orders (N, N) of a closed shell, symmetric; the diagonal is zero.

    Args:
        P: (n_ao, n_ao) density matrix of a molecule.
        S: its overlap.

    >>> from workbench.hamiltonians.populations import bond_orders, density_matrix
    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> P = density_matrix(wb.solve(ref.H, ref.S)[1][:, :5])
    >>> round(float(bond_orders(P, ref.S)[0, 1]), 2)  # O-H
    0.96
    """
    PS = P @ S.dense()
    # Of spinors, P S is twice as often half as large: the factor 2 restores the closed shell's sum.
    products = (2 if S.basis.spinor else 1) * np.real(PS * PS.T)
    atoms = atom_of_orbital(S)
    rows = np.zeros((len(S.numbers), len(atoms)))
    np.add.at(rows, atoms, products)
    orders = np.zeros((len(S.numbers), len(S.numbers)))
    np.add.at(orders, atoms, rows.T)
    np.fill_diagonal(orders, 0)
    return (orders + orders.T) / 2


def atom_of_orbital(matrix: BlockMatrix) -> NDArray[np.intp]:
    """The atom (n_ao,) of each row of ``dense()``."""
    atoms = np.repeat(np.arange(len(matrix.numbers)), np.diff(matrix.offsets))
    return np.tile(atoms, 2) if matrix.basis.spinor else atoms


def _by_atom(of_orbitals: NDArray[Any], matrix: BlockMatrix) -> NDArray[np.float64]:
    """Sums (N,) over the orbitals of each atom."""
    sums = np.zeros(len(matrix.numbers))
    np.add.at(sums, atom_of_orbital(matrix), np.real(of_orbitals))
    return sums
