"""Units, orbital order and axis conventions. Defined here only.

Everything in the workbench follows these constants; a convention is never an option.

- Units inside the workbench: eV and Angstrom (those of ASE).
- A rotation is active: ``x' = R x``. It may be improper (determinant -1). Rotation matrices are
  in `workbench.hamiltonians.rotations`.
- Orbitals of one shell are real spherical harmonics in the order ``m = -l..l``: for p that is
  (y, z, x), for d (xy, yz, z2, xz, x2-y2). Matrices transform as ``H' = D H D^T``. D is block
  diagonal with the blocks ``wigner_d(l, R)`` (`workbench.hamiltonians.wigner`).
- The first axis of e3nn is our y axis. Pass vectors to e3nn permuted by ``E3NN_AXES``: its irreps
  then agree with our shells in order and sign.
- Spinors have spin as the outer index: ``D = kron(spin_half(R), D)``. Inversion does not act on
  spin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import units
from numpy.typing import NDArray

CONVENTION_VERSION = 1
"""Written into every dataset and checkpoint.

Increase it when anything in this module, `rotations` or `wigner` changes its meaning.
"""

HARTREE: float = units.Hartree
"""One Hartree in eV."""

MEV: float = 1000.0
"""One eV in meV."""

BOHR: float = units.Bohr
"""One Bohr in Angstrom."""

E3NN_AXES = (1, 2, 0)
"""Pass ``vectors[..., E3NN_AXES]`` to e3nn."""


def _zero_outwards(l: int) -> tuple[int, ...]:
    """Where m = -l..l stand in the order 0, 1, -1, 2, -2, ..."""
    return tuple(2 * m - 1 if m > 0 else -2 * m for m in range(-l, l + 1))


AO_TO_M: dict[str, dict[int, tuple[int, ...]]] = {
    "pyscf": {0: (0,), 1: (1, 2, 0), 2: tuple(range(5)), 3: tuple(range(7)), 4: tuple(range(9))},
    "openmx": {0: (0,), 1: (1, 2, 0), 2: (2, 4, 0, 3, 1), 3: (6, 4, 2, 0, 1, 3, 5)},
    "siesta": {l: tuple(range(2 * l + 1)) for l in range(5)},
    "orca": {l: _zero_outwards(l) for l in range(5)},
    "psi4": {l: _zero_outwards(l) for l in range(7)},
    "abacus": {l: _zero_outwards(l) for l in range(5)},
    "fhi-aims": {l: tuple(range(2 * l + 1)) for l in range(7)},
    "m": {l: tuple(range(2 * l + 1)) for l in range(7)},
}
"""Per program and l: ``new[k] = old[index[k]]`` changes its order to ``m = -l..l``.

PySCF stores p as (x, y, z) and every other shell as m = -l..l. OpenMX and the DeepH format store
p as (x, y, z), d as (z2, x2-y2, xy, xz, yz) and f as (z(5z2-3r2), x(5z2-r2), y(5z2-r2),
z(x2-y2), xyz, x(x2-3y2), y(3x2-y2)). SIESTA and FHI-aims store m = -l..l. ORCA, Psi4 and
ABACUS store m = 0, 1, -1, 2, -2, ...; "m" is our own order.
"""

CONDON_SHORTLEY = frozenset({"siesta", "abacus"})
"""Programs whose real harmonics are (-1)^m times ours: for m = 1 they are -y and -x.

SIESTA's p shell is (-y, z, -x). ABACUS's is (z, -x, -y) (`Ylm::sph_harm` in its source).
"""

POSITIVE_M_ONLY = frozenset({"fhi-aims"})
"""Programs whose real harmonics are (-1)^m times ours for m > 0: their p shell is (y, z, -x)."""

NEGATIVE_M = {"orca": (3, 4)}
"""Program -> the |m| whose real harmonics have the other sign than ours."""

SHELL_LETTERS = "spdfghi"

_ORBITAL_NAMES = {
    0: ("",),
    1: ("y", "z", "x"),
    2: ("xy", "yz", "z2", "xz", "x2-y2"),
}


def orbital_name(l: int, m: int) -> str:
    """Name of a real harmonic, without its shell letter: ``y`` for (1, -1), ``xy`` for (2, -2).

    For f and higher shells the name is the signed m, as in PySCF's labels.
    """
    return _ORBITAL_NAMES[l][m + l] if l in _ORBITAL_NAMES else f"{m:+d}"


def shell_rank(shell: str) -> tuple[int, int]:
    """Sort key of shells such as "2p": by l, then by number, i.e. 1s 2s 3s 2p 3p 3d."""
    return SHELL_LETTERS.index(shell[-1]), int(shell[:-1])


def order_index(program: str, shells: Sequence[int]) -> NDArray[np.intp]:
    """Index that changes one atom's AO vector from a program's order to m = -l..l.

    Args:
        program: a key of ``AO_TO_M``.
        shells: l of each shell of the atom, in the program's order of shells.

    Returns:
        (n_orbitals,) with ``ours = theirs[index]``.

    Raises:
        ValueError: for an l whose order in this program is not known.

    >>> from workbench.hamiltonians.conventions import order_index
    >>> order_index("pyscf", (0, 1))  # s, px, py, pz -> s, py, pz, px
    array([0, 2, 3, 1])
    """
    indices, start = [], 0
    for l in shells:
        if l not in AO_TO_M[program]:
            highest = max(AO_TO_M[program])
            raise ValueError(
                f"The orbital order of l = {l} shells in {program} is not known: "
                f"use a basis with l <= {highest}."
            )
        indices.append(start + np.array(AO_TO_M[program][l]))
        start += 2 * l + 1
    return np.concatenate(indices).astype(np.intp)


def order_signs(program: str, shells: Sequence[int]) -> NDArray[np.float64]:
    """Signs between one atom's AO vector in a program's real harmonics and in ours.

    Args:
        program: a key of ``AO_TO_M``.
        shells: l of each shell of the atom, in the program's order of shells.

    Returns:
        (n_orbitals,) with ``ours = signs * theirs[order_index(program, shells)]``.
    """
    m = np.concatenate([np.arange(-l, l + 1) for l in shells])
    alternating = np.where(m % 2, -1.0, 1.0)
    signs = np.ones(len(m))
    if program in CONDON_SHORTLEY:
        signs = alternating
    elif program in POSITIVE_M_ONLY:
        signs = np.where(m > 0, alternating, 1.0)
    return np.where(np.isin(np.abs(m), NEGATIVE_M.get(program, ())), -signs, signs)
