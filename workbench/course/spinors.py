"""Tasks about spin: the rotation of a spinor, spin-orbit splittings, and magnetic fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from workbench.course.answers import checks_answer, number, numbers
from workbench.course.verdict import Verdict, explained
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import PAULI, spin_half_axis

__all__ = ["in_a_field", "multiplets", "p_splitting", "spin_turn"]

_CLOSE = 1e-2  # deviation from unitarity that rounding explains
_ROUNDED = 1.001e-3  # eV; a difference of two levels that are printed with three decimals
_TOGETHER = 1e-4  # eV; levels closer than this belong to one multiplet


@checks_answer
def spin_turn(answer: ArrayLike, degrees: float) -> Verdict:
    """Check the (2, 2) matrix that rotates a spinor about z: ``exp(-i theta sigma_z / 2)``.

    >>> from workbench.course import spinors
    >>> spinors.spin_turn(np.diag([-1j, 1j]), 180)
    Right: half the angle, with opposite signs for up and down.
    """
    submitted, angle = numbers(answer, "a 2 x 2 matrix", real=False), np.deg2rad(degrees)
    right = spin_half_axis((0, 0, 1), degrees)
    if submitted.shape != (2, 2):
        return Verdict(False, "a spinor has two components, up and down: give a 2 x 2 matrix.")
    wrong = {
        "that is the whole angle: a vector rotates by it, a spinor by half of it.": np.diag(
            np.exp([-1j * angle, 1j * angle])
        ),
        "that is the opposite rotation: up has the minus sign.": right.conj(),
        "up and down have phases of opposite sign.": right[0, 0] * np.eye(2),
        "that mixes up and down, as a rotation about another axis than z does.": spin_half_axis(
            (0, 1, 0), degrees
        ),
    }
    otherwise = f"up should have the phase {-degrees / 2:g}°, down {degrees / 2:g}°."
    if not np.allclose(submitted @ submitted.conj().T, np.eye(2), atol=_CLOSE):
        otherwise = "it changes the norm of a spinor: a rotation is unitary."
    done = "half the angle, with opposite signs for up and down."
    return explained(submitted, right, done, wrong, otherwise)


def multiplets(energies: ArrayLike) -> list[tuple[float, int]]:
    """Ascending levels with the number of states of each, in the unit of `energies`.

    >>> from workbench.course import spinors
    >>> spinors.multiplets([1.0, 1.0, 2.5])
    [(1.0, 2), (2.5, 1)]
    """
    ordered = np.sort(np.asarray(energies, dtype=float))
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > _TOGETHER) + 1)
    return [(float(group.mean()), len(group)) for group in groups]


@checks_answer
def p_splitting(answer: float, energies: ArrayLike) -> Verdict:
    """Check the spin-orbit splitting of the highest occupied p shell of an atom.

    Args:
        answer: eV.
        energies: occupied levels of a closed-shell atom, eV, one per spinor.

    >>> from workbench.course import spinors
    >>> spinors.p_splitting(1.0, [-20.0, -20.0, -5.0, -5.0, -4.0, -4.0, -4.0, -4.0])
    Right: j = 1/2, two states, lies 1.000 eV below j = 3/2, four.
    """
    groups, submitted = multiplets(energies), number(answer)
    (lower, two), (upper, four) = groups[-2:]
    right = upper - lower
    if (two, four) != (2, 4):
        raise ValueError(
            "The highest levels are not a p shell of two and four states: use a noble gas."
        )
    if abs(submitted - right) < _ROUNDED:
        return Verdict(True, f"j = 1/2, two states, lies {right:.3f} eV below j = 3/2, four.")
    if abs(submitted + right) < _ROUNDED:
        return Verdict(False, "the right difference; give it as a positive number.")
    if abs(submitted) < _ROUNDED:
        return Verdict(
            False, "these two levels belong to one multiplet: use the level below its four states."
        )
    differences = [abs(a - b) for a, _ in groups for b, _ in groups]
    if min(abs(abs(submitted) - difference) for difference in differences) < _ROUNDED:
        return Verdict(False, "that is a difference of other levels: use the two highest.")
    return Verdict(False, "that is not a difference of two of these levels: print them.")


def in_a_field(H: BlockMatrix, S: BlockMatrix, energy: float) -> BlockMatrix:
    """H of spinors in a magnetic field along z that acts on the spin: ``H + energy sigma_z S``.

    Args:
        H: eV.
        S: overlap of the same spinors.
        energy: energy of one spin in the field, eV.

    >>> from workbench.course import spinors
    >>> S = wb.BlockMatrix.from_dense(wb.Basis("toy", {1: (0,)}, spinor=True), [1], np.eye(2))
    >>> spinors.in_a_field(0.0 * S, S, 0.5).dense().real  # spin up and down, eV
    array([[ 0.5,  0. ], [ 0. , -0.5]])
    """
    half = H.basis.dim
    sigma = np.kron(PAULI[2], np.eye(half))
    shift = S.over(H.edges, H.shifts)
    return H + BlockMatrix(H.basis, H.numbers, H.edges, H.shifts, energy * (sigma @ shift))
