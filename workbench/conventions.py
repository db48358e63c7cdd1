"""The one home of units, orbital orders, axis conventions and rotation matrices.

Everything in the workbench follows these constants; a convention is never an option.

- Units inside: eV and Angstrom (those of ASE).
- A rotation is active: ``x' = R x``. It may be improper (determinant -1).
- Orbitals of one shell are real spherical harmonics in the order ``m = -l..l``: for p that is
  (y, z, x), for d (xy, yz, z2, xz, x2-y2). Matrices turn as ``H' = D H D^T`` with D block
  diagonal in ``wigner_d(l, R)``.
- e3nn calls its first axis what we call y: feed it vectors permuted by ``E3NN_AXES`` and its
  irreps then agree with our shells in order and sign.
- Spinors carry spin as the outer index: ``D = kron(spin_half(R), D)``. Inversion leaves spin alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import factorial

import numpy as np
from ase import units
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from scipy.special import lpmv

CONVENTION_VERSION = 1
"""Stamped into every dataset and checkpoint; raised when anything in this file changes meaning."""

HARTREE: float = units.Hartree
"""One Hartree in eV."""

BOHR: float = units.Bohr
"""One Bohr in Angstrom."""

E3NN_AXES = (1, 2, 0)
"""``vectors[..., E3NN_AXES]`` is what e3nn must be fed."""

AO_TO_M: dict[str, dict[int, tuple[int, ...]]] = {
    "pyscf": {0: (0,), 1: (1, 2, 0), 2: tuple(range(5)), 3: tuple(range(7)), 4: tuple(range(9))},
    "openmx": {0: (0,), 1: (1, 2, 0), 2: (2, 4, 0, 3, 1), 3: (6, 4, 2, 0, 1, 3, 5)},
    "siesta": {l: tuple(range(2 * l + 1)) for l in range(5)},
}
"""Per program and l: ``new[k] = old[index[k]]`` takes its order to ``m = -l..l``.

PySCF stores p as (x, y, z) and every other shell as m = -l..l already. OpenMX, and with it the
DeepH format, stores p as (x, y, z), d as (z2, x2-y2, xy, xz, yz) and f as (z(5z2-3r2),
x(5z2-r2), y(5z2-r2), z(x2-y2), xyz, x(x2-3y2), y(3x2-y2)). SIESTA stores m = -l..l.
"""

CONDON_SHORTLEY = frozenset({"siesta"})
"""Programs whose real harmonics are (-1)^m times ours: p is (-y, z, -x)."""

SHELL_LETTERS = "spdfghi"

_ORBITAL_NAMES = {
    0: ("",),
    1: ("y", "z", "x"),
    2: ("xy", "yz", "z2", "xz", "x2-y2"),
}


def orbital_name(l: int, m: int) -> str:
    """Name of a real harmonic after its shell letter: ``y`` for (1, -1), ``xy`` for (2, -2).

    From f on it is the signed m, as in PySCF's labels.
    """
    return _ORBITAL_NAMES[l][m + l] if l in _ORBITAL_NAMES else f"{m:+d}"


def shell_rank(shell: str) -> tuple[int, int]:
    """A key that sorts shells such as "2p" by l, then by number: 1s 2s 3s 2p 3p 3d."""
    return SHELL_LETTERS.index(shell[-1]), int(shell[:-1])


def rotation(axis: ArrayLike, degrees: float) -> NDArray[np.float64]:
    """Active rotation matrix about an axis through the origin, right-handed.

    Args:
        axis: (3,), any length but zero.
        degrees: the angle.

    Returns:
        (3, 3), determinant +1.

    Raises:
        ValueError: if the axis is zero or not three numbers.
    """
    direction = np.asarray(axis, dtype=float)
    if direction.shape != (3,) or not np.isfinite(direction).all() or not direction.any():
        raise ValueError(f"A rotation axis is three finite numbers, not all zero; got {axis!r}.")
    direction = direction / np.linalg.norm(direction)
    return Rotation.from_rotvec(np.deg2rad(degrees) * direction).as_matrix()


def rotation_from_quaternion(quaternion: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) of a quaternion (x, y, z, w), scalar last, of any length but zero."""
    return Rotation.from_quat(np.asarray(quaternion, dtype=float)).as_matrix()


def along_z(vectors: ArrayLike) -> NDArray[np.float64]:
    """A rotation (..., 3, 3) for each vector (..., 3), not zero, that turns it along z."""
    given = np.asarray(vectors, dtype=float)
    z = given / np.linalg.norm(given, axis=-1, keepdims=True)
    least = np.eye(3)[np.abs(z).argmin(axis=-1)]
    x = np.cross(least, z)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-2)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation matrix (3, 3) drawn uniformly (Haar measure) from SO(3)."""
    return Rotation.from_quat(rng.normal(size=4)).as_matrix()


def axis_angle(matrix: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Axis (unit vector, (3,)) and angle in degrees (0 to 180) of a proper rotation matrix."""
    vector = Rotation.from_matrix(np.asarray(matrix, dtype=float)).as_rotvec()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 1e-12 else np.array([0.0, 0.0, 1.0])
    return axis, float(np.rad2deg(angle))


