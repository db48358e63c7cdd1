"""The structure, shells and Fermi level of an ABACUS run.

| file | what is read |
|---|---|
| header of a matrix, from 3.9.0.25 | structure, with the lattice vectors to six digits |
| `running_*.log` | structure (the last one), shells, `nspin`, Fermi level |
| `STRU` | structure to all its digits; shells by the names of orbital files (`..._2s2p1d.orb`) |

Atoms stand in the order of `STRU`, and ABACUS moves them into the cell. The lattice constant is in
Bohr in `STRU` and in the log, and in Angstrom in the header of a matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError
from workbench.datasets.formats.elements import element_of, shells_of_elements, shells_of_name
from workbench.hamiltonians.conventions import BOHR
from workbench.structures.validation import StructureError, validate

__all__ = ["Log", "Shells", "of_header", "read_log", "read_stru", "with_digits_of"]

Shells = dict[int, tuple[int, ...]]

_MOST_BYTES = 2_000_000_000
_SAME = 1e-3  # A; STRU and the log of one run differ by rounding only
_AWAY = 10_000.0
_LABEL = re.compile(r"atom label\s*=\s*(\S+)", re.IGNORECASE)
_ZETA = re.compile(r"L=\s*(\d+)\s*,?\s*number of zeta\s*=\s*(\d+)", re.IGNORECASE)
_SPINS = re.compile(r"^\s*nspin\s*==?\s*(\d)", re.IGNORECASE)
_LEVEL = re.compile(r"^\s*(?:EFERMI\s*=\s*|E_Fermi\s+\S+\s+)(\S+)")
_CONSTANT = re.compile(r"lattice constant \(Bohr\)\s*=\s*(\S+)", re.IGNORECASE)
_TABLE = re.compile(r"^\s*(DIRECT|CARTESIAN) COORDINATES(?:.*UNIT\s*=\s*(\S+)\s*Bohr)?")
_ATOM = re.compile(r"^\s*tau[cd]_(\S+?)\d*\s+(\S+)\s+(\S+)\s+(\S+)")
_SECTION = re.compile(r"^[A-Z_]{6,}$")
_ORBITALS = re.compile(r"((?:\d+[spdfghi])+)(?:\.\w+)?$")


@dataclass(frozen=True, eq=False)
class Log:
    """What a log says; None for what it does not say.

    Attributes:
        atoms: the last structure in it.
        shells: atomic number -> the l of each shell, in their order in the matrices.
        spins: `nspin`.
        fermi_level: the last one in it, eV.
    """

    atoms: Atoms | None
    shells: Shells
    spins: int | None
    fermi_level: float | None


# ---- the three sources ------------------------------------------------------------------------


def of_header(path: Path, lines: list[str]) -> Atoms:
    """The structure in the header of a matrix.

    Raises:
        FormatError: for lines that are none.
    """
    try:
        constant, cell = float(lines[1]), _lattice(lines[2:5])
        labels, counts = lines[5].split(), [int(word) for word in lines[6].split()]
        if len(labels) != len(counts) or sum(counts) != len(lines) - 8 or min(counts) < 1:
            raise ValueError(lines[6])
        symbols = [label for label, k in zip(labels, counts, strict=True) for _ in range(k)]
        scaled = _vectors(lines[8:])
    except (ValueError, IndexError) as error:
        raise _damaged(path, "header", error) from error
    return _atoms(path, symbols, scaled, constant * cell)


def read_log(path: Path) -> Log:
    """Read a log.

    Raises:
        FormatError: for tables that are incomplete, or shells of one element that differ.
    """
    of_label: dict[str, list[int]] = {}
    label, spins, level, unit, table, cell = "", None, None, None, None, None
    with _opened(path) as lines:
        for line in lines:
            if match := _LABEL.search(line):
                label = match[1]
                of_label[label] = []
            elif match := _ZETA.search(line):
                of_label.setdefault(label, []).extend(_repeated(path, match))
            elif match := _SPINS.search(line):
                spins = int(match[1])
            elif match := _LEVEL.search(line):
                level = _float(match[1])
            elif match := _CONSTANT.search(line):
                unit = _float(match[1])
            elif match := _TABLE.search(line):
                table, unit = (match[1], _rows(lines)), _float(match[2]) or unit
            elif "Lattice vectors:" in line:
                cell = [next(lines, "") for _ in range(3)]
    shells = _by_element(path, of_label)
    if table is None or cell is None or unit is None or not table[1]:
        return Log(None, shells, spins, level)
    kind, rows = table
    try:
        vectors = _lattice(cell)
        scaled = _vectors([" ".join(row[1:]) for row in rows])
    except ValueError as error:
        raise _damaged(path, "table of atoms", error) from error
    if kind == "CARTESIAN":
        scaled = _fractions(path, scaled, vectors)
    atoms = _atoms(path, [row[0] for row in rows], scaled, unit * BOHR * vectors)
    return Log(atoms, shells, spins, level)


def read_stru(path: Path) -> tuple[Atoms | None, Shells]:
    """Read `STRU`.

    Returns:
        The structure, None where the file does not contain its lattice vectors (`latname`) or
        centres the atoms itself, and the shells of each element; none without orbital files.

    Raises:
        FormatError: for a file that is incomplete or damaged.
    """
    with _opened(path) as lines:
        sections = _sections(lines)
    species = [line.split()[0] for line in sections.get("ATOMIC_SPECIES", [])]
    files = [line.split()[0] for line in sections.get("NUMERICAL_ORBITAL", [])]
    of_label: dict[str, list[int]] = {}
    if len(files) == len(species):
        for label, name in zip(species, files, strict=True):
            match = _ORBITALS.search(name)
            of_label[label] = list(shells_of_name(match[1])) if match else []
    shells = _by_element(path, of_label)
    positions = sections.get("ATOMIC_POSITIONS", [])
    if "LATTICE_VECTORS" not in sections or (positions and "_center" in positions[0]):
        return None, shells
    try:
        constant = float(sections["LATTICE_CONSTANT"][0].split()[0])
        vectors = _lattice(sections["LATTICE_VECTORS"])
        labels, coordinates = _positions(positions)
    except (ValueError, IndexError, KeyError) as error:
        raise _damaged(path, "structure", error) from error
    units = {
        "cartesian": constant,
        "cartesian_au": 1.0,
        "cartesian_angstrom": 1 / BOHR,
    }
    kind = positions[0].split()[0].lower()
    cell = constant * BOHR * vectors
    if kind in units:
        coordinates = _fractions(path, coordinates * units[kind] * BOHR, cell)
    elif kind != "direct":
        raise FormatError(f"{path} has {kind[:40]} positions: write Direct or Cartesian ones.")
    # As in ABACUS, a coordinate of -1e-17 is zero and not almost one.
    shift = np.floor(coordinates + _AWAY) - _AWAY
    return _atoms(path, labels, coordinates - shift, cell), shells


def with_digits_of(fine: Atoms, coarse: Atoms) -> Atoms:
    """The coarse structure with the digits of a fine one, if both are the same structure."""
    if not np.array_equal(fine.numbers, coarse.numbers):
        return coarse
    if not np.abs(fine.cell.array - coarse.cell.array).max() <= _SAME:
        return coarse
    difference = coarse.get_scaled_positions(wrap=False) - fine.get_scaled_positions(wrap=False)
    shift = np.rint(difference)
    if not np.abs((difference - shift) @ fine.cell.array).max() <= _SAME:
        return coarse
    moved = fine.copy()
    moved.positions += shift @ fine.cell.array
    return moved


# ---- parts ------------------------------------------------------------------------------------


def _opened(path: Path):
    if not path.stat().st_size <= _MOST_BYTES:
        raise FormatError(f"{path} has more than {_MOST_BYTES / 1e9:.0f} GB: is it a text?")
    return path.open(encoding="utf-8", errors="replace")


def _damaged(path: Path, what: str, error: Exception) -> FormatError:
    reason = " ".join(str(error).split())[:80]
    return FormatError(f"{path} has an incomplete or damaged {what} ({reason}): copy it again.")


def _float(word: str | None) -> float | None:
    """A finite number, or None."""
    try:
        number = float(word) if word else float("nan")
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _vectors(lines: list[str]) -> NDArray[np.float64]:
    """Three numbers a line as an array (n, 3); further words are ignored."""
    table = np.array([[float(word) for word in line.split()[:3]] for line in lines], dtype=float)
    if table.ndim != 2 or table.shape[1] != 3 or not np.isfinite(table).all():
        raise ValueError("three numbers a line")
    return table


def _lattice(lines: list[str]) -> NDArray[np.float64]:
    """Three lattice vectors (3, 3)."""
    if len(lines) != 3:
        raise ValueError("three lattice vectors")
    return _vectors(lines)


def _fractions(
    path: Path, positions: NDArray[np.float64], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positions in units of the lattice vectors."""
    try:
        return positions @ np.linalg.inv(cell)
    except np.linalg.LinAlgError as error:
        raise _damaged(path, "lattice", error) from error


