"""Nearly dependent combinations of orbitals, and a predicted Hamiltonian that is right for them.

In a basis of several atoms some combinations v of orbitals nearly cancel: their norm
``s = v^T S v``, an eigenvalue of the overlap, is small. The energy of such a combination is
``v^T H v / s``, so an error of H is divided by s. An error of 3 meV at s = 3e-4 is 10 eV: an empty
level falls among the occupied ones, although the mean error of the matrix looks as always. We call
it a ghost level.

The integrals of an initial guess G are exact. Its ``v^T G v`` therefore vanishes as s does, and its
energy of such a combination is sound. There G is the better Hamiltonian:

    H' = H + P (G - H) P,    P = sum over k of f(s_k) v_k v_k^T,    S v_k = s_k v_k

f is 1 for small eigenvalues, 0 for large ones, and smooth between them. P is thus a smooth function
of the matrix S: H' is hermitian, equivariant if H is, and continuous when an eigenvalue passes the
threshold. The combinations of the other orbitals, and their coupling to these, are left as they
are. The method is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["THRESHOLD", "restored"]

THRESHOLD = 1e-2
"""Eigenvalue of S below which a combination is nearly dependent: from here on f rises from 0."""

FULL = 0.3
"""At this fraction of the threshold, and below, f is 1."""


def restored(
    matrices: Sequence[BlockMatrix],
    guess: BlockMatrix,
    S: BlockMatrix,
    threshold: float = THRESHOLD,
) -> list[BlockMatrix]:
    """Hamiltonians that take nearly dependent combinations of orbitals from a guess.

    Args:
        matrices: predicted Hamiltonians of one molecule, eV.
        guess: a Hamiltonian of the same molecule with exact integrals, eV.
        S: its overlap.
        threshold: of the eigenvalues of S.

    Returns:
        The same matrices if no eigenvalue is below the threshold; otherwise matrices that store
        all pairs of atoms.

    An error of 3 meV in one combination makes a ghost level far below all true ones:

    >>> from workbench.hamiltonians.near_dependence import restored
    >>> from workbench.engines.initial_guess import fit, superposition
    >>> from workbench.hamiltonians.block_matrix import BlockMatrix
    >>> atoms = wb.load("benzene")
    >>> ref = wb.reference(atoms, grid=1)
    >>> s, v = np.linalg.eigh(ref.S.dense())
    >>> error = -0.05 * np.outer(v[:, 0], v[:, 0])  # eV; its mean modulus is 0.3 meV
    >>> wrong = BlockMatrix.from_dense(ref.H.basis, atoms.numbers, ref.H.dense() + error)
    >>> guess = superposition(atoms, ref.H.basis, fit([(atoms, ref.H)], ref.H.basis))
    >>> (right,) = restored([wrong], guess, ref.S)
    >>> [round(wb.gap(H, ref.S, ref.n_electrons), 2) for H in (ref.H, wrong, right)]  # eV
    [5.15, 0.0, 5.15]
    """
    eigenvalues, combinations = eigh(S.dense(), subset_by_value=(-np.inf, threshold))
    if not len(eigenvalues):
        return list(matrices)
    weighted = combinations * _weight(eigenvalues / threshold)  # (n_ao, k): v_k f(s_k)
    results = []
    for H in matrices:
        predicted = H.dense()
        inner = combinations.conj().T @ (guess.dense() - predicted) @ combinations  # (k, k)
        change = weighted @ inner @ weighted.conj().T
        change = (change + change.conj().T) / 2  # hermitian to the last bit
        results.append(BlockMatrix.from_dense(H.basis, H.numbers, predicted + change))
    return results


def _weight(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function f of eigenvalues (k,), in units of the threshold: smooth in their logarithm."""
    x = np.log(np.maximum(relative, FULL)) / np.log(FULL)  # 0 at the threshold, 1 at FULL
    return x * x * (3 - 2 * x)
