"""Nearly dependent combinations of orbitals, and a predicted Hamiltonian that is right for them.

In a basis of several atoms some combinations v of orbitals nearly cancel: their norm
``s = v^T S v``, an eigenvalue of the overlap, is small. The energy of such a combination is
``v^T H v / s``, so an error of H is divided by s. An error of 3 meV at s = 3e-4 is 10 eV: an empty
level falls among the occupied ones, although the mean error of the matrix looks as always. We call
it a ghost level.

The integrals of an initial guess G are exact: it is the matrix of an operator. Between combinations
i and j, eigenvectors of S, its error is therefore about ``tau sqrt(s_i s_j)``, with tau a fraction
of an eV. The error of a network is about the same number sigma for all i and j. Where
``sqrt(s_i s_j)`` is below ``kappa = sigma / tau`` the guess is the better Hamiltonian:

    H'_ij = H_ij + w_ij (G - H)_ij,    w_ij = 1 / (1 + (s_i s_j / kappa^2)^2)

The weights depend on eigenvalues only and are smooth. H' is thus a smooth function of H, G and S:
it is hermitian, equivariant if H is, and has no jump when an eigenvalue passes kappa. Elements
between independent combinations stay as they are: there w is below 1e-6. The method is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["restored"]


def restored(
    matrices: Sequence[BlockMatrix], guess: BlockMatrix, S: BlockMatrix, kappa: float
) -> list[BlockMatrix]:
    """Hamiltonians that take nearly dependent combinations of orbitals from a guess.

    Args:
        matrices: predicted Hamiltonians of one molecule, eV.
        guess: a Hamiltonian of the same molecule with exact integrals, eV.
        S: its overlap.
        kappa: geometric mean of two eigenvalues of S at which both Hamiltonians count alike; with
            0 the matrices are returned as they are.

    Returns:
        Matrices that store all pairs of atoms, eV.

    An error of 0.3 meV in one combination puts a ghost level below all true ones:

    >>> from workbench.hamiltonians.near_dependence import restored
    >>> from workbench.engines.initial_guess import fit, superposition
    >>> from workbench.hamiltonians.block_matrix import BlockMatrix
    >>> atoms = wb.load("benzene")
    >>> ref = wb.reference(atoms, grid=1)
    >>> s, v = np.linalg.eigh(ref.S.dense())
    >>> error = -0.05 * np.outer(v[:, 0], v[:, 0])  # eV; its mean modulus is 0.3 meV
    >>> wrong = BlockMatrix.from_dense(ref.H.basis, atoms.numbers, ref.H.dense() + error)
    >>> guess = superposition(atoms, ref.H.basis, fit([(atoms, ref.H)], ref.H.basis))
    >>> (right,) = restored([wrong], guess, ref.S, kappa=0.01)
    >>> [round(wb.gap(H, ref.S, ref.n_electrons), 2) for H in (ref.H, wrong, right)]  # eV
    [5.15, 0.0, 5.15]
    """
    if not kappa:
        return list(matrices)
    s, v = eigh(S.dense())  # (n_ao,), (n_ao, n_ao)
    weights = 1 / (1 + (np.outer(s, s) / kappa**2) ** 2)
    results = []
    for H in matrices:
        predicted = H.dense()
        change = v @ (weights * (v.conj().T @ (guess.dense() - predicted) @ v)) @ v.conj().T
        change = (change + change.conj().T) / 2  # hermitian to the last bit
        results.append(BlockMatrix.from_dense(H.basis, H.numbers, predicted + change))
    return results
