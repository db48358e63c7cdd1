"""Tasks about blocks: rotating one by hand, its irreps, and a wrong order of orbitals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import checks_answer, numbers, whole_numbers
from workbench.course.verdict import Verdict, compared, same
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import AO_TO_M, SHELL_LETTERS
from workbench.hamiltonians.irreps import irrep_norms
from workbench.hamiltonians.wigner import wigner_d

__all__ = ["misread", "on_site_irreps", "scalar_part", "shell_block", "turned_block"]

_SET_OF_L = "the values of l in curly brackets, e.g. {0, 1}"
_ROUNDING = 1e-6  # eV; smaller norms are rounding errors of a stored matrix


def shell_block(matrix: BlockMatrix, i: int, j: int, row: str, column: str) -> NDArray[np.float64]:
    """The block of one shell of atom i with one of atom j, e.g. "2p" with "2p".

    Returns:
        (2la+1, 2lb+1), m = -l..l, in the unit of the matrix.

    Raises:
        ValueError: if the atom does not have the shell.

    >>> from workbench.course import blocks
    >>> S = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").S
    >>> blocks.shell_block(S, 0, 0, "2p", "2p").shape  # m = -1..1 of oxygen
    (3, 3)
    """
    indices = []
    for atom, shell in ((i, row), (j, column)):
        labels = matrix.basis.labels(int(matrix.numbers[atom]))
        of_shell = [k for k, label in enumerate(labels) if label.startswith(shell)]
        if not of_shell:
            raise ValueError(f"Atom {atom + 1} has no shell {shell}; it has {', '.join(labels)}.")
        indices.append(of_shell)
    return matrix.block(i, j)[np.ix_(*indices)]


@checks_answer
def turned_block(answer: ArrayLike, block: ArrayLike, R: ArrayLike) -> Verdict:
    """Check the rotated p-p block ``D h D^T``.

    Args:
        answer: (3, 3) eV.
        block: (3, 3) eV, in the order y, z, x.
        R: (3, 3) rotation, active.

    >>> from workbench.course import blocks
    >>> from workbench.hamiltonians.wigner import wigner_d
    >>> h, R = np.diag([1.0, 2.0, 3.0]), wb.rotation((1, 0, 0), 45)
    >>> D = wigner_d(1, R)
    >>> blocks.turned_block(D @ h @ D.T, h, R)
    Right: D h D^T; an element changed by up to 0.50 eV, the norm by nothing.
    """
    h, R = np.asarray(block, dtype=float), np.asarray(R, dtype=float)
    D, submitted = wigner_d(1, R), numbers(answer, "the block of 3 x 3 elements")
    if submitted.shape != (3, 3):
        return Verdict(False, "a p-p block has 3 x 3 elements: rotate the whole block at once.")
    wrong = {
        "this is the original block: nothing was rotated.": h,
        "that is D^T h D, the inverse rotation: D belongs on the left, D^T on the right.": D.T
        @ h
        @ D,
        "only the rows were rotated: the orbitals of the column atom rotate as well.": D @ h,
        "only the columns were rotated: the orbitals of the row atom rotate as well.": h @ D.T,
        "both sides have D: the right side needs D^T.": D @ h @ D,
        "R itself is in the order x, y, z, but the block is in the order y, z, x.": R @ h @ R.T,
        "R is in the order x, y, z, and it is transposed.": R.T @ h @ R,
    }
    change = np.abs(submitted - h).max()
    done = f"D h D^T; an element changed by up to {change:.2f} eV, the norm by nothing."
    return compared(submitted, D @ h @ D.T, done, wrong)


@checks_answer
def scalar_part(answer: ArrayLike, block: ArrayLike) -> Verdict:
    """Check the l = 0 part of a p-p block: a third of its trace times the unit matrix.

    Args:
        answer: (3, 3) eV.
        block: (3, 3) eV.

    >>> from workbench.course import blocks
    >>> blocks.scalar_part(2 * np.eye(3), np.diag([1.0, 2.0, 3.0])).right
    True
    """
    h, submitted = np.asarray(block, dtype=float), numbers(answer, "the part of 3 x 3 elements")
    third, one = np.trace(h) / 3, np.eye(3)
    if submitted.ndim == 0:
        names = {third: "the right number", np.trace(h): "the trace, three times too large"}
        name = next((n for v, n in names.items() if same(submitted, v)), "not a third of the trace")
        return Verdict(False, f"one number: {name}. The part is a block: put it on the diagonal.")
    if submitted.shape != (3, 3):
        return Verdict(False, "the part is a block of 3 x 3 elements, as the whole block.")
    even = (h + h.T) / 2
    wrong = {
        "the trace is three times too large: each of the three orbitals gets a third.": (
            3 * third * one
        ),
        "that is the irrep's component on the diagonal: the unit matrix has norm sqrt(3), "
        "so divide by it.": np.sqrt(3) * third * one,
        "the diagonal itself changes when the molecule is rotated; its mean does not.": (
            np.diag(np.diag(h))
        ),
        "that is the symmetric part, l = 0 and l = 2 together.": even,
        "that is the rest of the symmetric part: the l = 2 part.": even - third * one,
        "that is the antisymmetric part, l = 1.": (h - h.T) / 2,
        "a third of the trace in all elements: only a multiple of the unit matrix is invariant.": (
            np.full((3, 3), third)
        ),
        "this is still the whole block.": h,
    }
    norm = np.sqrt(3) * abs(third)
    done = f"its norm, {norm:.3f} eV, is the bar l = 0 in the picture of the irrep norms."
    return compared(submitted, third * one, done, wrong)


@checks_answer
def on_site_irreps(answer: Iterable[int], shell: str, matrix: BlockMatrix, atom: int) -> Verdict:
    """Check the l in the on-site block of a shell with itself: hermiticity allows only even l.

    Args:
        answer: the values of l.
        shell: e.g. "3d".
        matrix: hermitian, real, eV; the verdict quotes its norms.
        atom: atom of the shell.

    >>> from workbench.course import blocks
    >>> H = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").H
    >>> blocks.on_site_irreps([0, 2], "2p", H, 0).right
    True
    """
    l, submitted = SHELL_LETTERS.index(shell[-1]), set(whole_numbers(answer, _SET_OF_L))
    norms = {
        key[2]: v for key, v in irrep_norms(matrix, atom, atom).items() if key[:2] == (shell, shell)
    }
    allowed = set(range(0, 2 * l + 1, 2))
    if submitted == allowed:
        most = max((norms[n] for n in norms if n % 2), default=0.0)
        none = "zero" if most < _ROUNDING else f"{most:.1g} eV"
        return Verdict(
            True, f"the even l are symmetric blocks. Norms of odd l in this matrix: {none}."
        )
    beyond = sorted(submitted - set(range(2 * l + 1)))
    if beyond:
        return Verdict(
            False, f"l = {beyond[0]} is not in {shell} x {shell}: l runs from 0 to {2 * l}."
        )
    odd = sorted(n for n in submitted if n % 2)
    if odd:
        return Verdict(
            False,
            f"l = {odd[0]} changes sign when rows and columns are exchanged, but a real "
            f"hermitian block equals its transpose. Its norm here: {norms[odd[0]]:.1g} eV.",
        )
    missing = min(allowed - submitted)
    return Verdict(
        False,
        f"l = {missing} is missing: it is symmetric, and its norm here is {norms[missing]:.3g} eV.",
    )


def misread(matrix: BlockMatrix, shell: str = "p") -> BlockMatrix:
    """A plausible mistake of a file reader: the orbitals of all p or d shells in a wrong order.

    The reader assumes OpenMX's order, p as x, y, z and d as z2, x2-y2, xy, xz, yz, for orbitals in
    the order m = -l..l. All numbers are kept, but they belong to other orbitals.

    Args:
        matrix: without spin.
        shell: "p" or "d".

    >>> from workbench.course import blocks
    >>> S = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").S
    >>> wrong = blocks.misread(S)
    >>> bool(np.allclose(wb.levels(S, S), 1)), bool(np.allclose(wrong.dense(), S.dense()))
    (True, False)
    """
    l, basis = SHELL_LETTERS.index(shell), matrix.basis
    index = np.arange(basis.dim)
    for start, degree in zip(basis.shell_starts, basis.layout, strict=True):
        if degree == l:
            index[start : start + 2 * l + 1] = start + np.array(AO_TO_M["openmx"][l])
    return replace(matrix, values=matrix.values[:, index][:, :, index])
