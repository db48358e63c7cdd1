"""Tasks about the Fock matrix: block sizes, overlap, eigenproblem, and three mistakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import UnfitAnswerError, checks_answer, number, numbers, whole_numbers
from workbench.course.verdict import Verdict, explained
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE
from workbench.hamiltonians.eigenproblem import solve

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
_ROUNDED = 1e-2  # what rounding orbitals to three decimals may change in their products
_ONE_LEVEL = 1e-3  # eV; orbitals of closer energies may mix


@checks_answer
def block_shape(answer: tuple[int, int], basis: Basis, row: int, column: int) -> Verdict:
    """Check the size of the block of two elements.

    Args:
        answer: numbers of rows and columns.
        basis: the shells of each element.
        row, column: atomic numbers.

    >>> from workbench.course import hamiltonian
    >>> basis = wb.Basis("sto-3g", {1: (0,), 8: (0, 0, 1)})
    >>> hamiltonian.block_shape((1, 5), basis, 1, 8)
    Right: 1 orbitals on one atom times 5 on the other.
    """
    right = basis.n_orbitals(row), basis.n_orbitals(column)
    submitted = tuple(whole_numbers(answer, "two numbers, rows and columns: (rows, columns)"))
    if submitted == right:
        return Verdict(True, f"{right[0]} orbitals on one atom times {right[1]} on the other.")
    shells = len(basis.shells[row]), len(basis.shells[column])
    wrong = {
        right[::-1]: "rows and columns are exchanged: the rows belong to the first atom.",
        shells: "you counted shells: a p shell has three orbitals, a d shell five.",
        (right[0], right[0]): "that is the block of the first atom with itself.",
        (right[1], right[1]): "that is the block of the second atom with itself.",
    }
    if len(submitted) != 2:
        return Verdict(False, "a block has rows and columns: give two numbers.")
    fallback = (
        f"count: s shells have 1, p 3, d 5 orbitals; the row atom's l are {basis.shells[row]}."
    )
    return Verdict(False, wrong.get(submitted, fallback))


@checks_answer
def inverse_root(answer: ArrayLike, S: BlockMatrix) -> Verdict:
    """Check Loewdin's X, the symmetric matrix with ``X S X = 1``.

    Args:
        answer: (n_ao, n_ao).
        S: the overlap.

    >>> from workbench.course import hamiltonian
    >>> S = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").S
    >>> values, U = np.linalg.eigh(S.dense())
    >>> hamiltonian.inverse_root(U / np.sqrt(values) @ U.T, S).right
    True
    """
    s, X = S.dense(), numbers(answer, "a matrix with one row and one column per orbital")
    if X.shape != s.shape:
        return Verdict(
            False, f"X has one row and one column per orbital: {len(s)} x {len(s)} elements."
        )
    values, vectors = np.linalg.eigh(s)
    right = (vectors / np.sqrt(values)) @ vectors.T
    wrong = {
        "that is still the overlap.": s,
        "that is the square root of S; its inverse makes the orbitals orthogonal.": (
            (vectors * np.sqrt(values)) @ vectors.T
        ),
        "that is the inverse of S: take its square root, since X is on both sides.": (
            (vectors / values) @ vectors.T
        ),
        "that is the root of each element; the root of a matrix is that of its eigenvalues.": (
            1 / np.sqrt(np.abs(s) + (s == 0))
        ),
        "only the eigenvalues: multiply by the eigenvectors on both sides, U diag U^T.": np.diag(
            1 / np.sqrt(values)
        ),
        "the eigenvectors are only on the left: it is U diag U^T.": vectors / np.sqrt(values),
    }
    error = np.abs(X.T @ s @ X - np.eye(len(s))).max()
    done = f"X S X is the unit matrix up to {error:.0e}, and X is symmetric."
    otherwise = "X^T S X is the unit matrix, but X is not symmetric: not Loewdin's."
    if not error < _CLOSE:
        largest = np.abs(X @ s @ X - np.eye(len(s))).max()
        otherwise = f"X S X should be the unit matrix; an element is off by {largest:.3g}."
    return explained(X, right, done, wrong, otherwise)


@checks_answer
def orbitals_of(answer: ArrayLike, H: BlockMatrix, S: BlockMatrix) -> Verdict:
    """Check that the columns solve ``H C = S C E``, with any sign and any degenerate mixture.

    Args:
        answer: (n_ao, n_ao), orbital k in column k.
        H: eV.
        S: the overlap.

    >>> from workbench.course import hamiltonian
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> energies, C = wb.solve(water.H, water.S)
    >>> hamiltonian.orbitals_of(C, water.H, water.S).right
    True
    """
    h, s, C = H.dense(), S.dense(), numbers(answer, "a matrix, orbital k in column k")
    if C.shape != h.shape:
        return Verdict(False, f"C has as many rows and columns as H: {len(h)}.")
    norms = np.einsum("ak,ab,bk->k", C, s, C)
    metric = C.T @ s @ C
    if np.abs(C.T @ C - np.eye(len(h))).max() < _CLOSE and np.abs(norms - 1).max() > 1e-3:
        return Verdict(
            False,
            "these are eigenvectors in the orthogonal orbitals: X transforms them to the atomic "
            "orbitals, C = X C'.",
        )
    error = np.abs(metric - np.eye(len(h))).max()
    if error > _ROUNDED:
        return Verdict(
            False, f"C^T S C should be the unit matrix; an element is off by {error:.2g}."
        )
    energies, right = np.einsum("ak,ab,bk->k", C, h, C), solve(H, S)
    residual = np.abs(h @ C - s @ C * energies).max()
    if _mixed(right, C, s) > _ROUNDED:
        return Verdict(False, f"H C - S C E should vanish; an element is {residual:.2g} eV.")
    if np.abs(energies - right[0]).max() > _ROUNDED * np.abs(energies).max():
        return Verdict(False, "these are the orbitals, but not in the order of their energies.")
    return Verdict(
        True, f"H C = S C E up to {residual:.0e} eV: {len(h)} orbitals with C^T S C = 1."
    )


@checks_answer
def gap_of(answer: float, energies: ArrayLike, n_electrons: int) -> Verdict:
    """Check the gap between HOMO and LUMO.

    Args:
        answer: eV.
        energies: ascending, eV.
        n_electrons: an even number; each orbital holds two electrons.

    >>> from workbench.course import hamiltonian
    >>> hamiltonian.gap_of(15.0, [-20.0, -10.0, 5.0, 9.0], 4)
    Right: LUMO 5.000 eV minus HOMO −10.000 eV.
    """
    if isinstance(answer, np.ndarray) and answer.ndim == 1:
        raise UnfitAnswerError("these are several levels: the gap is one number, LUMO minus HOMO.")
    e, n, submitted = np.asarray(energies, dtype=float), n_electrons // 2, number(answer)
    right = e[n] - e[n - 1]
    wrong = {
        "the right value with the wrong sign: it is LUMO minus HOMO.": -right,
        "one level too high: Python counts from 0, so the HOMO is energies[n - 1].": (
            e[n + 1] - e[n]
        ),
        "that is HOMO minus HOMO-1: both are occupied.": e[n - 1] - e[n - 2],
        "that is the energy of the LUMO alone.": e[n],
        "that is the energy of the HOMO alone.": e[n - 1],
        "that is in Hartree; give it in eV.": right / HARTREE,
    }
    if n_electrons < len(e):
        wrong["each orbital holds two electrons, so half as many orbitals are occupied."] = (
            e[n_electrons] - e[n_electrons - 1]
        )
    done = f"LUMO {e[n]:.3f} eV minus HOMO {e[n - 1]:.3f} eV.".replace("-", "−")
    fallback = f"{n_electrons} electrons occupy {n} orbitals: subtract HOMO from LUMO."
    return explained(submitted, right, done, wrong, fallback)


def _mixed(
    right: tuple[NDArray[np.float64], NDArray[np.float64]],
    C: NDArray[np.float64],
    s: NDArray[np.float64],
) -> float:
    """Largest share of an orbital (column of C) that belongs to other levels than the others'.

    Orbitals of one level may mix.
    """
    energies, orbitals = right
    shares = (orbitals.T @ s @ C) ** 2  # (levels, columns of C)
    level = energies[shares.argmax(axis=0)]
    others = np.abs(energies[:, None] - level) > _ONE_LEVEL
    return float((shares * others).sum(axis=0).max())


def usual_levels(H: BlockMatrix, S: BlockMatrix) -> NDArray[np.float64]:
    """The levels (n_ao,) of ``H C = S C E``, eV, for symmetric or non-symmetric H.

    LAPACK's symmetric solver reads only one triangle and would hide a mistake in the other one;
    this function uses all elements.

    >>> from workbench.course import hamiltonian
    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> levels = hamiltonian.usual_levels(water.H, water.S)
    >>> bool(np.allclose(levels, wb.levels(water.H, water.S)))
    True
    """
    energies = np.linalg.eigvals(np.linalg.solve(S.dense(), H.dense()))
    return np.sort(energies.real).astype(np.float64)


def ordinary_levels(H: BlockMatrix) -> NDArray[np.float64]:
    """A mistake: the levels (n_ao,) of ``H C = C E``, eV, which ignores the overlap.

    >>> from workbench.course import hamiltonian
    >>> H = wb.Dataset("water")[0].H
    >>> bool(np.isclose(hamiltonian.ordinary_levels(H).sum(), np.trace(H.dense())))
    True
    """
    return np.linalg.eigvalsh(H.dense()).astype(np.float64)


def shuffled(H: BlockMatrix) -> BlockMatrix:
    """A mistake: the p orbitals of H in PySCF's order x, y, z, those of S in the order y, z, x.

    >>> from workbench.course import hamiltonian
    >>> water = wb.Dataset("water")[0]
    >>> mistaken = hamiltonian.shuffled(water.H)
    >>> float(abs(wb.levels(mistaken, water.S) - wb.levels(water.H, water.S)).max()) > 1  # eV
    True
    """
    basis = H.basis
    index = np.arange(basis.dim)
    for start, l in zip(basis.shell_starts, basis.layout, strict=True):
        if l == 1:
            index[start : start + 3] = start + np.array([2, 0, 1])
    return replace(H, values=H.values[:, index][:, :, index])


def half_left_out(H: BlockMatrix) -> BlockMatrix:
    """A mistake: the blocks below the diagonal are missing, so that H is not hermitian.

    >>> from workbench.course import hamiltonian
    >>> H = hamiltonian.half_left_out(wb.Dataset("water")[0].H).dense()
    >>> float(abs(H - H.T).max()) > 1  # eV
    True
    """
    row, column = H.edges
    return replace(H, values=np.where((row > column)[:, None, None], 0.0, H.values))
