"""Tasks about rotations and irreps: rotated components, products of vectors, wrong rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import UnfitAnswerError, checks_answer, described, numbers
from workbench.course.verdict import Verdict, explained
from workbench.hamiltonians.conventions import AO_TO_M, SHELL_LETTERS
from workbench.hamiltonians.wigner import wigner_d

__all__ = ["MISTAKES", "irreps_of_product", "traceless_part", "turned_components"]

_CLOSE = 1e-3  # a deviation from symmetry or trace zero that rounding to three decimals explains


@checks_answer
def turned_components(answer: ArrayLike, c: ArrayLike, l: int, R: ArrayLike) -> Verdict:
    """Check the components ``D^l(R) c`` of a function that was rotated by R.

    Args:
        answer: (2l+1,).
        c: (2l+1,) components before, m = -l..l.
        l: angular momentum.
        R: (3, 3) orthogonal.

    >>> from workbench.course import rotations
    >>> R = wb.rotation((0, 0, 1), 90)
    >>> rotations.turned_components([1, 0, 0], [0, 0, 1], 1, R)  # y, z, x: x becomes y
    Right: D c; the norm is 1.000 as before, the components have changed.
    """
    before, matrix = np.asarray(c, dtype=float), np.asarray(R, dtype=float)
    D, submitted = wigner_d(l, matrix), numbers(answer, f"the {len(before)} components")
    if submitted.shape != before.shape:
        return Verdict(
            False,
            f"a function of l = {l} has {before.size} components, your answer has the shape "
            f"{submitted.shape}. D is a matrix and c a vector: their product is a vector again.",
        )
    wrong = {
        "these are the components before the rotation.": before,
        "this is the inverse rotation: D belongs to the left of c, not transposed.": D.T @ before,
        "* multiplies element by element; a matrix product is written @.": (
            np.diagonal(D) * before
        ),
    }
    if l == 1:
        wrong["R mixes (x, y, z), but these components are in the order y, z, x."] = matrix @ before
    after, norm = np.linalg.norm(submitted), np.linalg.norm(before)
    done = f"D c; the norm is {norm:.3f} as before, the components have changed."
    otherwise = "the norm is right, but these are other components than D c."
    if f"{after:.3f}" != f"{norm:.3f}":
        otherwise = (
            f"its norm is {after:.3f}, before the rotation it was {norm:.3f}: "
            "a rotation keeps the norm."
        )
    return explained(submitted, D @ before, done, wrong, otherwise)


@checks_answer
def traceless_part(answer: ArrayLike, a: ArrayLike, b: ArrayLike) -> Verdict:
    """Check the l = 2 part of a b^T: ``(a b^T + b a^T) / 2 - (a.b / 3) 1``.

    Args:
        answer: (3, 3).
        a: (3,).
        b: (3,), not parallel to a.

    >>> from workbench.course import rotations
    >>> rotations.traceless_part([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], [1, 0, 0], [0, 1, 0]).right
    True
    """
    submitted, outer = numbers(answer, "3 x 3 numbers"), np.outer(np.asarray(a), np.asarray(b))
    if submitted.shape != (3, 3):
        return Verdict(
            False, f"a tensor of two vectors is 3 x 3; yours has shape {submitted.shape}."
        )
    even, dot = (outer + outer.T) / 2, float(np.trace(outer))
    right = even - dot / 3 * np.eye(3)
    wrong = {
        "that is the whole product: it still contains l = 0 and l = 1.": outer,
        "that is the antisymmetric part: three numbers, the cross product, l = 1.": outer - even,
        "that is l = 0, the part of the dot product.": dot / 3 * np.eye(3),
        "twice too large: the symmetric part is the mean of the tensor and its transpose.": (
            2 * right
        ),
        "a.b is the whole trace of three diagonal elements: divide it by 3.": (
            even - dot * np.eye(3)
        ),
        "a number was subtracted from every element: only the three on the diagonal have a share, "
        "np.eye(3).": even - dot / 3,
    }
    done = "symmetric without trace: 5 independent numbers, an irrep l = 2."
    otherwise, trace = (
        "symmetric and without trace, but not the product of a and b.",
        np.trace(submitted),
    )
    if abs(trace) > _CLOSE:
        otherwise = f"its trace is {trace:.3f}: it still contains the dot product, l = 0."
    if not np.allclose(submitted, submitted.T, rtol=0, atol=_CLOSE):
        otherwise = "it is not symmetric: it still contains the cross product, l = 1."
    return explained(submitted, right, done, wrong, otherwise)


@checks_answer
def irreps_of_product(answer: str | Sequence[str], first: str, second: str) -> Verdict:
    """Check the irreps of a product, e.g. "0e + 1e + 2e" for "1o" and "1o".

    An irrep is written as in e3nn: its l, then e (even) or o (odd under inversion).

    Args:
        answer: irreps joined by "+", or a list of them, in any order.
        first: first irrep of the product.
        second: second irrep of the product.

    >>> from workbench.course import rotations
    >>> rotations.irreps_of_product("0e + 1e + 2e", "1o", "1o")
    Right: 1 + 3 + 5 = 9.
    """
    (la, pa), (lb, pb) = _parsed(first)[0], _parsed(second)[0]
    parity = "e" if pa == pb else "o"
    right = {(l, parity) for l in range(abs(la - lb), la + lb + 1)}
    listed = isinstance(answer, list | tuple) and all(isinstance(irrep, str) for irrep in answer)
    if not listed and not isinstance(answer, str):
        raise UnfitAnswerError(f'give a text such as "0e + 2e"; this is {described(answer)}.')
    submitted = _parsed(" + ".join(answer) if listed else str(answer))
    size, total = (2 * la + 1) * (2 * lb + 1), sum(2 * l + 1 for l, _ in submitted)
    if set(submitted) == right and len(submitted) == len(right):
        return Verdict(True, f"{' + '.join(map(str, (2 * l + 1 for l, _ in submitted)))} = {size}.")
    if {p for _, p in submitted} != {parity}:
        return Verdict(
            False,
            f"parities multiply: {pa} times {pb} is {parity} for every l. It is not (-1)^l.",
        )
    outside = [l for l, _ in submitted if not abs(la - lb) <= l <= la + lb]
    if outside:
        return Verdict(
            False, f"l = {outside[0]} cannot occur: l runs from |{la} - {lb}| to {la} + {lb}."
        )
    return Verdict(
        False,
        f"the product has {size} components, your irreps have {total}: sum 2l + 1, each l once.",
    )


def openmx_order(l: int, R: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mistake: D for orbitals in OpenMX's order, used for the order m = -l..l.

    >>> from workbench.course import rotations
    >>> D = rotations.openmx_order(2, wb.rotation((1, 2, 3), 50))
    >>> bool(np.allclose(D @ D.T, np.eye(5)))  # orthogonal: the norm does not show the mistake
    True
    """
    order = np.argsort(AO_TO_M["openmx"][l])
    return wigner_d(l, R)[np.ix_(order, order)]


