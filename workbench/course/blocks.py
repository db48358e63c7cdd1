"""Tasks about blocks: turning one by hand, its irreps, and what a wrong order of orbitals does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.verdict import Verdict, compared, same
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import AO_TO_M, SHELL_LETTERS
from workbench.hamiltonians.irreps import irrep_norms
from workbench.hamiltonians.wigner import wigner_d

__all__ = ["misread", "on_site_irreps", "scalar_part", "shell_block", "turned_block"]

_NONE = 1e-6  # eV; a norm below it is the rounding of a stored matrix


def shell_block(matrix: BlockMatrix, i: int, j: int, row: str, column: str) -> NDArray[np.float64]:
    """The block of one shell of atom i with one of atom j, e.g. "2p" with "2p".

    Returns:
        (2la+1, 2lb+1), m = -l..l, in the unit of the matrix.

    Raises:
        ValueError: for a shell that the atom does not have.
    """
    picked = []
    for atom, shell in ((i, row), (j, column)):
        labels = matrix.basis.labels(int(matrix.numbers[atom]))
        own = [k for k, label in enumerate(labels) if label.startswith(shell)]
        if not own:
            raise ValueError(f"Atom {atom + 1} has no shell {shell}; it has {', '.join(labels)}.")
        picked.append(own)
    return matrix.block(i, j)[np.ix_(*picked)]


def turned_block(answer: ArrayLike, block: ArrayLike, R: ArrayLike) -> Verdict:
    """Whether an answer is the turned p-p block ``D h D^T``.

    Args:
        answer: (3, 3) eV.
        block: (3, 3) eV, in the order y, z, x.
        R: (3, 3) rotation, active.
    """
    h, R = np.asarray(block, dtype=float), np.asarray(R, dtype=float)
    D, given = wigner_d(1, R), np.asarray(answer, dtype=float)
    if given.shape != (3, 3):
        return Verdict(False, "a p-p block has 3 x 3 elements: turn all of it at once.")
    wrong = {
        "this is the block as it was: nothing has been turned.": h,
        "that is D^T h D, the turn backwards: D goes to the left, D^T to the right.": D.T @ h @ D,
        "only the rows have been turned: the orbitals of the column atom turn as well.": D @ h,
        "only the columns have been turned: the orbitals of the row atom turn as well.": h @ D.T,
        "both sides have D: on the right it is D^T.": D @ h @ D,
        "R itself is in the order x, y, z, but the block is in the order y, z, x.": R @ h @ R.T,
        "R is in the order x, y, z, and it is on the wrong sides.": R.T @ h @ R,
    }
    moved = np.abs(given - h).max()
    done = f"D h D^T; an element moved by up to {moved:.2f} eV, the norm by nothing."
    return compared(given, D @ h @ D.T, done, wrong)


def scalar_part(answer: ArrayLike, block: ArrayLike) -> Verdict:
    """Whether an answer is the l = 0 part of a p-p block, a third of its trace times unity.

    Args:
        answer: (3, 3) eV.
        block: (3, 3) eV.
    """
    h, given = np.asarray(block, dtype=float), np.asarray(answer, dtype=float)
    third, one = np.trace(h) / 3, np.eye(3)
    if given.ndim == 0:
        names = {third: "the right number", np.trace(h): "the trace, three times too much"}
        said = next((n for v, n in names.items() if same(given, v)), "not a third of the trace")
        return Verdict(False, f"one number: {said}. The part is a block: put it on the diagonal.")
    if given.shape != (3, 3):
        return Verdict(False, "the part is a block of 3 x 3 elements like the whole.")
    even = (h + h.T) / 2
    wrong = {
        "the trace is three times too much: shared among three orbitals it is a third.": (
            3 * third * one
        ),
        "that is the irrep's component on the diagonal: the unit matrix has norm sqrt(3), "
        "so divide by it.": np.sqrt(3) * third * one,
        "the diagonal as it is changes when the molecule turns; its mean does not.": (
            np.diag(np.diag(h))
        ),
        "that is the symmetric half, l = 0 and l = 2 together.": even,
        "that is what is left of the symmetric half: the l = 2 part.": even - third * one,
        "that is the antisymmetric half, the l = 1 part.": (h - h.T) / 2,
        "a third of the trace everywhere: only the diagonal is left alone by all rotations.": (
            np.full((3, 3), third)
        ),
        "this is still the whole block.": h,
    }
    norm = np.sqrt(3) * abs(third)
    done = f"its norm, {norm:.3f} eV, is the bar l = 0 of the X-ray."
    return compared(given, third * one, done, wrong)


def on_site_irreps(answer: Iterable[int], shell: str, matrix: BlockMatrix, atom: int) -> Verdict:
    """Which l the on-site block of a shell with itself may hold: hermiticity leaves the even ones.

    Args:
        answer: the l.
        shell: e.g. "3d".
        matrix: hermitian, real, eV: its norms are quoted.
        atom: whose shell.
    """
    l, given = SHELL_LETTERS.index(shell[-1]), set(answer)
    norms = {
        key[2]: v for key, v in irrep_norms(matrix, atom, atom).items() if key[:2] == (shell, shell)
    }
    there = set(range(0, 2 * l + 1, 2))
    if given == there:
        most = max((norms[n] for n in norms if n % 2), default=0.0)
        none = "zero" if most < _NONE else f"{most:.1g} eV"
        return Verdict(True, f"the even l are symmetric blocks. Odd ones in this matrix: {none}.")
    beyond = sorted(given - set(range(2 * l + 1)))
    if beyond:
        return Verdict(
            False, f"l = {beyond[0]} is not in {shell} x {shell}: l runs from 0 to {2 * l}."
        )
    odd = sorted(n for n in given if n % 2)
    if odd:
        return Verdict(
            False,
            f"l = {odd[0]} changes its sign when rows and columns are exchanged, but a real "
            f"hermitian block equals its transpose. Its norm here: {norms[odd[0]]:.1g} eV.",
        )
    missing = min(there - given)
    return Verdict(
        False,
        f"l = {missing} is missing: it is symmetric, and its norm here is {norms[missing]:.3g} eV.",
    )


def misread(matrix: BlockMatrix, shell: str = "p") -> BlockMatrix:
    """A plausible mistake of a file reader: the orbitals of all p or d shells in another order.

    They are taken to be in OpenMX's order, p as x, y, z and d as z2, x2-y2, xy, xz, yz, where they
    stand in the order m = -l..l. Every number is there, under another orbital's name.

    Args:
        matrix: without spin.
        shell: "p" or "d".
    """
    l, basis = SHELL_LETTERS.index(shell), matrix.basis
    index = np.arange(basis.dim)
    for start, degree in zip(basis.shell_starts, basis.layout, strict=True):
        if degree == l:
            index[start : start + 2 * l + 1] = start + np.array(AO_TO_M["openmx"][l])
    return replace(matrix, values=matrix.values[:, index][:, :, index])
