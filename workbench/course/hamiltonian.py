"""Tasks about the Fock matrix: filling it, its overlap, its eigenproblem, and three mistakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.verdict import Verdict, same
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE

__all__ = [
    "block_shape",
    "gap_of",
    "half_left_out",
    "inverse_root",
    "orbitals_of",
    "ordinary_levels",
    "shuffled",
    "usual_levels",
]

_CLOSE = 1e-8


def block_shape(answer: tuple[int, int], basis: Basis, row: int, column: int) -> Verdict:
    """Whether an answer is the size of the block of two elements.

    Args:
        answer: rows and columns.
        basis: the shells of each element.
        row, column: atomic numbers.
    """
    right = basis.n_orbitals(row), basis.n_orbitals(column)
    given = tuple(int(n) for n in np.ravel(answer))
    if given == right:
        return Verdict(True, f"{right[0]} orbitals on one atom times {right[1]} on the other.")
    shells = len(basis.shells[row]), len(basis.shells[column])
    wrong = {
        right[::-1]: "those are its columns and rows: the first atom has the rows.",
        shells: "you counted shells: a p shell holds three orbitals, a d shell five.",
        (right[0], right[0]): "that is the block of the first atom with itself.",
        (right[1], right[1]): "that is the block of the second atom with itself.",
    }
    if len(given) != 2:
        return Verdict(False, "a block has rows and columns: give two numbers.")
    fallback = (
        f"count: s shells have 1, p 3, d 5 orbitals; the row atom's l are {basis.shells[row]}."
    )
    return Verdict(False, wrong.get(given, fallback))


def inverse_root(answer: ArrayLike, S: BlockMatrix) -> Verdict:
    """Whether an answer is Loewdin's X, the symmetric matrix with ``X S X = 1``.

    Args:
        answer: (n_ao, n_ao).
        S: the overlap.
    """
    s, X = S.dense(), np.asarray(answer, dtype=float)
    if X.shape != s.shape:
        return Verdict(False, f"X takes all orbitals to all others: {len(s)} x {len(s)} elements.")
    values, vectors = np.linalg.eigh(s)
    right = (vectors / np.sqrt(values)) @ vectors.T
    if same(X, right):
        left = np.abs(X @ s @ X - np.eye(len(s))).max()
        return Verdict(True, f"X S X is the unit matrix up to {left:.0e}, and X is symmetric.")
    wrong = {
        "that is still the overlap.": s,
        "that is the root of S; orbitals are made orthogonal by its inverse.": (
            (vectors * np.sqrt(values)) @ vectors.T
        ),
        "that is the inverse of S: take its root as well, for X stands on both sides.": (
            (vectors / values) @ vectors.T
        ),
        "the root has been taken of each element; a root of a matrix is one of its eigenvalues.": (
            1 / np.sqrt(np.abs(s) + (s == 0))
        ),
        "only the eigenvalues: put the eigenvectors around them, U diag U^T.": np.diag(
            1 / np.sqrt(values)
        ),
        "the eigenvectors stand on the left alone; U diag U^T.": vectors / np.sqrt(values),
    }
    for why, mistaken in wrong.items():
        if same(X, mistaken):
            return Verdict(False, why)
    left = np.abs(X.T @ s @ X - np.eye(len(s))).max()
    if left < _CLOSE:
        return Verdict(False, "X^T S X is the unit matrix, but X is not symmetric: not Loewdin's.")
    return Verdict(False, f"X S X should be the unit matrix; an element is off by {left:.3g}.")


def orbitals_of(answer: ArrayLike, H: BlockMatrix, S: BlockMatrix) -> Verdict:
    """Whether the columns of an answer solve ``H C = S C E``, whatever their signs and mixtures.

    Args:
        answer: (n_ao, n_ao), orbital k in column k.
        H: eV.
        S: the overlap.
    """
    h, s, C = H.dense(), S.dense(), np.asarray(answer, dtype=float)
    if C.shape != h.shape:
        return Verdict(False, f"C has as many rows and columns as H: {len(h)}.")
    norms = np.einsum("ak,ab,bk->k", C, s, C)
    metric = C.T @ s @ C
    if np.abs(C.T @ C - np.eye(len(h))).max() < _CLOSE and np.abs(norms - 1).max() > 1e-3:
        return Verdict(
            False,
            "these are eigenvectors in the orthogonal orbitals: X takes them back to the atomic "
            "ones, C = X C'.",
        )
    if np.abs(metric - np.eye(len(h))).max() > 1e-6:
        most = np.abs(metric - np.eye(len(h))).max()
        return Verdict(
            False, f"C^T S C should be the unit matrix; an element is off by {most:.2g}."
        )
    energies = np.einsum("ak,ab,bk->k", C, h, C)
    left = np.abs(h @ C - s @ C * energies).max()
    if left > 1e-5:
        return Verdict(False, f"H C - S C E should vanish; an element is {left:.2g} eV.")
    if (np.diff(energies) < -1e-6).any():
        return Verdict(False, "these are orbitals, but not in the order of their energies.")
    return Verdict(True, f"H C = S C E up to {left:.0e} eV: {len(h)} orbitals with C^T S C = 1.")


def gap_of(answer: float, energies: ArrayLike, n_electrons: int) -> Verdict:
    """Whether an answer is the gap between HOMO and LUMO.

    Args:
        answer: eV.
        energies: ascending, eV.
        n_electrons: an even number; each orbital holds two.
    """
    e, n = np.asarray(energies, dtype=float), n_electrons // 2
    right = float(e[n] - e[n - 1])
    wrong = {
        -right: "the right distance with the wrong sign: LUMO minus HOMO.",
        float(e[n + 1] - e[n]): (
            "one level too high: Python counts from 0, so that the HOMO is energies[n - 1]."
        ),
        float(e[n - 1] - e[n - 2]): "that is HOMO minus HOMO-1: both are filled.",
        float(e[n]): "that is the energy of the LUMO alone.",
        float(e[n - 1]): "that is the energy of the HOMO alone.",
    }
    if n_electrons < len(e):
        wrong[float(e[n_electrons] - e[n_electrons - 1])] = (
            "each orbital holds two electrons: half as many are filled."
        )
    if abs(answer - right) < 1e-4:
        said = f"LUMO {e[n]:.3f} eV minus HOMO {e[n - 1]:.3f} eV."
        return Verdict(True, said.replace("-", "−"))
    for value, why in wrong.items():
        if abs(answer - value) < 1e-4:
            return Verdict(False, why)
    if abs(answer - right / HARTREE) < 1e-5:
        return Verdict(False, "that is in Hartree; give it in eV.")
    return Verdict(False, f"{n_electrons} electrons fill {n} orbitals; subtract two neighbours.")


def usual_levels(H: BlockMatrix, S: BlockMatrix) -> NDArray[np.float64]:
    """The levels (n_ao,) of ``H C = S C E`` in eV from whatever H is, symmetric or not.

    LAPACK's symmetric solver reads one triangle; this one reads all, so that a mistake shows.
    """
    found = np.linalg.eigvals(np.linalg.solve(S.dense(), H.dense()))
    return np.sort(found.real).astype(np.float64)


def ordinary_levels(H: BlockMatrix) -> NDArray[np.float64]:
    """A mistake: the levels (n_ao,) of ``H C = C E``, as if orbitals did not overlap, eV."""
    return np.linalg.eigvalsh(H.dense())


def shuffled(H: BlockMatrix) -> BlockMatrix:
    """A mistake: the p orbitals of H in PySCF's order x, y, z, where S has them as y, z, x."""
    basis = H.basis
    index = np.arange(basis.dim)
    for start, l in zip(basis.shell_starts, basis.layout, strict=True):
        if l == 1:
            index[start : start + 3] = start + np.array([2, 0, 1])
    return replace(H, values=H.values[:, index][:, :, index])


def half_left_out(H: BlockMatrix) -> BlockMatrix:
    """A mistake: blocks below the diagonal were never written, so that H is not hermitian."""
    row, column = H.edges
    return replace(H, values=np.where((row > column)[:, None, None], 0.0, H.values))
