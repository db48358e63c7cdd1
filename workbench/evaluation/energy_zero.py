"""The zero of energy: how far two matrices differ by a rigid shift, and the error without it.

If ``H c = eps S c``, then ``(H + mu S) c = (eps + mu) S c``: the matrix H + mu S has the same
orbitals as H, and all its energies are mu higher. The zero of energy of a crystal is a convention,
so mu is a gauge. The part mu S of an error does not change any orbital, gap or shape of a band.
(The zero of a molecule is an electron at rest far away. A shift of its levels changes ionisation
energies, and is one error of all levels.)

The shift is determined by least squares, over all matrix elements, of both spins for spinors::

    mu = argmin sum |a - b - mu S|^2 = Re sum conj(S) (a - b) / sum |S|^2

The sum of squares does not change when the structure is rotated, so neither does mu; it has one
minimum, in closed form, and if a becomes a + c S, then mu becomes mu + c. The sum of moduli has
none of the first two properties. The mean modulus that is left, `gauge_free_errors`, may therefore
be slightly larger than the least one, and even than that of the error itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.evaluation.errors import Errors, matrix_errors
from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["energy_shift", "gauge_free_errors", "without_shift"]


def energy_shift(a: BlockMatrix, b: BlockMatrix, S: BlockMatrix) -> float:
    """The rigid shift mu in eV that makes ``b + mu S`` most similar to a (least squares).

    Args:
        a: eV, e.g. a predicted Hamiltonian.
        b: eV, of the same atoms in the same order, e.g. the reference.
        S: their overlap, dimensionless; spinors need an overlap of spinors.

    Raises:
        ValueError: if the matrices belong to different atoms or bases.

    >>> from workbench.evaluation.energy_zero import energy_shift
    >>> water = wb.reference(wb.load("water"), "sto-3g", "hf")
    >>> energy_shift(water.H + 0.25 * water.S, water.H, water.S)
    0.25
    """
    difference, overlap = (matrix.values for matrix in _in_one_frame(a - b, S))
    return float(np.vdot(overlap, difference).real / np.vdot(overlap, overlap).real)


def without_shift(a: BlockMatrix, b: BlockMatrix, S: BlockMatrix) -> BlockMatrix:
    """The matrix ``a - mu S``, in eV, in the blocks of a and b, with mu from `energy_shift`.

    Blocks that only the overlap has are left out, so that an error without the shift is a mean over
    the same elements as the error with it. Arguments and errors are those of `energy_shift`.

    >>> from workbench.evaluation.energy_zero import without_shift
    >>> water = wb.reference(wb.load("water"), "sto-3g", "hf")
    >>> H = without_shift(water.H + 0.25 * water.S, water.H, water.S)
    >>> (H - water.H).max_abs() < 1e-12
    True
    """
    return a - energy_shift(a, b, S) * _in_one_frame(a - b, S)[1]


def gauge_free_errors(a: BlockMatrix, b: BlockMatrix, S: BlockMatrix) -> Errors:
    """The errors of a against b that no shift of the zero of energy removes.

    Arguments and errors are those of `energy_shift`. The result does not change if any multiple of
    S is added to a or to b.

    >>> from workbench.evaluation.energy_zero import gauge_free_errors
    >>> water = wb.reference(wb.load("water"), "sto-3g", "hf")
    >>> gauge_free_errors(water.H + 0.25 * water.S, water.H, water.S).mae_mev < 1e-9
    True
    """
    return matrix_errors(without_shift(a, b, S), b)


def _in_one_frame(difference: BlockMatrix, S: BlockMatrix) -> tuple[BlockMatrix, BlockMatrix]:
    """The difference of two matrices, and the overlap in the same blocks."""
    if not np.array_equal(difference.numbers, S.numbers):
        raise ValueError("The overlap belongs to other atoms: use the overlap of this structure.")
    basis = difference.basis.merged(S.basis)
    difference, overlap = difference.in_basis(basis), S.in_basis(basis)
    values = overlap.over(difference.edges, difference.shifts)
    return difference, replace(difference, values=values)
