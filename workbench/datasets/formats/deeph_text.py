"""The text files of a DeepH folder: structure, shells and Fermi level, each number checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError
from workbench.datasets.formats.elements import shells_of_elements
from workbench.datasets.schema import FARTHEST
from workbench.hamiltonians.basis import check_shells
from workbench.hamiltonians.conventions import order_index
from workbench.storage.value_checks import check_fields
from workbench.structures.loading import StructureError, validate

__all__ = ["PROGRAM", "Info", "each_once", "in_a_box", "read_atoms", "read_info"]

PROGRAM = "openmx"  # the format has the orbital order of this program


@dataclass(frozen=True)
class Info:
    """What is read of `info.json`; other programs write more into it.

    Attributes:
        isspinful: whether the orbitals have spin.
        fermi_level: eV; None if it is unknown.
    """

    isspinful: bool
    fermi_level: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def read_info(path: Path) -> Info:
    """Read `info.json` of a folder.

    Raises:
        FormatError: for a missing, repeated or wrong entry.
    """
    try:
        info: Any = json.loads((path / "info.json").read_text(), object_pairs_hook=each_once)
        return Info(info["isspinful"], info.get("fermi_level"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(
            f"{path}/info.json must be a JSON object with isspinful (true or false) and, if known, "
            "fermi_level (a finite number, eV), each once."
        ) from error


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these entries; Python would take the last of several with one name."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("A name occurs twice.")
    return dict(pairs)


def in_a_box(atoms: Atoms) -> Atoms:
    """The same atoms with a cell; without one, in a box that leaves 20 A between images."""
    boxed = atoms.copy()
    if boxed.cell.rank < 3:
        boxed.center(vacuum=10.0)
        boxed.positions += atoms.positions[0] - boxed.positions[0]
    return boxed


def read_atoms(path: Path) -> tuple[Atoms, dict[int, tuple[int, ...]]]:
    """The structure of a folder, and the shells of each of its elements.

    Raises:
        FormatError: for tables that do not fit each other, and numbers that no structure has.
    """
    cell = _numbers(path / "lat.dat")
    positions = _numbers(path / "site_positions.dat")
    elements = _numbers(path / "element.dat").ravel()
    numbers = np.rint(elements).astype(int)
    if cell.shape != (3, 3) or positions.shape != (3, len(numbers)):
        raise FormatError(
            f"{path} has {len(numbers)} elements, a cell of shape {cell.shape} and positions of "
            f"shape {positions.shape}: they must be (3, 3) and (3, {len(numbers)})."
        )
    if not ((elements == numbers) & (numbers >= 1) & (numbers < len(chemical_symbols))).all():
        raise FormatError(
            f"{path}/element.dat must hold atomic numbers from 1 to {len(chemical_symbols) - 1}."
        )
    types = _shells(path, numbers)
    listed = zip(numbers.tolist(), types, strict=True)
    shells = shells_of_elements(path / "orbital_types.dat", listed)
    try:
        return validate(Atoms(numbers, positions.T, cell=cell.T, pbc=True)), shells
    except StructureError as error:
        raise FormatError(f"{path}: {error}") from error


def _shells(path: Path, numbers: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """The shells of each atom."""
    file = path / "orbital_types.dat"
    try:
        lines = [line for line in file.read_text().split("\n") if line.strip()]
        types = [tuple(int(l) for l in line.split()) for line in lines]
        for number, of_atom in set(zip(numbers.tolist(), types, strict=False)):
            check_shells(number, of_atom)
            order_index(PROGRAM, of_atom)
    except ValueError as error:
        raise FormatError(
            f"{file} must hold the l of each shell, a line per atom ({str(error).rstrip('.')})."
        ) from error
    if len(types) != len(numbers):
        raise FormatError(f"{file} has {len(types)} lines for {len(numbers)} atoms.")
    return types


def _numbers(path: Path) -> NDArray[np.float64]:
    """A table of numbers, 2D; the single column of a single atom stays a column."""
    try:
        if not path.read_text().strip():
            raise ValueError("it is empty")
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise FormatError(f"{path} is no table of numbers: {error}.") from error
    if not (np.abs(table) <= FARTHEST).all():
        raise FormatError(f"{path} must hold numbers of at most {FARTHEST:.0e}.")
    return table
