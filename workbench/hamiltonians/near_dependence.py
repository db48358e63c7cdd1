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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["Combinations", "restored"]

_WIDTH = 10.0  # the weight falls from 1 to 0 over this factor on either side of kappa^2
_ROWS_AT_ONCE = 1024  # of a hermitian product: its blocks above the diagonal are not computed


class Combinations(NamedTuple):
    """The eigenvectors of an overlap.

    Attributes:
        norms: (n_ao,) eigenvalues s, ascending.
        vectors: (n_ao, n_ao), one in each column.
    """

    norms: NDArray[np.float64]
    vectors: NDArray[Any]

    @classmethod
    def of(cls, S: BlockMatrix) -> Combinations:
        """Diagonalise the overlap of a molecule."""
        return cls(*eigh(S.dense(), driver="evd", overwrite_a=True))


def restored(
    matrices: Sequence[BlockMatrix], guess: BlockMatrix, combinations: Combinations, kappa: float
) -> list[BlockMatrix]:
    """Hamiltonians that take nearly dependent combinations of orbitals from a guess.

    Args:
        matrices: predicted Hamiltonians of one molecule, eV.
        guess: a Hamiltonian of the same molecule with exact integrals, eV.
        combinations: of its orbitals.
        kappa: geometric mean of two eigenvalues of S at which both Hamiltonians count alike.

    Returns:
        The same matrices if no weight is positive, also with kappa 0; otherwise matrices that store
        all pairs of atoms, eV.

    An error of 0.3 meV in one combination puts a ghost level below all true ones:

    >>> from workbench.hamiltonians.near_dependence import Combinations, restored
    >>> from workbench.engines.initial_guess import fit, superposition
    >>> from workbench.hamiltonians.block_matrix import BlockMatrix
    >>> atoms = wb.load("benzene")
    >>> ref = wb.reference(atoms, grid=1)
    >>> s, v = np.linalg.eigh(ref.S.dense())
    >>> error = -0.05 * np.outer(v[:, 0], v[:, 0])  # eV; its mean modulus is 0.3 meV
    >>> wrong = BlockMatrix.from_dense(ref.H.basis, atoms.numbers, ref.H.dense() + error)
    >>> guess = superposition(atoms, ref.H.basis, fit([(atoms, ref.H)], ref.H.basis))
    >>> (right,) = restored([wrong], guess, Combinations.of(ref.S), kappa=0.01)
    >>> [round(wb.gap(H, ref.S, ref.n_electrons), 2) for H in (ref.H, wrong, right)]  # eV
    [5.15, 0.0, 5.15]
    """
    if not kappa:
        return list(matrices)
    s, v = combinations
    if s[0] ** 2 >= _WIDTH * kappa**2:
        return list(matrices)
    weights = _weights(s, kappa)
    exact, adjoint = guess.dense(), v.conj().T
    results = list[BlockMatrix]()
    for H in matrices:
        dense = H.dense()
        change = _transformed(exact - dense, v)
        change *= weights
        dense += _transformed(change, adjoint)
        results.append(BlockMatrix.from_dense(H.basis, H.numbers, dense))
    return results


def _weights(s: NDArray[np.float64], kappa: float) -> NDArray[np.float64]:
    """The weight (n_ao, n_ao) of the guess between two combinations, from their norms (n_ao,)."""
    x = np.log(np.outer(s, s))
    x -= 2 * np.log(kappa)
    x /= -2 * np.log(_WIDTH)
    x += 0.5  # 1/2 at kappa^2
    np.clip(x, 0, 1, out=x)
    weights = 3 - 2 * x
    weights *= x
    weights *= x
    return weights


def _transformed(matrix: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """``v^+ M v`` of a hermitian matrix, hermitian to the last bit."""
    half, result = matrix @ v, np.empty_like(matrix)
    for first in range(0, len(matrix), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        below = v[:, rows].conj().T @ half[:, : rows.stop]
        on_diagonal = below[:, first:]
        result[rows, :first] = below[:, :first]
        result[:first, rows] = below[:, :first].conj().T
        result[rows, rows] = (on_diagonal + on_diagonal.conj().T) / 2
    return result
