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

import numpy as np
from ase import units
from numpy.typing import NDArray

CONVENTION_VERSION = 1
"""Stamped into every dataset and checkpoint; raised when anything in this file changes meaning."""

HARTREE: float = units.Hartree
"""One Hartree in eV."""

MEV: float = 1000.0
"""One eV in meV."""

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
