"""Bilayers of two equal sheets: shifted, or twisted by the commensurate angles.

In a hexagonal lattice (a1, a2 at 120 degrees) the vectors ``(m+n) a1 + n a2`` and
``(m+n) a1 + m a2`` have equal length. Two sheets rotated so that these vectors coincide have a
common period (Lopes dos Santos, Peres and Castro Neto 2007, doi 10.1103/PhysRevLett.99.256802,
with other indices).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from ase import Atoms
from ase.build import graphene, make_supercell

from workbench.hamiltonians.rotations import rotation
from workbench.storage.value_checks import Range, check_arguments
from workbench.structures.loading import StructureError, load, rotate, validate
from workbench.structures.validation import check_atom_count

__all__ = ["SHEETS", "bilayer", "sheet", "twist_angle", "twist_pairs", "twisted", "twisted_bilayer"]

SHEETS: Mapping[str, float] = {
    "graphene": 3.3555,
    "boron nitride": 3.3306,
    "MoS2": 6.147,
    "bismuthene": 5.124,
    "Bi2Te3": 11.188,
    "Bi2Se3": 10.484,
}
"""Names of the sheets, and the distance between the mean heights of two sheets in a bilayer, A.

For the first three it is that of the bulk, c/2 (graphite: Trucano and Chen, Nature 258, 136 (1975);
boron nitride: Pease, Acta Cryst. 5, 356 (1952); MoS2: Bronsema, de Boer and Jellinek, Z. anorg.
allg. Chem. 540, 15 (1986)). In bulk bismuth and its chalcogenides the sheets interlock, so one
cannot slide over the other. Our distance is larger: at any shift, facing atoms of the two sheets
are no closer than in the bulk (``data/structures/make.py`` has the numbers).
"""

_Length = Annotated[float, Range(0, 1e4)]  # A
_Index = Annotated[int, Range(1, 10_000)]
_HEXAGONAL = 1e-6  # relative tolerance of a hexagonal cell


def sheet(name: str) -> Atoms:
    """One of `SHEETS`, not relaxed: lattice constants and heights are those of the bulk.

    Raises:
        StructureError: for another name.

    >>> from workbench.structures.bilayers import sheet
    >>> sheet("boron nitride").get_chemical_formula()
    'BN'
    """
    if name not in SHEETS:
        raise StructureError(f"There is no sheet called '{name}': choose {', '.join(SHEETS)}.")
    if name != "boron nitride":
        return load(name)
    atoms = graphene("BN", a=2.504)
    atoms.center(vacuum=6.0, axis=2)
    atoms.pbc = True, True, False
    return load(atoms)


def twist_pairs(layer: Atoms, most_atoms: int) -> list[tuple[int, int]]:
    """Index pairs (m, n), m < n, of the twisted bilayers with at most this number of atoms.

    Args:
        layer: one sheet.
        most_atoms: largest number of atoms in the cell of the bilayer.

    Returns:
        Sorted by angle, smallest first.
    """
    most_cells = most_atoms / (2 * len(layer))  # cells of one sheet: m2 + mn + n2
    indices = range(1, int(np.sqrt(most_cells)) + 1)
    pairs = [
        (m, n)
        for m in indices
        for n in indices
        if m < n and np.gcd(m, n) == 1 and m * m + m * n + n * n <= most_cells
    ]
    return sorted(pairs, key=lambda pair: twist_angle(*pair))


def twist_angle(m: int, n: int) -> float:
    """Angle in degrees of the twist (m, n): ``cos = (m2 + 4mn + n2) / (2 (m2 + mn + n2))``.

    >>> from workbench.structures.bilayers import twist_angle
    >>> twist_angle(1, 2), twist_angle(31, 32)
    (21.79, 1.05)
    """
    cosine = (m * m + 4 * m * n + n * n) / (2 * (m * m + m * n + n * n))
    return float(np.rad2deg(np.arccos(min(cosine, 1.0))))


def bilayer(
    layer: Atoms, distance: _Length, shift: Sequence[float] = (0.0, 0.0), vacuum: _Length = 10.0
) -> Atoms:
    """Two equal sheets, one above the other.

    Args:
        layer: periodic along its first two cell vectors, which lie in the xy plane.
        distance: between the mean heights of the sheets, A.
        shift: of the upper sheet, in fractions of the two cell vectors.
        vacuum: above and below, A.

    Returns:
        The bilayer, periodic in the plane, the atoms of the lower sheet first.

    Raises:
        StructureError: if the layer is not periodic in the xy plane, or if the sheets overlap.
        ValueError: for a distance or vacuum that is negative or not finite.

    >>> from workbench.structures.bilayers import bilayer, sheet
    >>> bilayer(sheet("graphene"), 3.3555, shift=(1 / 3, 2 / 3)).get_chemical_formula()
    'C4'
    """
    check_arguments(bilayer, {"distance": distance, "vacuum": vacuum})
    lower = _flat(layer)
    upper = lower.copy()
    upper.positions += np.asarray(shift, dtype=float) @ lower.cell.array[:2] + [0, 0, distance]
    return _stacked(lower, upper, vacuum)


def twisted_bilayer(
    layer: Atoms, m: _Index, n: _Index, distance: _Length, vacuum: _Length = 10.0
) -> Atoms:
    """Two hexagonal sheets rotated relative to each other by `twist_angle(m, n)` about the origin.

    Args:
        layer: hexagonal, periodic along its first two cell vectors, in the xy plane.
        m: index of the twist.
        n: index of the twist; the cell has m2 + mn + n2 cells of each sheet.
        distance: between the mean heights of the sheets, A.
        vacuum: above and below, A.

    Returns:
        The bilayer, periodic in the plane, the atoms of the lower sheet first; each sheet is
        rotated by half of the angle.

    Raises:
        StructureError: if the layer is not hexagonal, the sheets overlap, or the cell would hold
            more than 500,000 atoms.
        ValueError: unless the indices are two different positive numbers without common factor, up
            to 10,000, and distance and vacuum are not negative.

    >>> from ase.build import graphene
    >>> from workbench.structures.bilayers import twisted_bilayer
    >>> len(twisted_bilayer(graphene(a=2.46), 1, 2, 3.35))
    28
    """
    numbers = {"m": m, "n": n, "distance": distance, "vacuum": vacuum}
    check_arguments(twisted_bilayer, numbers)
    if m == n or np.gcd(m, n) != 1:
        raise ValueError(
            f"A twist needs two different positive numbers without common factor, not {m}, {n}."
        )
    check_atom_count(2 * len(layer) * (m * m + m * n + n * n))
    sheet = _hexagonal(_flat(layer))
    lower, upper = (_half(sheet, a, b) for a, b in ((m, n), (n, m)))
    upper.positions[:, 2] += distance
    return _stacked(lower, upper, vacuum)


def twisted(stack: Atoms, m: int, n: int) -> Atoms:
    """The twisted bilayer made of a bilayer's lower sheet, with the same distance and vacuum.

    Args:
        stack: two equal sheets, the atoms of the lower sheet first.
        m: index of the twist.
        n: index of the twist.

    Raises:
        StructureError: if the atoms are not two equal sheets, and as `twisted_bilayer`.
        ValueError: as `twisted_bilayer`.

    >>> from workbench.structures.bilayers import twisted
    >>> len(twisted(wb.load("bilayer-graphene"), 1, 2))
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
            "This is no bilayer: give two equal sheets, the atoms of the lower sheet first."
        )
    sheet = stack[:half]
    assert isinstance(sheet, Atoms)
    vacuum = (stack.cell.lengths()[2] - np.ptp(heights)) / 2
    return twisted_bilayer(sheet, m, n, float(upper.mean() - lower.mean()), float(vacuum))


