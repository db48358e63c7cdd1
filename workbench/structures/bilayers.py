"""Sheets upon sheets: bilayers, shifted or twisted by the angles at which both lattices meet.

A hexagonal lattice has vectors ``(m+n) a1 + n a2`` and ``(m+n) a1 + m a2`` (a1, a2 at 120 degrees)
of one length. Two sheets turned so that the two coincide repeat together (Lopes dos Santos, Peres
and Castro Neto 2007, doi 10.1103/PhysRevLett.99.256802; counted there by other indices).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.build import graphene, make_supercell

from workbench.hamiltonians.rotations import rotation
from workbench.structures.loading import StructureError, load, rotate, validate

__all__ = ["SHEETS", "bilayer", "sheet", "twist_angle", "twist_pairs", "twisted", "twisted_bilayer"]

SHEETS: Mapping[str, float] = {
    "graphene": 3.3555,
    "boron nitride": 3.3306,
    "MoS2": 6.147,
    "bismuthene": 5.124,
    "Bi2Te3": 11.188,
    "Bi2Se3": 10.484,
}
"""Sheets by name, and how far apart their mean heights lie, A, in bilayers made of them.

Of the first three it is the bulk's, c/2 (graphite: Trucano and Chen, Nature 258, 136 (1975); boron
nitride: Pease, Acta Cryst. 5, 356 (1952); MoS2: Bronsema, de Boer and Jellinek, Z. anorg. allg.
Chem. 540, 15 (1986)). Sheets of the bulk of bismuth and its chalcogenides interlock, so that one
cannot slide over the other: ours lie as far apart as keeps the atoms that face each other, at any
shift, no nearer than they are in the bulk (``data/structures/make.py`` has the numbers).
"""

_HEXAGONAL = 1e-6  # relative; how exactly a cell must be hexagonal


def sheet(name: str) -> Atoms:
    """One of `SHEETS`, not relaxed: lattice constants and heights as in its bulk.

    Raises:
        StructureError: for another name.
    """
    if name not in SHEETS:
        raise StructureError(f"There is no sheet called '{name}': there is {', '.join(SHEETS)}.")
    if name != "boron nitride":
        return load(name)
    made = graphene("BN", a=2.504)
    made.center(vacuum=6.0, axis=2)
    made.pbc = True, True, False
    return load(made)


def twist_pairs(layer: Atoms, most_atoms: int) -> list[tuple[int, int]]:
    """Index pairs (m, n), m < n, whose twisted bilayers have so many atoms at most.

    Returns:
        In the order of their angles, smallest first.
    """
    most = most_atoms / (2 * len(layer))  # cells of one sheet: m2 + mn + n2
    reach = range(1, int(np.sqrt(most)) + 1)
    fitting = [
        (m, n)
        for m in reach
        for n in reach
        if m < n and np.gcd(m, n) == 1 and m * m + m * n + n * n <= most
    ]
    return sorted(fitting, key=lambda pair: twist_angle(*pair))


def twist_angle(m: int, n: int) -> float:
    """Angle in degrees of the twist (m, n): ``cos = (m2 + 4mn + n2) / (2 (m2 + mn + n2))``.

    >>> round(twist_angle(1, 2), 2), round(twist_angle(31, 32), 2)
    (21.79, 1.05)
    """
    cosine = (m * m + 4 * m * n + n * n) / (2 * (m * m + m * n + n * n))
    return float(np.rad2deg(np.arccos(min(cosine, 1.0))))


def bilayer(
    layer: Atoms, distance: float, shift: Sequence[float] = (0.0, 0.0), vacuum: float = 10.0
) -> Atoms:
    """A sheet and the same sheet above it.

    Args:
        layer: periodic along its first two cell vectors, which lie in the xy plane.
        distance: between the mean heights of the sheets, A.
        shift: of the upper sheet, in fractions of the two cell vectors.
        vacuum: above and below, A.

    Returns:
        The lower sheet's atoms first, periodic in the plane.

    Raises:
        StructureError: for a layer that is none, or sheets that overlap.
    """
    lower = _flat(layer)
    upper = lower.copy()
    upper.positions += np.asarray(shift, dtype=float) @ lower.cell.array[:2] + [0, 0, distance]
    return _stacked(lower, upper, vacuum)


def twisted_bilayer(layer: Atoms, m: int, n: int, distance: float, vacuum: float = 10.0) -> Atoms:
    """Two hexagonal sheets turned against each other by `twist_angle(m, n)`, about the origin.

    Args:
        layer: hexagonal, periodic along its first two cell vectors, in the xy plane.
        m: index of the twist.
        n: index of the twist; the cell has m2 + mn + n2 cells of each sheet.
        distance: between the mean heights of the sheets, A.
        vacuum: above and below, A.

    Returns:
        The lower sheet's atoms first, periodic in the plane; half of the turn in each sheet.

    Raises:
        StructureError: for a layer that is not hexagonal, or sheets that overlap.
        ValueError: for indices that are not two different positive numbers without common factor.

    >>> from ase.build import graphene
    >>> len(twisted_bilayer(graphene(a=2.46), 1, 2, 3.35))
    28
    """
    if m < 1 or n < 1 or m == n or np.gcd(m, n) != 1:
        raise ValueError(
            f"A twist needs two different positive numbers without common factor, not {m}, {n}."
        )
    sheet = _hexagonal(_flat(layer))
    lower, upper = (_half(sheet, a, b) for a, b in ((m, n), (n, m)))
    upper.positions[:, 2] += distance
    return _stacked(lower, upper, vacuum)


def twisted(stack: Atoms, m: int, n: int) -> Atoms:
    """The twisted bilayer of a bilayer's lower sheet, as far apart and with as much vacuum.

    Args:
        stack: two equal sheets, the lower one's atoms first.
        m: index of the twist.
        n: index of the twist.

    Raises:
        StructureError: for atoms that are not two equal sheets; as `twisted_bilayer`.

    >>> len(twisted(load("bilayer-graphene"), 1, 2))
    28
    """
    half = len(stack) // 2
    heights = stack.positions[:, 2]
    lower, upper = heights[:half], heights[half:]
    if (
        not half
        or stack.numbers[:half].tolist() != stack.numbers[half:].tolist()
        or lower.max() >= upper.min()
    ):
        raise StructureError(
            "This is no bilayer: it takes two equal sheets, the lower one's atoms first."
        )
    sheet = stack[:half]
    assert isinstance(sheet, Atoms)
    vacuum = (stack.cell.lengths()[2] - np.ptp(heights)) / 2
    return twisted_bilayer(sheet, m, n, float(upper.mean() - lower.mean()), float(vacuum))


def _half(sheet: Atoms, m: int, n: int) -> Atoms:
    """The supercell (m, n) of a sheet, turned so that its first vector lies along x."""
    # a1 and a2 stand at 120 degrees, so that a second vector at 120 degrees to the first is
    # (-n', m' - n') for the first (m', n').
    first = m + n, n
    cells = np.array([[first[0], first[1], 0], [-first[1], first[0] - first[1], 0], [0, 0, 1]])
    large = make_supercell(sheet, cells)
    along = large.cell.array[0]
    return rotate(large, rotation((0, 0, 1), -np.rad2deg(np.arctan2(along[1], along[0]))))


def _flat(layer: Atoms) -> Atoms:
    """The sheet around height zero, its third cell vector along z, if it is one."""
    sheet = validate(layer).copy()
    plane = sheet.cell.array[:2]
    if not sheet.pbc[:2].all() or np.abs(plane[:, 2]).max() > 1e-8:
        raise StructureError(
            "A layer repeats along its first two cell vectors, which lie in the xy plane: set "
            "atoms.pbc and turn it."
        )
    sheet.positions[:, 2] -= sheet.positions[:, 2].mean()
    height = float(np.ptp(sheet.positions[:, 2])) + 20.0
    sheet.cell, sheet.pbc = [*plane, [0, 0, height]], (True, True, False)
    return sheet


def _hexagonal(sheet: Atoms) -> Atoms:
    """The sheet with its plane vectors at 120 degrees, if it is hexagonal."""
    a, b = sheet.cell.array[:2]
    squared, inner = float(a @ a), float(a @ b)
    if abs(b @ b / squared - 1) > _HEXAGONAL or abs(abs(inner) / squared - 0.5) > _HEXAGONAL:
        raise StructureError(
            "This layer is not hexagonal: its first two cell vectors must be equally long and at "
            "60 or 120 degrees."
        )
    if inner > 0:  # 60 degrees: b - a is a lattice vector at 120
        sheet.cell = [a, b - a, sheet.cell.array[2]]
    return sheet


def _stacked(lower: Atoms, upper: Atoms, vacuum: float) -> Atoms:
    """Both in the lower one's cell, wrapped in the plane, centred between the vacua."""
    upper.cell = lower.cell
    both = lower + upper
    both.wrap(pbc=(True, True, False))
    both.center(vacuum=vacuum, axis=2)
    return validate(both)
