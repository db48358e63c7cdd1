"""Matrices of other programs: one adapter module per file format.

An adapter converts units, orbital orders and signs to the workbench's own, and offers one record
`FORMAT` to the table in `workbench.datasets.conversion`. Every structure is validated after it is
read (`workbench.datasets.validation`): a wrong orbital order survives a round trip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = ["Foreign", "Format", "FormatError", "check_elements"]

_LARGEST = 1e6
"""Largest matrix element of another program, eV for H; the lowest level of any atom is -2e5 eV."""


class FormatError(ValueError):
    """Files that are not what their format asks for; the message is one sentence."""


@dataclass(frozen=True, eq=False)
class Foreign:
    """One structure as another program left it.

    Attributes:
        atoms: positions and cell in A, periodic in all directions; of a molecule without a cell.
        H: eV.
        S: dimensionless, in the basis of H; None where it was not stored.
        fermi_level: eV, on the energy scale of H; nan if it is unknown.
        n_electrons: that H describes; 0 if unknown.
        computable: whether PySCF has the functions of S: S is then validated, but not stored.
        calculation: settings of the run, as far as its files say them, JSON-able.
    """

    atoms: Atoms
    H: BlockMatrix
    S: BlockMatrix | None
    fermi_level: float
    n_electrons: int = 0
    computable: bool = False
    calculation: Mapping[str, Any] = field(default_factory=dict)


Writer = Callable[[Path, Atoms, BlockMatrix, BlockMatrix | None, float | None], None]
"""Writes a folder with a structure, H, S and the Fermi level."""


@dataclass(frozen=True)
class Format:
    """One file format of another program.

    Attributes:
        name: as the provenance of a dataset records it, e.g. "DeepH".
        basis_name: name of the basis unless another is asked for; the files give its shells only.
        listed_as: key under which the provenance lists the sources, "folders", "files" or "rows".
        find: paths -> the source of each structure at or below them, and its name in the
            provenance; raises a FormatError if there is none. A row of a database is a source
            `file/row`, as if the file was a folder.
        read: a source and a name for the basis -> the structure.
        write: the level is None where it is unknown; None for a format that is only read.
        last_file: of a folder, the file that ``write`` writes at the end.
        molecules: sources -> the name of each one's molecule. Geometries of one molecule stand in
            one split; without this function each structure is drawn by itself.
        method: of all structures, as a `Reference` records it; empty if it is unknown.
        splits: name of a published split -> the function that makes it of all sources.
    """

    name: str
    basis_name: str
    listed_as: str
    find: Callable[[Iterable[str | os.PathLike[str]]], list[tuple[Path, str]]]
    read: Callable[[Path, str], Foreign]
    write: Callable[[Path, Atoms, BlockMatrix, BlockMatrix | None, float | None], None] | None = (
        None
    )
    last_file: str = ""
    molecules: Callable[[Sequence[Path]], Sequence[str]] | None = None
    method: Mapping[str, Any] = field(default_factory=dict)
    splits: Mapping[str, Callable[[Sequence[Path]], dict[str, NDArray[np.int64]]]] = field(
        default_factory=dict
    )


def check_elements(path: Path, values: NDArray[Any]) -> None:
    """Check that matrix elements are those of orbitals.

    Raises:
        FormatError: for numbers that are not finite or beyond 1e6.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= _LARGEST:
        raise FormatError(
            f"{path} has values that are not finite or beyond {_LARGEST:.0e} eV (the largest is "
            f"{largest:g}): run the program again, or convert its unit to eV."
        )
