"""The lines of OpenMX's input file that a `.scfout` ends with: elements and their shells."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError
from workbench.datasets.formats.elements import element_of, shells_of_elements, shells_of_name
from workbench.hamiltonians.basis import Basis
from workbench.structures.validation import StructureError, validate

__all__ = ["structure"]


def structure(
    path: Path,
    lines: NDArray[np.uint8],
    lattice: NDArray[np.float64],
    positions: NDArray[np.float64],
    sizes: NDArray[np.int64],
    basis_name: str,
) -> tuple[Atoms, Basis]:
    """The structure and the basis, with elements and shells from the input file.

    Args:
        path: of the `.scfout`, for errors.
        lines: (l, 256) bytes, each a line that ends with a zero.
        lattice: (3, 3) A; positions: (N, 3) A.
        sizes: (N,) orbitals of each atom.
        basis_name: name of the basis.

    Raises:
        FormatError: for an input file that does not fit, contracted orbitals, and ghost atoms.
    """
    text = "\n".join(bytes(line).split(b"\0")[0].decode("latin-1").strip() for line in lines)
    species = {words[0]: words[1] for words in _section(path, text, "Definition.of.Atomic.Species")}
    labels = [words[1] for words in _section(path, text, "Atoms.SpeciesAndCoordinates")]
    if len(labels) != len(sizes) or not set(labels) <= set(species):
        raise FormatError(f"{path} has an input file of another structure: run OpenMX again.")
    known = {label: _element_and_shells(path, species[label]) for label in labels}
    shells = shells_of_elements(path, known.values())
    for label, size in zip(labels, sizes.tolist(), strict=True):
        if sum(2 * l + 1 for l in known[label][1]) != size:
            raise FormatError(
                f"{path} has {size} orbitals on {label[:40]}, but {species[label][:40]} names "
                "others: contracted orbitals are not read."
            )
    numbers = [known[label][0] for label in labels]
    try:
        return validate(Atoms(numbers, positions, cell=lattice, pbc=True)), Basis(
            basis_name, shells
        )
    except StructureError as error:
        raise FormatError(f"{path}: {error}") from error


def _section(path: Path, text: str, name: str) -> list[list[str]]:
    """The words of each line between `<name` and `name>`."""
    pattern = rf"^<{re.escape(name)}[^\n]*\n(.*?)^{re.escape(name)}>"
    match = re.search(pattern, text, re.IGNORECASE | re.MULTILINE | re.DOTALL)
    rows = [line.partition("#")[0].split() for line in match[1].split("\n")] if match else []
    rows = [row for row in rows if row]
    if not rows or min(map(len, rows)) < 2:
        raise FormatError(f"{path} has an input file without {name}: run OpenMX again.")
    return rows


def _element_and_shells(path: Path, name: str) -> tuple[int, tuple[int, ...]]:
    """The element and the l of each shell of a basis such as `Mo7.0-s3p2d2`."""
    match = re.fullmatch(r"([A-Z][a-z]?)[\w.]*-(\w+)", name)
    shells = shells_of_name(match[2]) if match else ()
    if match is None or not shells:
        raise FormatError(
            f"{path} has the basis {name[:40]}, of no element or contracted: only bases such as "
            "Mo7.0-s3p2d2 are read."
        )
    return element_of(path, match[1]), shells
