"""Rotation matrices of vectors and of spin 1/2. All rotations are active, ``x' = R x``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

INVERSION: NDArray[np.float64] = -np.eye(3)
"""The operation x -> -x, (3, 3). With the rotations it generates all orthogonal matrices."""

_MOST_DEGREES = 1e6  # the angle within a turn is then known to 1e-10 degrees


def rotation(axis: ArrayLike, degrees: float) -> NDArray[np.float64]:
    """Active rotation matrix about an axis through the origin, right-handed.

    Args:
        axis: (3,), of any non-zero length.
        degrees: rotation angle.

    Returns:
        (3, 3), determinant +1.

    Raises:
        ValueError: if the axis is zero or not three finite numbers, or the angle is not
            finite or above a million degrees.

    >>> R = wb.rotation((0, 0, 1), 90)  # takes x to y
    >>> (R @ (1, 0, 0)).round(3)
    array([0., 1., 0.])
    """
    direction = np.asarray(axis, dtype=float)
    if direction.shape != (3,) or not np.isfinite(direction).all() or not direction.any():
        raise ValueError(f"A rotation axis is three finite numbers, not all zero: {axis!r} is not.")
    if not abs(degrees) <= _MOST_DEGREES:  # true for NaN as well
        raise ValueError(
            f"A rotation angle is a number of degrees up to {_MOST_DEGREES:g}: {degrees!r} is not."
        )
    largest = np.abs(direction).max()
    direction = direction / largest if not 1e-100 < largest < 1e100 else direction
    direction = direction / np.linalg.norm(direction)
    return Rotation.from_rotvec(np.deg2rad(degrees) * direction).as_matrix()


def rotation_from_quaternion(quaternion: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) of a quaternion (x, y, z, w), scalar last, of any non-zero length."""
    return Rotation.from_quat(np.asarray(quaternion, dtype=float)).as_matrix()


def along_z(vectors: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices (..., 3, 3) that take each non-zero vector (..., 3) to the z axis.

    >>> from workbench.hamiltonians.rotations import along_z
    >>> (along_z((3, 0, 4)) @ (3, 0, 4)).round(3)
    array([0., 0., 5.])
    """
    directions = np.asarray(vectors, dtype=float)
    z = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    # The coordinate axis that is furthest from parallel to z: the cross product cannot vanish.
    reference = np.eye(3)[np.abs(z).argmin(axis=-1)]
    x = np.cross(reference, z)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-2)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation matrix (3, 3) drawn uniformly (Haar measure) from SO(3).

    >>> R = wb.random_rotation(np.random.default_rng(0))
    >>> bool(np.allclose(R @ R.T, np.eye(3))), float(np.linalg.det(R))
    (True, 1.0)
    """
    return Rotation.from_quat(rng.normal(size=4)).as_matrix()


def random_rotations(
    n: int, seed: int | Sequence[int] = 0, improper: Literal["none", "half", "all"] = "none"
) -> NDArray[np.float64]:
    """Orthogonal matrices (n, 3, 3) drawn uniformly (Haar measure), reproducible from a seed.

    The rotations are the same for each value of ``improper``; the inversions are drawn after them.

    Args:
        n: number of matrices, at least 1.
        seed: one integer, or several (e.g. seed, step), as for `numpy.random.default_rng`.
        improper: which rotations are multiplied by the inversion, x -> -x: none, each with
            probability 1/2 ("half"), or all.

    Raises:
        ValueError: if n is below 1, or ``improper`` is none of the three words.

    >>> from workbench.hamiltonians.rotations import random_rotations
    >>> R = random_rotations(4, seed=1)
    >>> R.shape, bool(np.allclose(R @ R.mT, np.eye(3)))
    ((4, 3, 3), True)
    >>> np.linalg.det(random_rotations(4, seed=1, improper="all")).round()
    array([-1., -1., -1., -1.])
    """
    if n < 1:
        raise ValueError(f"n is {n}: draw at least one rotation.")
    if improper not in ("none", "half", "all"):
        raise ValueError(f"improper is {improper!r}: choose 'none', 'half' or 'all'.")
    rng = np.random.default_rng(seed)
    rotations = np.stack([random_rotation(rng) for _ in range(n)])
    if improper == "half":
        return rotations * rng.choice([-1.0, 1.0], size=(n, 1, 1))
    return -rotations if improper == "all" else rotations


def axis_angle(matrix: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Axis (unit vector, (3,)) and angle in degrees (0 to 180) of a proper rotation matrix.

    For the identity the axis is z.
    """
    vector = Rotation.from_matrix(np.asarray(matrix, dtype=float)).as_rotvec()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 1e-12 else np.array([0.0, 0.0, 1.0])
    return axis, float(np.rad2deg(angle))


PAULI: NDArray[np.complex128] = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
"""(3, 2, 2) Pauli matrices along x, y, z."""


def spin_half_axis(axis: ArrayLike, degrees: float) -> NDArray[np.complex128]:
    """Spin rotation ``exp(-i theta n.sigma / 2)``, (2, 2). A rotation by 360 degrees gives -1.

    >>> from workbench.hamiltonians.rotations import spin_half_axis
    >>> bool(np.allclose(spin_half_axis((0, 0, 1), 360), -np.eye(2)))
    True
    """
    direction = np.asarray(axis, dtype=float) / np.linalg.norm(np.asarray(axis, dtype=float))
    half = np.deg2rad(degrees) / 2
    generator = np.einsum("a,aij->ij", direction, PAULI)
    return np.cos(half) * np.eye(2) - 1j * np.sin(half) * generator


def spin_half(matrix: ArrayLike) -> NDArray[np.complex128]:
    """Spin rotation U (2, 2) of a rotation matrix, with the sign that makes its trace >= 0.

    The sign cancels in ``U H U^dagger``. An improper R acts on spin like its proper part, -R.
    """
    proper = np.asarray(matrix, dtype=float)
    proper = proper * np.sign(np.linalg.det(proper))
    return spin_half_axis(*axis_angle(proper))