def alternating_signs(l: int, R: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mistake: orbitals of odd m with the opposite sign (the Condon-Shortley phase).

    >>> from workbench.course import rotations
    >>> D = rotations.alternating_signs(1, wb.rotation((1, 2, 3), 50))
    >>> bool(np.isclose(np.trace(D), 1 + 2 * np.cos(np.deg2rad(50))))  # the trace does not show it
    True
    """
    signs = (-1.0) ** np.arange(-l, l + 1)
    return signs[:, None] * wigner_d(l, R) * signs


def transposed(l: int, R: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mistake: D of the inverse rotation.

    >>> from workbench.course import rotations
    >>> R = wb.rotation((1, 2, 3), 50)
    >>> bool(np.allclose(rotations.transposed(2, R), rotations.MISTAKES["right"](2, R.T)))
    True
    """
    return wigner_d(l, R).T


def without_parity(l: int, R: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mistake: an improper operation treated as its proper part.

    >>> from workbench.course import rotations
    >>> float(rotations.without_parity(1, -np.eye(3))[0, 0])  # p orbitals must change their sign
    1.0
    """
    return wigner_d(l, np.linalg.det(R) * R)


MISTAKES = {
    "right": wigner_d,
    "OpenMX's order": openmx_order,
    "signs of odd m": alternating_signs,
    "transposed": transposed,
    "no parity": without_parity,
}
"""Rules for D: the first is right, the others contain plausible mistakes."""


def _parsed(text: str) -> list[tuple[int, str]]:
    """Irreps (l, parity) of a text such as "0e + 2e"."""
    terms = [term.strip() for term in text.split("+")]
    matches = [re.fullmatch(r"(\d{1,3})([eo])", term) for term in terms]
    for term, match in zip(terms, matches, strict=True):
        if match is None:
            hint = "a shell is l with its parity" if term in SHELL_LETTERS else "e.g. 0e + 2e"
            raise UnfitAnswerError(f"'{term}' is not an irrep: write l and then e or o, {hint}.")
    return [(int(match[1]), match[2]) for match in matches if match]