def harmonics(lmax: int, vectors: ArrayLike) -> NDArray[np.float64]:
    """Orthonormal real spherical harmonics of the directions of vectors, m = -l..l.

    ``Y_lm = sqrt(2) N_lm P_l^|m|(cos theta) {cos m phi | sin |m| phi}`` without the
    Condon-Shortley phase, so that l = 1 is proportional to (y, z, x).

    Args:
        lmax: highest l.
        vectors: (..., 3), not zero.

    Returns:
        (..., (lmax + 1)^2), ordered l = 0, 1, ..., and m = -l..l within.
    """
    points = np.asarray(vectors, dtype=float)
    x, y, z = np.moveaxis(points, -1, 0)
    cosine = z / np.linalg.norm(points, axis=-1)
    phi = np.arctan2(y, x)
    columns = []
    for l in range(lmax + 1):
        for m in range(-l, l + 1):
            k = abs(m)
            norm = np.sqrt((2 * l + 1) / (4 * np.pi) * factorial(l - k) / factorial(l + k))
            phase = np.sin(k * phi) if m < 0 else np.cos(k * phi)
            root2 = np.sqrt(2.0) if m else 1.0
            columns.append((-1) ** k * root2 * norm * lpmv(k, l, cosine) * phase)
    return np.stack(columns, axis=-1)


def wigner_d(l: int, matrix: ArrayLike) -> NDArray[np.float64]:
    """Real Wigner matrix of one shell: ``Y_l(R x) = D^l(R) Y_l(x)``, proper or improper R.

    Solved from the harmonics of a fixed set of points before and after the rotation, which is
    good to about 1e-14 and needs no table of signs.

    Args:
        l: angular momentum.
        matrix: (..., 3, 3) orthogonal.

    Returns:
        (..., 2l+1, 2l+1), orthogonal; an improper R carries the shell's parity (-1)^l.
    """
    points, inverse = _solved_points(l)
    turned = np.einsum("...ab,pb->...pa", np.asarray(matrix, dtype=float), points)
    after = harmonics(l, turned)[..., l * l :]  # (..., points, 2l+1)
    return np.swapaxes(inverse @ after, -1, -2)


def wigner_blocks(ls: Sequence[int], matrix: ArrayLike) -> NDArray[np.float64]:
    """Block diagonal Wigner matrices (..., K, K) of several shells in turn, K = sum of 2l+1.

    Args:
        ls: angular momentum of each shell; one that comes again is not computed again.
        matrix: (..., 3, 3) orthogonal.
    """
    of_degree = {l: wigner_d(l, matrix) for l in set(ls)}
    size = sum(2 * l + 1 for l in ls)
    result = np.zeros((*np.shape(matrix)[:-2], size, size))
    at = 0
    for l in ls:
        shell = slice(at, at + 2 * l + 1)
        result[..., shell, shell] = of_degree[l]
        at += 2 * l + 1
    return result


@cache
def _solved_points(l: int) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
    """Points (4l+4, 3), and the pseudo-inverse (2l+1, 4l+4) of their harmonics of degree l."""
    points = _points(l)
    return points, np.linalg.pinv(harmonics(l, points)[:, l * l :])


def _points(l: int) -> NDArray[np.float64]:
    """(4l+4, 3) points spread over the sphere, with no symmetry that harmonics could share."""
    return np.random.default_rng(l).normal(size=(4 * l + 4, 3))


PAULI: NDArray[np.complex128] = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
"""(3, 2, 2) Pauli matrices along x, y, z."""


def spin_half_axis(axis: ArrayLike, degrees: float) -> NDArray[np.complex128]:
    """Spin rotation ``exp(-i theta n.sigma / 2)``, (2, 2): a turn by 360 degrees gives -1."""
    direction = np.asarray(axis, dtype=float) / np.linalg.norm(np.asarray(axis, dtype=float))
    half = np.deg2rad(degrees) / 2
    generator = np.einsum("a,aij->ij", direction, PAULI)
    return np.cos(half) * np.eye(2) - 1j * np.sin(half) * generator


def spin_half(matrix: ArrayLike) -> NDArray[np.complex128]:
    """Spin rotation (2, 2) of a rotation matrix, the one of the two signs whose trace is >= 0.

    The sign drops out of ``U H U^dagger``. An improper R turns spin as its proper part does.
    """
    proper = np.asarray(matrix, dtype=float)
    proper = proper * np.sign(np.linalg.det(proper))
    return spin_half_axis(*axis_angle(proper))


def order_index(program: str, shells: Sequence[int]) -> NDArray[np.intp]:
    """Index that takes one atom's AO vector from a program's order to m = -l..l.

    Args:
        program: a key of ``AO_TO_M``.
        shells: l of each shell of the atom, in the program's order of shells.

    Returns:
        (n_orbitals,) with ``ours = theirs[index]``.
    """
    parts, start = [], 0
    for l in shells:
        if l not in AO_TO_M[program]:
            most = max(AO_TO_M[program])
            raise ValueError(
                f"The order of {program}'s l = {l} shells is not known; use l <= {most}."
            )
        parts.append(start + np.array(AO_TO_M[program][l]))
        start += 2 * l + 1
    return np.concatenate(parts).astype(np.intp)


def order_signs(program: str, shells: Sequence[int]) -> NDArray[np.float64]:
    """Signs that one atom's AO vector takes on its way from a program's harmonics to ours.

    Args:
        program: a key of ``AO_TO_M``.
        shells: l of each shell of the atom, in the program's order of shells.

    Returns:
        (n_orbitals,) with ``ours = signs * theirs[order_index(program, shells)]``.
    """
    m = np.concatenate([np.arange(-l, l + 1) for l in shells])
    return np.where(m % 2, -1.0, 1.0) if program in CONDON_SHORTLEY else np.ones(len(m))
