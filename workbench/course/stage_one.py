"""Tasks about stage 1: a message along an edge, a non-linearity, and counting what is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.verdict import Verdict
from workbench.hamiltonians.rotations import random_rotation

__all__ = ["free_numbers", "message", "nonlinearity"]

_CLOSE = 1e-9  # relative
_SEEDS = 4

Vector = NDArray[np.float64]


def message(answer: Callable[[float, Vector, Vector], ArrayLike]) -> Verdict:
    """Whether a function of a neighbour's scalar s and vector v and an edge r is a good message.

    It should be a vector that turns, that inversion flips, and that depends on all three: then it
    is called right, whatever it is. Random arguments are tried.

    Args:
        answer: (s, v (3,), r (3,)) -> (3,).
    """
    rng = np.random.default_rng(0)
    depends = {"s": False, "v": False, "r": False}
    for _ in range(_SEEDS):
        s, v, r, R = rng.normal(), rng.normal(size=3), rng.normal(size=3), random_rotation(rng)
        here = _vector(answer, s, v, r)
        if isinstance(here, Verdict):
            return here
        turned, size = np.asarray(answer(s, R @ v, R @ r), dtype=float), np.linalg.norm(here)
        if not _same(turned, R @ here):
            off = float(np.linalg.norm(turned - R @ here) / max(size, 1e-12))
            return Verdict(False, _why_not_turning(answer, s, v, r, off))
        inverted = np.asarray(answer(s, -v, -r), dtype=float)
        if _same(inverted, here) and size > _CLOSE:
            return Verdict(
                False,
                "it turns, but inversion leaves it alone: an axial vector, 1e, like a cross "
                "product. A message for 1o must change its sign.",
            )
        if not _same(inverted, -here):
            return Verdict(False, "it mixes 1o with 1e: inversion neither keeps nor flips it.")
        changed = {
            "s": answer(s + 0.7, v, r),
            "v": answer(s, v[[1, 2, 0]] + 0.3, r),
            "r": answer(s, v, r[[1, 2, 0]] + 0.3),
        }
        for name, other in changed.items():
            depends[name] |= not _same(np.asarray(other, dtype=float), here)
    missing = [name for name, does in depends.items() if not does]
    if missing:
        said = {
            "s": "the neighbour's scalar s does not matter to it: the geometry is there, but what "
            "kind of atom speaks is not",
            "v": "the neighbour's vector v does not matter to it",
            "r": "the edge r does not matter to it: the same message from every side",
        }
        return Verdict(False, f"it turns as it must, but {said[missing[0]]}. Use all three.")
    return Verdict(True, "a vector that turns, flips under inversion, and uses all of s, v and r.")


def nonlinearity(answer: Callable[[float, Vector], ArrayLike]) -> Verdict:
    """Whether a function of a scalar s and a vector v is an allowed non-linearity for v.

    Args:
        answer: (s, v (3,)) -> (3,).
    """
    rng, straight = np.random.default_rng(1), True
    for _ in range(_SEEDS):
        s, v, R = rng.normal(), rng.normal(size=3), random_rotation(rng)
        here = _vector(answer, s, v)
        if isinstance(here, Verdict):
            return here
        turned = np.asarray(answer(s, R @ v), dtype=float)
        if not _same(turned, R @ here):
            off = np.linalg.norm(turned - R @ here) / max(np.linalg.norm(here), 1e-12)
            return Verdict(
                False,
                f"turned first and turned after differ by {100 * off:.0f} %: a component of v is "
                "no invariant. Multiply all three by one number that no turn changes.",
            )
        double, other = (np.asarray(answer(*x), dtype=float) for x in ((s, 2 * v), (s + 1, v)))
        straight &= _same(double, 2 * here) and _same(other, here)
    if straight:
        return Verdict(
            False,
            "it turns as it must, but it is linear: twice v gives twice the answer, and s does "
            "not matter. Stacked layers of this are one layer.",
        )
    return Verdict(True, "v times a free function of invariants: it turns, and it is not linear.")


def free_numbers(answer: int, lmax: int) -> Verdict:
    """Whether an answer counts the free numbers of an edge's map on one copy of l = 0..lmax.

    Turns about the edge and mirrors through it leave one (n x n) matrix for each |m|, where n is
    how many l have such an m: cosine and sine share it.
    """
    sizes = [lmax + 1 - m for m in range(lmax + 1)]
    right = sum(n * n for n in sizes)
    if answer == right:
        squares = " + ".join(f"{n}²" for n in sizes)
        return Verdict(True, f"{squares} = {right}, one matrix for each |m|.")
    dim = (lmax + 1) ** 2
    why = {
        dim**2: "that is every element: no symmetry used at all.",
        lmax + 1: "that is what turns about *every* axis leave, one number for each l: the edge "
        "allows more.",
        2 * right - sizes[0] ** 2: "you counted cosine and sine apart: one matrix serves both. "
        "(Without mirrors it would be this many.)",
        dim: "those are the numbers of m = 0 alone, or the count of components: go on to |m| = 1.",
        sum(sizes): "that counts components, not pairs: n of them mix by n x n numbers.",
    }
    hint = f"for |m| = {lmax} there is one component of each kind, so one number; go down from it."
    return Verdict(False, why.get(answer, hint))


def _vector(answer: Callable[..., ArrayLike], *given: Any) -> Vector | Verdict:
    """The answer of a function as three numbers, or what is wrong with it."""
    try:
        found = np.asarray(answer(*given), dtype=float)
    except Exception as error:
        return Verdict(False, f"it stops with {type(error).__name__}: {error}.")
    if found.shape != (3,):
        shape = "a number" if not found.shape else f"an array of shape {found.shape}"
        return Verdict(False, f"it gives {shape}; a vector has three components.")
    if not np.isfinite(found).all():
        return Verdict(False, "it gives numbers that are not finite.")
    if not found.any():
        return Verdict(False, "it gives zero, whatever it is given.")
    return found


def _why_not_turning(
    answer: Callable[[float, Vector, Vector], ArrayLike], s: float, v: Vector, r: Vector, off: float
) -> str:
    off_by = f"turned first and turned after differ by {100 * off:.0f} %"
    here = np.asarray(answer(s, v, r), dtype=float)
    if _same(here, v * r):
        return f"{off_by}: * multiplies component by component, and no such product turns."
    if _same(here, s * v * r):
        return f"{off_by}: v * r goes component by component; their invariant is v @ r."
    if any(_same(here, s + x) for x in (v, r, v + r)):
        return f"{off_by}: a scalar was added to each component. l = 0 and l = 1 do not add."
    return f"{off_by}: whatever acts on single components, or adds a constant, breaks the law."


def _same(a: Vector, b: Vector) -> bool:
    return bool(np.abs(a - b).max() <= _CLOSE * max(np.abs(b).max(), 1.0))
