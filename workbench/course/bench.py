"""Tasks about testing the rotation law, and predictors that violate it in a known way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.course.answers import UnfitAnswerError, checks_answer, described, number, numbers
from workbench.course.verdict import Verdict
from workbench.evaluation.equivariance import Predictor
from workbench.evaluation.rotation_errors import RotationErrors
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import axis_angle, rotation

__all__ = [
    "axes_without_error",
    "cube_turns",
    "keeps_axis",
    "preferred_axis",
    "without_parity",
    "worst_enough",
]

_ANGLE = 0.5  # degrees; an axis that moves less counts as kept
_ROUNDED = 5e-3  # deviation from orthogonality of a matrix with three decimals
_ENOUGH = 0.97  # required fraction of the largest error that the search found


def preferred_axis(
    predictor: Predictor, axis: ArrayLike = (0, 0, 1), strength: float = 0.01
) -> Predictor:
    """A toy that adds strength u u^T to the first p shell of every atom, with u fixed in space.

    A network without built-in symmetry that was trained on one orientation makes such an error. The
    molecule rotates and u does not, so the error is strength (u u^T - v v^T) with v = R u: zero if
    v = u or v = -u.

    Args:
        predictor: an exact predictor, so that the error of the toy is known.
        axis: u, of any length except zero.
        strength: eV.

    >>> from workbench.course import bench
    >>> toy = bench.preferred_axis(wb.load_model("water").stage1)
    >>> report = wb.equivariance({"toy": toy}, wb.load("water"), wb.rotation((1, 0, 0), 90))
    >>> round(report["toy"].max_mev, 2)  # 0.01 eV, as u ends up perpendicular to itself
    10.0
    """
    u = np.asarray(axis, dtype=float)[[1, 2, 0]] / np.linalg.norm(axis)  # orbitals y, z, x

    def toy(atoms: Atoms) -> BlockMatrix:
        H = predictor(atoms)
        values = H.values.copy()
        p = slice(_first(H, 1), _first(H, 1) + 3)
        on_site = ~H.off_site & H.mask[:, p.start, p.start]
        values[on_site, p, p] += strength * np.outer(u, u)
        return replace(H, values=values)

    return toy


def without_parity(predictor: Predictor, strength: float = 0.01) -> Predictor:
    """A toy that couples s and p of the first atom by an axial vector instead of a polar one.

    The vector is perpendicular to the plane of the first three atoms, (r2 - r1) x (r3 - r1), and
    rotates with them, so rotations show no error. Inversion does not change the vector, but the
    s-p block must change its sign. A network whose features have l but no parity makes this error.

    Args:
        predictor: an exact predictor.
        strength: norm of the vector, eV.

    Raises:
        ValueError: when called, if there are fewer than three atoms or they are on a line.

    >>> from workbench.course import bench
    >>> toy, water = bench.without_parity(wb.load_model("water").stage1), wb.load("water")
    >>> rotation, inversion = wb.rotation((1, 2, 3), 50), -np.eye(3)
    >>> [wb.equivariance({"toy": toy}, water, R)["toy"].max_mev > 1 for R in (rotation, inversion)]
    [False, True]
    """

    def toy(atoms: Atoms) -> BlockMatrix:
        if len(atoms) < 3:
            raise ValueError("This toy needs three atoms that are not on a line.")
        first, second, third = atoms.positions[:3]
        normal = np.cross(second - first, third - first)
        if np.linalg.norm(normal) < 1e-3:
            raise ValueError("This toy needs three atoms that are not on a line.")
        H = predictor(atoms)
        values, s, p = H.values.copy(), _first(H, 0), _first(H, 1)
        block = int(np.flatnonzero(~H.off_site & (H.edges[0] == 0))[0])
        vector = strength * normal[[1, 2, 0]] / np.linalg.norm(normal)
        values[block, s, p : p + 3] += vector
        values[block, p : p + 3, s] += vector
        return replace(H, values=values)

    return toy


def cube_turns() -> list[tuple[NDArray[np.float64], float]]:
    """Axis (3,) and angle in degrees of the 23 rotations that map a cube onto itself.

    >>> from workbench.course import bench
    >>> len(bench.cube_turns())
    23
    """
    rotations = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        R = np.eye(3)[list(order)] * np.array(signs)[:, None]
        if np.linalg.det(R) > 0 and not np.array_equal(R, np.eye(3)):
            rotations.append(axis_angle(R))
    return rotations


@checks_answer
def axes_without_error(answer: Mapping[int, int]) -> Verdict:
    """Check on how many axes a grid with the symmetry of a cube has no error.

    Args:
        answer: angle in degrees -> number of places on the map.

    >>> from workbench.course import bench
    >>> bench.axes_without_error({90: 6, 120: 8, 180: 18}).right
    True
    """
    if not isinstance(answer, Mapping):
        form = "{angle: number of places}, e.g. {90: 6, 120: 0, 180: 0}"
        raise UnfitAnswerError(f"give a dictionary {form}; this is {described(answer)}.")
    counts_given = {number(angle): number(count) for angle, count in answer.items()}
    right = {}
    for _, degrees in cube_turns():
        angle = round(degrees)
        right[angle] = right.get(angle, 0) + (
            2 if angle == 180 else 1
        )  # both ends of the axis belong to one rotation
    names = {90: "the six faces", 120: "the eight corners", 180: "the faces and the edges"}
    for angle, count in counts_given.items():
        if angle not in right:
            return Verdict(False, f"no rotation by {angle:g}° maps a cube onto itself.")
        if count == right[angle]:
            continue
        if 2 * count == right[angle]:
            return Verdict(
                False,
                f"{angle:g}°: {count:g} lines, but the map shows both ends of each: twice as many.",
            )
        if angle == 180 and count in (6, 12):
            other = "edges (12 places)" if count == 6 else "faces (6 places)"
            return Verdict(
                False, f"180°: these are right, but half turns also go through the {other}."
            )
        return Verdict(
            False,
            f"{angle:g}°: {count:g} is wrong. Look along an axis of the cube: which rotations map "
            "it onto itself?",
        )
    if set(counts_given) != set(right):
        missing = min(set(right) - set(counts_given))
        return Verdict(False, f"{missing}° is missing: this angle belongs to a cube as well.")
    counts = ", ".join(f"{angle}°: {names[angle]}, {right[angle]}" for angle in sorted(right))
    return Verdict(True, f"{counts}. With the identity these are the 24 rotations of a cube.")


@checks_answer
def keeps_axis(axis: ArrayLike, degrees: float, preferred: ArrayLike = (0, 0, 1)) -> Verdict:
    """Check for a rotation that keeps the line of a preferred axis u but is not about u.

    Args:
        axis: axis of the rotation.
        degrees: angle of the rotation.
        preferred: the axis u.

    >>> from workbench.course import bench
    >>> bench.keeps_axis((1, 0, 0), 180).right
    True
    """
    u = np.asarray(preferred, dtype=float) / np.linalg.norm(preferred)
    direction, angle = numbers(axis, "an axis of three numbers"), number(degrees)
    if direction.shape != (3,):
        return Verdict(False, "an axis has three components, e.g. (1, 0, 0).")
    if not np.any(direction):
        return Verdict(False, "an axis needs a direction: (0, 0, 0) has none.")
    n = direction / np.linalg.norm(direction)
    R = rotation(n, angle)
    _, total = axis_angle(R)
    if total < _ANGLE:
        return Verdict(False, "this is the identity: every predictor passes it.")
    angle = np.degrees(np.arccos(np.clip(abs(u @ R @ u), 0, 1)))
    if angle > _ANGLE:
        return Verdict(
            False,
            f"u ends up {angle:.0f}° from its line, so its error is "
            f"{np.sin(np.radians(angle)):.2f} of the largest possible one.",
        )
    if abs(n @ u) > np.cos(np.radians(_ANGLE)):
        return Verdict(False, "true, but this is a rotation about u itself. There is another kind.")
    return Verdict(
        True,
        "a half turn about an axis perpendicular to u maps u to −u, and u uᵀ is the same for both.",
    )


@checks_answer
def worst_enough(
    answer: ArrayLike, errors: RotationErrors, name: str, found: float, drawn: float
) -> Verdict:
    """Check whether the error at a rotation is about as large as the largest that a search found.

    Args:
        answer: (3, 3).
        errors: evaluates the errors of the structure.
        name: name of the predictor.
        found: mean error at the worst rotation of the search, meV.
        drawn: the largest mean error of the random rotations, meV.
    """
    R = numbers(answer, "a rotation matrix of 3 x 3 numbers, e.g. wb.rotation(...)")
    if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=_ROUNDED):
        return Verdict(False, "a rotation is a 3 x 3 matrix with R Rᵀ = 1, e.g. wb.rotation(...).")
    if np.linalg.det(R) < 0:
        return Verdict(
            False, "its determinant is −1: it contains an inversion, so it is not a rotation."
        )
    left, _, right = np.linalg.svd(R)
    R = left @ right  # the rotation nearest to a rounded matrix
    error = errors.under([R], [name])[0][name].mae_mev
    if error >= _ENOUGH * found:
        return Verdict(True, f"{error:.4g} meV; the search found {found:.4g} meV.")
    side = "above" if error > drawn else "below"
    return Verdict(
        False,
        f"{error:.4g} meV, {side} the worst random one ({drawn:.4g} meV), and {error / found:.0%} "
        f"of the largest error that the search found ({found:.4g} meV). Continue uphill from your "
        "best rotation.",
    )


def _first(matrix: BlockMatrix, l: int) -> int:
    """First row of the first shell of this l in the padded block."""
    basis = matrix.basis
    starts = zip(basis.shell_starts, basis.layout, strict=True)
    return next(start for start, degree in starts if degree == l)
