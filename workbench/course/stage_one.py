"""Tasks about stage 1: a message along an edge, a non-linearity, and free parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import UnfitAnswerError, called, checks_answer, number
from workbench.course.verdict import Verdict
from workbench.hamiltonians.rotations import random_rotation

__all__ = ["free_numbers", "message", "nonlinearity"]

_CLOSE = 1e-9  # relative
_SEEDS = 4

Vector = NDArray[np.float64]


@checks_answer
def message(answer: Callable[[float, Vector, Vector], ArrayLike]) -> Verdict:
    """Check a message: a function of a neighbour's scalar s, its vector v and the edge r.

    A message is right if it is an equivariant vector, changes sign under inversion, and depends on
    all three arguments. It is evaluated for random arguments.

    Args:
        answer: (s, v (3,), r (3,)) -> (3,).

    >>> from workbench.course import stage_one
    >>> stage_one.message(lambda s, v, r: s * v + (v @ r) * r).right
    True
    """
    rng = np.random.default_rng(0)
    depends = {"s": False, "v": False, "r": False}
    for _ in range(_SEEDS):
        s, v, r, R = rng.normal(), rng.normal(size=3), rng.normal(size=3), random_rotation(rng)
        here = _not_zero(called(answer, s, v, r))
        rotated, size = called(answer, s, R @ v, R @ r), np.linalg.norm(here)
        if not _same(rotated, R @ here):
            error = float(np.linalg.norm(rotated - R @ here) / max(size, 1e-12))
            return Verdict(False, _why_not_equivariant(answer, s, v, r, error))
        inverted = called(answer, s, -v, -r)
        if _same(inverted, here) and size > _CLOSE:
            return Verdict(
                False,
                "it is equivariant, but inversion does not change it: an axial vector, 1e, like a "
                "cross product. A message for 1o must change its sign.",
            )
        if not _same(inverted, -here):
            return Verdict(
                False, "it mixes 1o with 1e: inversion neither keeps it nor changes its sign."
            )
        changed = {
            "s": called(answer, s + 0.7, v, r),
            "v": called(answer, s, v[[1, 2, 0]] + 0.3, r),
            "r": called(answer, s, v, r[[1, 2, 0]] + 0.3),
        }
        for name, other in changed.items():
            depends[name] |= not _same(other, here)
    missing = [name for name, does in depends.items() if not does]
    if missing:
        reasons = {
            "s": "it does not depend on the neighbour's scalar s: it uses the geometry, but not "
            "the kind of atom",
            "v": "it does not depend on the neighbour's vector v",
            "r": "it does not depend on the edge r: the same message from every direction",
        }
        return Verdict(False, f"it is equivariant, but {reasons[missing[0]]}. Use all three.")
    return Verdict(
        True, "an equivariant vector that changes sign under inversion and uses s, v and r."
    )


@checks_answer
def nonlinearity(answer: Callable[[float, Vector], ArrayLike]) -> Verdict:
    """Check an equivariant non-linearity for a vector v with a scalar s.

    Args:
        answer: (s, v (3,)) -> (3,).

    >>> from workbench.course import stage_one
    >>> stage_one.nonlinearity(lambda s, v: np.tanh(s) * v).right
    True
    """
    rng, linear = np.random.default_rng(1), True
    for _ in range(_SEEDS):
        s, v, R = rng.normal(), rng.normal(size=3), random_rotation(rng)
        here = _not_zero(called(answer, s, v))
        rotated = called(answer, s, R @ v)
        if not _same(rotated, R @ here):
            error = np.linalg.norm(rotated - R @ here) / max(np.linalg.norm(here), 1e-12)
            return Verdict(
                False,
                f"f(R v) and R f(v) differ by {100 * error:.0f} %: a component of v is not an "
                "invariant. Multiply all three by one number that a rotation does not change.",
            )
        double, other = called(answer, s, 2 * v), called(answer, s + 1, v)
        linear &= _same(double, 2 * here) and _same(other, here)
    if linear:
        return Verdict(
            False,
            "it is equivariant, but linear: twice v gives twice the answer, and s has no effect. "
            "Several such layers are equivalent to one.",
        )
    return Verdict(True, "v times a function of invariants: equivariant and not linear.")


@checks_answer
def free_numbers(answer: int, lmax: int) -> Verdict:
    """Check the number of free parameters of an edge's map on one copy of l = 0..lmax.

    Rotations about the edge and mirror planes through it allow one (n x n) matrix for each |m|,
    where n is the number of l with this |m|; cosine and sine share the matrix.

    >>> from workbench.course import stage_one
    >>> stage_one.free_numbers(14, lmax=2)
    Right: 3² + 2² + 1² = 14, one matrix for each |m|.
    """
    sizes = [lmax + 1 - m for m in range(lmax + 1)]
    right = sum(n * n for n in sizes)
    count = number(answer)
    if count == right:
        squares = " + ".join(f"{n}²" for n in sizes)
        return Verdict(True, f"{squares} = {right}, one matrix for each |m|.")
    dim = (lmax + 1) ** 2
    why = {
        dim**2: "that is the number of all elements, without any symmetry.",
        lmax + 1: "that is the number for rotations about *every* axis, one per l: the edge "
        "allows more.",
        2 * right - sizes[0] ** 2: "you counted cosine and sine separately: they share one matrix. "
        "(Without mirror planes this would be the number.)",
        dim: "that is only m = 0, or the number of components: continue with |m| = 1.",
        sum(sizes): "that is the number of components: n of them mix by a matrix of n x n numbers.",
    }
    hint = f"for |m| = {lmax} there is one l, so one number; continue with smaller |m|."
    return Verdict(False, why.get(int(count), hint))


def _not_zero(vector: Vector) -> Vector:
    if not vector.any():
        raise UnfitAnswerError("it returns zero for these arguments.")
    return vector


def _why_not_equivariant(
    answer: Callable[[float, Vector, Vector], ArrayLike],
    s: float,
    v: Vector,
    r: Vector,
    error: float,
) -> str:
    difference = f"f(R x) and R f(x) differ by {100 * error:.0f} %"
    here = called(answer, s, v, r)
    if _same(here, v * r):
        return f"{difference}: * multiplies component by component, which is not equivariant."
    if _same(here, s * v * r):
        return f"{difference}: v * r multiplies component by component; the invariant is v @ r."
    if any(_same(here, s + x) for x in (v, r, v + r)):
        return (
            f"{difference}: a scalar was added to each component; l = 0 and l = 1 cannot be added."
        )
    return f"{difference}: do not act on single components, and do not add a constant."


def _same(a: Vector, b: Vector) -> bool:
    return bool(np.abs(a - b).max() <= _CLOSE * max(np.abs(b).max(), 1.0))
