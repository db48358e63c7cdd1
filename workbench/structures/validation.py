"""Is a structure physically possible? Bounds first, so that no later search runs for ever."""

from __future__ import annotations

import math
import numbers
import warnings

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import complete_cell
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.spatial import KDTree

from workbench.storage.value_checks import brief

__all__ = [
    "ElectronsError",
    "StructureError",
    "StructureWarning",
    "check_atom_count",
    "check_extent",
    "electron_count",
    "require_closed_shell",
    "require_crystal",
    "shortest_distance",
    "validate",
    "whole_number",
]

TOO_CLOSE = 0.4  # A; the shortest chemical bond, in H2, is 0.74 A
_LEAST_VACUUM = 5.0  # A, between images of a layer or a chain
FARTHEST = 1e6  # A; a coordinate beyond it is a mistake, and empty space would be searched
_MOST_ATOMS = 500_000
_MOST_CHARGE = 10_000


class StructureError(ValueError):
    """A structure cannot be read or is physically impossible; the message is one sentence."""


class StructureWarning(UserWarning):
    """A choice that was made while a structure was read; the message is one sentence."""


class ElectronsError(StructureError):
    """The electron count of a molecule contradicts its charge and spin; other values may fit."""


def validate(atoms: Atoms) -> Atoms:
    """The same atoms if they are physically possible.

    Checked: at least one atom, known elements, finite positions, a cell along every periodic
    direction that is at least 0.4 A high, no two atoms (or images) closer than 0.4 A, and for
    molecules an electron count that agrees with `info["spin"]` (the cell of a crystal may contain
    an odd number of electrons).

    Raises:
        StructureError: one sentence about the first check that fails.
    """
    if len(atoms) == 0:
        raise StructureError("The structure has no atoms: check the file or the name.")
    unknown = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(unknown):
        raise StructureError(
            f"Atom {unknown[0] + 1} has atomic number {atoms.numbers[unknown[0]]}, which is no "
            "element: correct its symbol."
        )
    check_extent(atoms)
    _check_distances(atoms)
    if not atoms.pbc.any():
        _check_parity(atoms)
    return atoms


def check_atom_count(total: int) -> None:
    """Check the number of atoms of a structure before it is built.

    Raises:
        StructureError: above 500,000 atoms, which would fill the memory.
    """
    if not total <= _MOST_ATOMS:
        raise StructureError(
            f"This structure would have {total} atoms, more than {_MOST_ATOMS}: choose smaller "
            "numbers of cells or twist indices."
        )


def check_extent(atoms: Atoms) -> None:
    """Check that positions and cell allow a search for neighbours that ends.

    Raises:
        StructureError: for a position that is not finite or beyond 1e6 A, or a cell that does not
            span its periodic directions, is longer than 1e6 A, or lower than 0.4 A.
    """
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise StructureError(
            f"Position of {_label(atoms, bad[0])} is not a finite number: correct it."
        )
    far = np.flatnonzero(~(np.abs(atoms.positions) <= FARTHEST).all(axis=1))
    if len(far):
        raise StructureError(
            f"Position of {_label(atoms, far[0])} is more than {FARTHEST:g} A from the origin: "
            "correct it (in Angstrom)."
        )
    _check_cell(atoms)


def require_closed_shell(atoms: Atoms) -> Atoms:
    """The same atoms if a closed-shell (restricted) method can treat them.

    Raises:
        StructureError: for unpaired electrons, an odd number of electrons, or none.
    """
    spin = whole_number("spin", atoms.info.get("spin", 0))
    if spin != 0:
        raise StructureError(
            f"{atoms.get_chemical_formula()} has {spin} unpaired electrons, but the method is "
            "closed-shell: choose a charge that pairs them, or set spin=0 for the singlet."
        )
    if electron_count(atoms) < 1:
        raise StructureError(
            f"{atoms.get_chemical_formula()} has no electrons left: correct its charge."
        )
    _check_parity(atoms)
    return atoms


def electron_count(atoms: Atoms) -> int:
    """Number of electrons, core electrons included: sum of Z minus the charge in `atoms.info`."""
    return int(atoms.numbers.sum()) - whole_number("charge", atoms.info.get("charge", 0))


def shortest_distance(atoms: Atoms) -> tuple[float, int, int] | None:
    """The shortest distance between two atoms, periodic images included.

    Returns:
        Distance in A and the two atoms, counted from 0 (the same atom twice if it is nearest to
        its own image); None for a single atom without images.

    Raises:
        StructureError: as `check_extent`.
    """
    if not atoms.pbc.any() and len(atoms) < 2:
        return None
    check_extent(atoms)
    reach = 2.0
    while True:  # ends, since there is a second atom or an image within the checked extent
        first, second, distance = neighbor_list("ijd", atoms, reach)
        if len(distance):
            k = int(distance.argmin())
            return float(distance[k]), int(first[k]), int(second[k])
        reach *= 2