def _atoms(
    path: Path, labels: list[str], scaled: NDArray[np.float64], cell: NDArray[np.float64]
) -> Atoms:
    """The structure, which must be physically possible."""
    numbers = [element_of(path, label) for label in labels]
    try:
        return validate(Atoms(numbers, scaled @ cell, cell=cell, pbc=True))
    except StructureError as error:
        raise FormatError(f"{path}: {error}") from error


def _repeated(path: Path, match: re.Match[str]) -> list[int]:
    """The l of the shells that a line "L=1, number of zeta = 2" announces."""
    l, count = int(match[1][:9]), int(match[2][:9])
    if not count <= 64:
        raise FormatError(f"{path} announces {count} shells of l = {l}: copy it again.")
    return [l] * count


def _by_element(path: Path, of_label: dict[str, list[int]]) -> Shells:
    """The shells of each element; labels such as Fe1 and Fe2 must have the same."""
    listed = [(element_of(path, label), shells) for label, shells in of_label.items() if shells]
    return shells_of_elements(path, listed)


def _rows(lines: Iterator[str]) -> list[tuple[str, ...]]:
    """Label and coordinates of the atoms in a table of a log, after its headings."""
    next(lines, "")
    rows = []
    for line in lines:
        match = _ATOM.match(line)
        if match is None:
            break
        rows.append(match.groups())
    return rows


def _sections(lines: Iterator[str]) -> dict[str, list[str]]:
    """The lines of each section of `STRU`, without comments."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        text = line.partition("#")[0].partition("//")[0].strip()
        if _SECTION.match(text):
            current = sections.setdefault(text, [])
        elif text:
            current.append(text)
    return sections


def _positions(lines: list[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Label and coordinates of each atom; each label is followed by magnetism and number."""
    labels: list[str] = []
    rows: list[str] = []
    at = 1
    while at < len(lines):
        label, count = lines[at].split()[0], int(lines[at + 2].split()[0])
        found = lines[at + 3 : at + 3 + count]
        if not 0 <= count == len(found):
            raise ValueError(f"{count} atoms {label}")
        labels += [label] * count
        rows += found
        at += 3 + count
    return labels, _vectors(rows)
