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

    H'_ij = H_ij + w_ij (G - H)_ij

The weight w falls from 1 at ``s_i s_j = kappa^2 / 10`` to 0 at ``10 kappa^2``, smoothly. It depends
on eigenvalues only. H' is thus hermitian, equivariant if H is, and has no jump when an eigenvalue
passes kappa. All other elements stay as they are, and so does the whole matrix of a molecule
without nearly dependent combinations. The method is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["restored"]

_WIDTH = 10.0  # the weight falls from 1 to 0 over this factor on either side of kappa^2


def restored(
    matrices: Sequence[BlockMatrix], guess: BlockMatrix, S: BlockMatrix, kappa: float
) -> list[BlockMatrix]:
    """Hamiltonians that take nearly dependent combinations of orbitals from a guess.

    Args:
        matrices: predicted Hamiltonians of one molecule, eV.
        guess: a Hamiltonian of the same molecule with exact integrals, eV.
        S: its overlap.
        kappa: geometric mean of two eigenvalues of S at which both Hamiltonians count alike.

    Returns:
        The same matrices if no weight is positive, also with kappa 0; otherwise matrices that store
        all pairs of atoms, eV.

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
    if s[0] ** 2 >= _WIDTH * kappa**2:
        return list(matrices)
    relative = np.outer(s, s) / kappa**2
    x = np.clip(0.5 - np.log(relative) / (2 * np.log(_WIDTH)), 0, 1)  # 1/2 at kappa^2
    weights = x * x * (3 - 2 * x)
    results = []
    for H in matrices:
        predicted = H.dense()
        change = v @ (weights * (v.conj().T @ (guess.dense() - predicted) @ v)) @ v.conj().T
        change = (change + change.conj().T) / 2  # hermitian to the last bit
        results.append(BlockMatrix.from_dense(H.basis, H.numbers, predicted + change))
    return results