def require_crystal(atoms: Atoms) -> Atoms:
    """The same atoms if an engine for neutral crystals without magnetisation can treat them.

    Raises:
        StructureError: for a molecule, a cell that is not three vectors, and for a charge or
            unpaired electrons, which the engine would ignore.

    Warns:
        StructureWarning: for images that nearly touch along a direction that is not periodic.
    """
    validate(atoms)
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        raise StructureError(
            "A crystal needs a periodic direction and a cell of three vectors: set atoms.pbc and "
            "atoms.cell, with vacuum along directions that do not repeat."
        )
    for key, words in (("charge", "a charge"), ("spin", "unpaired electrons")):
        value = whole_number(key, atoms.info.get(key, 0))
        if value:
            raise StructureError(
                f"The cell has {words} ({value}), but crystals are computed neutral and without "
                f"magnetisation: set atoms.info['{key}'] = 0."
            )
    heights = np.abs(np.linalg.det(atoms.cell.array)) / np.linalg.norm(
        np.cross(np.roll(atoms.cell.array, -1, axis=0), np.roll(atoms.cell.array, -2, axis=0)),
        axis=1,
    )
    normals = np.linalg.inv(atoms.cell.array).T * heights[:, None]  # unit vectors
    along = atoms.positions @ normals.T
    for axis, vacuum in enumerate(heights - np.ptp(along, axis=0)):
        if not atoms.pbc[axis] and vacuum < _LEAST_VACUUM:
            warnings.warn(
                f"Along cell vector {axis + 1}, which is not periodic, images of "
                f"{atoms.get_chemical_formula()} are only {vacuum:.1f} A apart and interact: make "
                f"the cell larger, to {2 * _LEAST_VACUUM:.0f} A or more.",
                StructureWarning,
                stacklevel=2,
            )
    return atoms


def whole_number(key: str, value: object) -> int:
    """The charge or the spin as an integer.

    Raises:
        StructureError: for a value that is no number, not whole, or absurdly large.
    """
    if (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool | np.bool_)
        and math.isfinite(value)
        and abs(float(value) - round(float(value))) < 1e-6
        and abs(float(value)) <= _MOST_CHARGE
    ):
        return round(float(value))
    raise StructureError(
        f"The {key} is {brief(value)}, not a whole number: set atoms.info['{key}']."
    )


def _check_cell(atoms: Atoms) -> None:
    """Check that the periodic cell vectors span their directions, neither too far nor too flat."""
    if not atoms.pbc.any():
        return
    if not (np.abs(atoms.cell.array) <= FARTHEST).all():
        raise StructureError(
            f"A cell vector is not finite, or longer than {FARTHEST:g} A: correct the cell."
        )
    rows = atoms.cell.array[atoms.pbc]
    if np.linalg.matrix_rank(rows, tol=1e-6) < len(rows):
        raise StructureError(
            f"The structure is periodic along {int(atoms.pbc.sum())} directions but its cell does "
            "not span them: set atoms.cell, or atoms.pbc = False for a molecule."
        )
    heights = _heights(rows)
    if not heights.min() >= TOO_CLOSE:
        raise StructureError(
            f"The cell is only {heights.min():.2g} A high along one of its periodic vectors, less "
            f"than {TOO_CLOSE} A: correct the cell (in Angstrom), or reduce it if it is skewed."
        )


def _heights(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The height, A, of a cell above the span of its other vectors, along each of these vectors."""
    return 1 / np.linalg.norm(np.linalg.pinv(rows), axis=0)


def _check_distances(atoms: Atoms) -> None:
    """Check the distance of each atom to its nearest neighbour; time grows as N log N."""
    positions, numbers = _with_images(atoms)
    distance, neighbour = KDTree(positions).query(
        positions[: len(atoms)], k=2, distance_upper_bound=TOO_CLOSE
    )
    # Each atom also finds itself. Atoms on top of each other may come before it.
    itself = neighbour == np.arange(len(atoms))[:, None]
    distance = np.where(itself, np.inf, distance)
    if not distance.min() < TOO_CLOSE:
        return
    i, column = divmod(int(distance.argmin()), 2)
    j = int(numbers[neighbour[i, column]])  # pyright: ignore[reportIndexIssue]
    first, second = (_label(atoms, k) for k in sorted((i, j)))
    raise StructureError(
        f"{first} and {second} are {distance[i, column]:.3f} A apart, closer than "
        f"{TOO_CLOSE} A: remove one or correct the positions (in Angstrom)."
    )


def _with_images(atoms: Atoms) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The atoms, then their images within `TOO_CLOSE` of the cell: positions, numbers of atoms.

    The cell is at least as high as `TOO_CLOSE`, so one image on each side is enough.
    """
    numbers: NDArray[np.intp] = np.arange(len(atoms))
    if not atoms.pbc.any():
        return atoms.positions, numbers
    cell = complete_cell(atoms.cell.array)
    fractions = atoms.positions @ np.linalg.inv(cell)  # (N, 3)
    fractions[:, atoms.pbc] %= 1.0
    for axis, height in zip(np.flatnonzero(atoms.pbc), _heights(cell[atoms.pbc]), strict=True):
        near = TOO_CLOSE / height
        low, high = fractions[:, axis] <= near, fractions[:, axis] >= 1 - near
        step = np.eye(3)[axis]
        fractions = np.concatenate([fractions, fractions[low] + step, fractions[high] - step])
        numbers = np.concatenate([numbers, numbers[low], numbers[high]])
    return fractions @ cell, numbers


def _check_parity(atoms: Atoms) -> None:
    electrons, spin = electron_count(atoms), whole_number("spin", atoms.info.get("spin", 0))
    if (electrons - spin) % 2 == 0 and 0 <= spin <= electrons:
        return
    kind = "an odd" if electrons % 2 else "an even"
    raise ElectronsError(
        f"{atoms.get_chemical_formula()} has {electrons} electrons, {kind} number, which cannot "
        f"leave {spin} unpaired: set the charge or the spin, e.g. load(..., charge=1) or "
        "load(..., spin=1)."
    )


def _label(atoms: Atoms, i: int) -> str:
    """Symbol and number, counted from 1 as the rows of a file and the orbital labels are."""
    return f"{chemical_symbols[atoms.numbers[i]]}{i + 1}"
