"""Tasks about spin: the matrix that turns a spinor, splittings by spin and orbit, and magnets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from workbench.course.verdict import Verdict
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import PAULI, spin_half_axis

__all__ = ["in_a_field", "multiplets", "p_splitting", "spin_turn"]

_CLOSE = 1e-6
_TOGETHER = 1e-4  # eV; the levels of one multiplet


def spin_turn(answer: ArrayLike, degrees: float) -> Verdict:
    """Whether a (2, 2) matrix turns a spinor about z: ``exp(-i theta sigma_z / 2)``."""
    given, angle = np.asarray(answer, dtype=complex), np.deg2rad(degrees)
    right = spin_half_axis((0, 0, 1), degrees)
    if given.shape != (2, 2):
        return Verdict(False, "a spinor has two components, up and down: give a 2 x 2 matrix.")
    if np.allclose(given, right, atol=_CLOSE):
        return Verdict(True, "half the angle, with opposite signs for up and down.")
    wrong = {
        "that is the whole angle: a vector takes it, a spinor half of it.": np.diag(
            np.exp([-1j * angle, 1j * angle])
        ),
        "that turns the other way: up takes the minus sign.": right.conj(),
        "up and down turn against each other: their signs differ.": right[0, 0] * np.eye(2),
        "that mixes up and down, as a turn about another axis than z does.": spin_half_axis(
            (0, 1, 0), degrees
        ),
    }
    for why, mistaken in wrong.items():
        if np.allclose(given, mistaken, atol=_CLOSE):
            return Verdict(False, why)
    if not np.allclose(given @ given.conj().T, np.eye(2), atol=_CLOSE):
        return Verdict(False, "it changes the length of a spinor: a rotation is unitary.")
    return Verdict(False, f"up should take the phase {-degrees / 2:g}°, down {degrees / 2:g}°.")


def multiplets(energies: ArrayLike) -> list[tuple[float, int]]:
    """Ascending levels as energies with the number of states that share each, unit as given."""
    ordered = np.sort(np.asarray(energies, dtype=float))
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > _TOGETHER) + 1)
    return [(float(group.mean()), len(group)) for group in groups]


def p_splitting(answer: float, energies: ArrayLike) -> Verdict:
    """Whether an answer in eV is the splitting of the highest filled p shell of an atom.

    Args:
        answer: eV.
        energies: the filled levels of a closed-shell atom, eV, one of each spinor.
    """
    found = multiplets(energies)
    (lower, two), (upper, four) = found[-2:]
    right = upper - lower
    if (two, four) != (2, 4):
        raise ValueError("These levels do not end with a filled p shell, of two and four states.")
    if abs(answer - right) < 1e-3:
        return Verdict(True, f"j = 1/2, two states, lies {right:.3f} eV below j = 3/2, four.")
    if abs(answer + right) < 1e-3:
        return Verdict(False, "the right distance; give it as a positive number.")
    if abs(answer) < 1e-3:
        return Verdict(False, "those two levels belong to one multiplet: look below its four.")
    if any(abs(abs(answer) - abs(a - b)) < 1e-3 for a, _ in found for b, _ in found):
        return Verdict(False, "that is a distance between other shells: take the two highest.")
    return Verdict(False, "that is no distance between two of these levels: print them.")


def in_a_field(H: BlockMatrix, S: BlockMatrix, energy: float) -> BlockMatrix:
    """H of spinors with a magnetic field on their spins, along z: ``H + energy sigma_z S``.

    Args:
        H: eV.
        S: of the same spinors.
        energy: of one spin in the field, eV.
    """
    half = H.basis.dim
    sigma = np.kron(PAULI[2], np.eye(half))
    shift = S.over(H.edges, H.shifts)
    return H + BlockMatrix(H.basis, H.numbers, H.edges, H.shifts, energy * (sigma @ shift))