def _half(sheet: Atoms, m: int, n: int) -> Atoms:
    """The supercell (m, n) of a sheet, rotated so that its first cell vector is along x."""
    # a1 and a2 are at 120 degrees, so the vector at 120 degrees to (m', n') is (-n', m' - n').
    first = m + n, n
    cells = np.array([[first[0], first[1], 0], [-first[1], first[0] - first[1], 0], [0, 0, 1]])
    large = make_supercell(sheet, cells)
    x, y, _ = large.cell.array[0]
    return rotate(large, rotation((0, 0, 1), -np.rad2deg(np.arctan2(y, x))))


def _flat(layer: Atoms) -> Atoms:
    """The sheet, checked, at mean height zero and with its third cell vector along z."""
    sheet = validate(layer).copy()
    plane = sheet.cell.array[:2]
    if not sheet.pbc[:2].all() or np.abs(plane[:, 2]).max() > 1e-8:
        raise StructureError(
            "A layer must be periodic along its first two cell vectors, and these in the xy plane: "
            "set atoms.pbc, or rotate the layer."
        )
    sheet.positions[:, 2] -= sheet.positions[:, 2].mean()
    height = float(np.ptp(sheet.positions[:, 2])) + 20.0
    sheet.cell, sheet.pbc = [*plane, [0, 0, height]], (True, True, False)
    return sheet


def _hexagonal(sheet: Atoms) -> Atoms:
    """The sheet, checked to be hexagonal, with its two cell vectors at 120 degrees."""
    a, b = sheet.cell.array[:2]
    squared, inner = float(a @ a), float(a @ b)
    if abs(b @ b / squared - 1) > _HEXAGONAL or abs(abs(inner) / squared - 0.5) > _HEXAGONAL:
        raise StructureError(
            "This layer is not hexagonal: its first two cell vectors must have equal lengths and "
            "an angle of 60 or 120 degrees."
        )
    if inner > 0:  # 60 degrees: b - a is a lattice vector at 120
        sheet.cell = [a, b - a, sheet.cell.array[2]]
    return sheet


def _stacked(lower: Atoms, upper: Atoms, vacuum: float) -> Atoms:
    """Both sheets in the cell of the lower one, wrapped in the plane, with vacuum on both sides."""
    upper.cell = lower.cell
    both = lower + upper
    both.wrap(pbc=(True, True, False))
    both.center(vacuum=vacuum, axis=2)
    return validate(both)
