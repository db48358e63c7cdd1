"""Tasks about testing the law of turning, and predictors that break it in one known way each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

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

_ANGLE = 0.5  # degrees within which an axis counts as kept
_ENOUGH = 0.97  # of the error that a search found


def preferred_axis(
    predictor: Predictor, axis: ArrayLike = (0, 0, 1), strength: float = 0.01
) -> Predictor:
    """A toy: to the first p shell of every atom it adds strength u u^T, u an axis of the room.

    A network without built-in symmetry that saw molecules in one orientation only errs like that.
    The molecule turns and u does not, so its error is strength (u u^T - v v^T) with v = R u: zero
    wherever v = u or v = -u.

    Args:
        predictor: an exact one, so that the toy's error is known.
        axis: u, any length but zero.
        strength: eV.
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
    """A toy: on the first atom it couples s with p by an axial vector, where a polar one belongs.

    The vector stands upright on the plane of the first three atoms, (r2 - r1) x (r3 - r1), and
    turns with them, so that no rotation shows anything. But inversion leaves it alone, while the
    block of s and p must change its sign: a network whose features know l but no parity errs so.

    Args:
        predictor: an exact one.
        strength: eV, of the whole vector.

    Raises:
        ValueError: (when called) for three atoms on a line, or fewer.
    """

    def toy(atoms: Atoms) -> BlockMatrix:
        if len(atoms) < 3:
            raise ValueError("This toy needs three atoms that are not on a line.")
        first, second, third = atoms.positions[:3]
        upright = np.cross(second - first, third - first)
        if np.linalg.norm(upright) < 1e-3:
            raise ValueError("This toy needs three atoms that are not on a line.")
        H = predictor(atoms)
        values, s, p = H.values.copy(), _first(H, 0), _first(H, 1)
        own = int(np.flatnonzero(~H.off_site & (H.edges[0] == 0))[0])
        vector = strength * upright[[1, 2, 0]] / np.linalg.norm(upright)
        values[own, s, p : p + 3] += vector
        values[own, p : p + 3, s] += vector
        return replace(H, values=values)

    return toy


def cube_turns() -> list[tuple[NDArray[np.float64], float]]:
    """Axis (3,) and angle in degrees of the 23 turns that bring a cube onto itself."""
    found = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        R = np.eye(3)[list(order)] * np.array(signs)[:, None]
        if np.linalg.det(R) > 0 and not np.array_equal(R, np.eye(3)):
            found.append(axis_angle(R))
    return found


def axes_without_error(answer: Mapping[int, int]) -> Verdict:
    """Whether an answer says on how many axes a grid with a cube's symmetry has no error.

    Args:
        answer: angle in degrees -> number of places on the map.
    """
    right = {}
    for _, degrees in cube_turns():
        angle = round(degrees)
        right[angle] = right.get(angle, 0) + (2 if angle == 180 else 1)  # both ends are one turn
    names = {90: "the six faces", 120: "the eight corners", 180: "the faces and the edges"}
    for angle, count in answer.items():
        if angle not in right:
            return Verdict(False, f"no turn by {angle}° brings a cube onto itself.")
        if count == right[angle]:
            continue
        if 2 * count == right[angle]:
            return Verdict(
                False,
                f"{angle}°: {count} lines, but the map shows both ends of each: twice as many.",
            )
        if angle == 180 and count in (6, 12):
            other = {6: "through the edges (12 places)", 12: "through the faces (6 places)"}[count]
            return Verdict(False, f"180°: these are right, but half turns also go {other}.")
        return Verdict(
            False, f"{angle}°: {count} is not it. Look along an axis of the cube: which turns fit?"
        )
    if set(answer) != set(right):
        missing = min(set(right) - set(answer))
        return Verdict(False, f"{missing}° is missing: this angle belongs to a cube as well.")
    said = ", ".join(f"{angle}°: {names[angle]}, {right[angle]}" for angle in sorted(right))
    return Verdict(True, f"{said}. With the identity these are the 24 turns of a cube.")


def keeps_axis(axis: ArrayLike, degrees: float, preferred: ArrayLike = (0, 0, 1)) -> Verdict:
    """Whether a turn leaves the line of a preferred axis alone, and is not simply one about it.

    Args:
        axis: of the turn.
        degrees: its angle.
        preferred: the axis u.
    """
    u = np.asarray(preferred, dtype=float) / np.linalg.norm(preferred)
    if not np.any(axis):
        return Verdict(False, "an axis needs a direction: (0, 0, 0) has none.")
    R = rotation(axis, degrees)
    _, turned = axis_angle(R)
    if turned < _ANGLE:
        return Verdict(False, "this turns nothing: every predictor passes it.")
    angle = np.degrees(np.arccos(np.clip(abs(u @ R @ u), 0, 1)))
    n = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    if angle > _ANGLE:
        return Verdict(
            False,
            f"u ends up {angle:.0f}° from its line, so its error is "
            f"{np.sin(np.radians(angle)):.2f} of the largest possible one.",
        )
    if abs(n @ u) > np.cos(np.radians(_ANGLE)):
        return Verdict(False, "true, but this is a turn about u itself. There is another kind.")
    return Verdict(True, "a half turn across u takes u to −u, and u uᵀ cannot tell these apart.")


def worst_enough(
    answer: ArrayLike, errors: RotationErrors, name: str, found: float, drawn: float
) -> Verdict:
    """Whether a rotation is about as bad as the worst that a search found.

    Args:
        answer: (3, 3).
        errors: of the structure.
        name: of the predictor.
        found: mean error at the worst rotation of the search, meV.
        drawn: the largest mean error of its random rotations, meV.
    """
    R = np.asarray(answer, dtype=float)
    if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=1e-6):
        return Verdict(False, "a rotation is a 3 x 3 matrix with R Rᵀ = 1, e.g. wb.rotation(...).")
    if np.linalg.det(R) < 0:
        return Verdict(False, "its determinant is −1: an inversion is in it, so it is no rotation.")
    own = errors.under([R], [name])[0][name].mae_mev
    if own >= _ENOUGH * found:
        return Verdict(True, f"{own:.4g} meV; the search found {found:.4g} meV.")
    half = "above" if own > drawn else "below"
    return Verdict(
        False,
        f"{own:.4g} meV, {half} the worst random one ({drawn:.4g} meV), and {own / found:.0%} of "
        f"what the search found ({found:.4g} meV). Go on uphill from your best.",
    )


def _first(matrix: BlockMatrix, l: int) -> int:
    """Where the first shell of this l begins in the padded frame."""
    basis = matrix.basis
    starts = zip(basis.shell_starts, basis.layout, strict=True)
    return next(start for start, degree in starts if degree == l)
