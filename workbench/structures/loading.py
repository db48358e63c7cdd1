"""Load structures (bundled, files, SMILES, `ase.Atoms`), rotate them, and validate them.

`ase.Atoms` is the structure type throughout. `atoms.info` holds two numbers: `charge` (in units of
e) and `spin` (the number of unpaired electrons, 2S, as in PySCF). Both default to zero.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.io import read
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage.bundled import data_path
from workbench.storage.value_checks import Range, Seed, check_arguments
from workbench.structures.files import read_frame
from workbench.structures.smiles import from_smiles
from workbench.structures.validation import (
    ElectronsError,
    StructureError,
    electron_count,
    require_closed_shell,
    shortest_distance,
    validate,
    whole_number,
)

__all__ = [
    "ElectronsError",
    "StructureError",
    "bundled_names",
    "collection",
    "collection_names",
    "electron_count",
    "file_named",
    "g2_names",
    "load",
    "pair_vectors",
    "require_closed_shell",
    "require_same_atoms",
    "rotate",
    "shortest_distance",
    "validate",
]


def bundled_names() -> list[str]:
    """Names of the molecules and crystals in `data/structures`, smallest first."""
    return sorted((p.stem for p in data_path("structures").glob("*.extxyz")), key=_size_then_name)


def g2_names() -> list[str]:
    """Names of ASE's G2 molecules, e.g. "CH3CH2OH"; `load` accepts them too."""
    return list(g2.names)


def collection_names() -> list[str]:
    """Names of the collections in `data/structures`: many molecules with splits."""
    return sorted(p.name.partition(".")[0] for p in data_path("structures").glob("*.extxyz.gz"))


def collection(
    name: str, largest: Annotated[int, Range(1, 1000)] | None = None
) -> dict[str, list[Atoms]]:
    """The structures of a bundled collection by split, as `workbench.label` takes them.

    The `info` of each structure has its split, `smiles` and `key`. Tautomers and stereoisomers
    share a key.

    Args:
        name: of the collection, e.g. "organic".
        largest: leave out molecules with more non-hydrogen atoms; small ones are cheap to label.

    Raises:
        StructureError: for an unknown name, or a structure without a split.
        ValueError: for a `largest` below 1.

    >>> {split: len(structures) for split, structures in wb.collection("organic", 3).items()}
    {'train': 45, 'valid': 7, 'test': 9}
    """
    check_arguments(collection, {"largest": largest})
    if name not in collection_names():
        known = ", ".join(collection_names())
        raise StructureError(f"There is no collection called '{name}': choose {known}.")
    path = data_path("structures", f"{name}.extxyz.gz")
    frames: Any = read(path, index=":", format="extxyz")  # a list, as ":" asks for all
    splits: dict[str, list[Atoms]] = {}
    for atoms in frames:
        if "split" not in atoms.info:
            raise StructureError(f"A structure of the collection '{name}' has no split: add one.")
        if largest is not None and np.count_nonzero(atoms.numbers > 1) > largest:
            continue
        splits.setdefault(atoms.info["split"], []).append(load(atoms))
    return splits


def load(
    source: str | os.PathLike[str] | Atoms,
    *,
    charge: int | None = None,
    spin: int | None = None,
    index: int | None = None,
    seed: Seed = 0,
) -> Atoms:
    """A validated structure from a name, a file, a SMILES or `ase.Atoms` (which are copied).

    Args:
        source: a bundled name ("water"), a G2 name ("CH3OH"), "smiles:CCO" (needs RDKit), a path
            in any format that ASE reads (xyz, extxyz, cif, POSCAR ...), or Atoms. A name takes
            precedence over a file of this name: write "./water" for the file.
        charge: total charge in e; by default that of the source, or 0 if it gives none.
        spin: unpaired electrons 2S; by default that of the source, or 0 if it gives none.
        index: frame of a file with several, counted as ASE does. By default the last, with a
            warning if there are several.
        seed: of the SMILES embedding; the same seed gives the same geometry.

    Returns:
        New Atoms without a calculator; `info["charge"]` and `info["spin"]` are set.

    Raises:
        StructureError: one sentence that says what is wrong and what to do.
        ValueError: for an `index` or a `seed` that is no whole number.

    Warns:
        StructureWarning: for a choice that was made, such as one of several structures.

    >>> water = wb.load("water")
    >>> water.get_chemical_formula(), water.info["charge"], water.info["spin"]
    ('H2O', 0, 0)
    """
    check_arguments(load, {"index": index, "seed": seed})
    path = file_named(source)
    if path is not None:
        atoms = read_frame(path, index)
    else:
        atoms = source.copy() if isinstance(source, Atoms) else _of_name(str(source), seed)
    # ASE stores both numbers as sums of per-atom initial values, often not quite integers.
    initial = {"charge": atoms.get_initial_charges().sum(), "spin": abs(_total_moment(atoms))}
    for key, requested in (("charge", charge), ("spin", spin)):
        value = requested if requested is not None else atoms.info.get(key, np.rint(initial[key]))
        atoms.info[key] = whole_number(key, value)
    return validate(atoms)


def rotate(atoms: Atoms, R: ArrayLike) -> Atoms:
    """The structure rotated about the origin, x' = R x, as new Atoms.

    Cell vectors and momenta are rotated too; the calculator is dropped, as its results are invalid.

    Args:
        atoms: the structure; it is not changed.
        R: (3, 3) orthogonal, active; det -1 (a reflection or the inversion) is allowed.

    Raises:
        ValueError: if R is not orthogonal to 1e-6.

    >>> water, R = wb.load("water"), wb.rotation((0, 0, 1), 90)
    >>> rotated = wb.rotate(water, R)
    >>> bool(np.allclose(rotated.positions, water.positions @ R.T))
    True
    >>> bool(np.allclose(rotated.get_all_distances(), water.get_all_distances()))
    True
    """
    matrix = np.asarray(R, dtype=float)
    if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6):
        raise ValueError(
            "R must be an orthogonal (3, 3) matrix: make it with rotation(axis, degrees)."
        )
    rotated = atoms.copy()
    rotated.positions = atoms.positions @ matrix.T
    rotated.cell = atoms.cell.array @ matrix.T
    if rotated.has("momenta"):
        rotated.arrays["momenta"] = rotated.arrays["momenta"] @ matrix.T
    return rotated


def pair_vectors(matrix: BlockMatrix, atoms: Atoms) -> NDArray[np.float64]:
    """Vectors (E, 3), A, from the row atom to the column atom of each block; zero if on-site."""
    ends: NDArray[np.float64] = atoms.positions[matrix.edges]  # (2, E, 3)
    return ends[1] - ends[0] + matrix.shifts @ atoms.cell.array


def require_same_atoms(atoms: Atoms, H: BlockMatrix) -> None:
    """Raise a ValueError unless a Hamiltonian has the atomic numbers of a structure, in order."""
    if not np.array_equal(H.numbers, atoms.numbers):
        raise ValueError(
            "The Hamiltonian belongs to other atoms than the structure: pass the structure for "
            "which it was computed."
        )


def file_named(source: str | os.PathLike[str] | Atoms) -> Path | None:
    """The file that a source of `load` names; None for a bundled name, a SMILES and Atoms.

    Raises:
        StructureError: if there is no such file.
    """
    if isinstance(source, Atoms):
        return None
    if not isinstance(source, str | os.PathLike):
        raise StructureError(
            f"Cannot load a {type(source).__name__}: give a name, a path, 'smiles:...' or Atoms."
        )
    if isinstance(source, str) and (
        source.startswith("smiles:") or source.lower() in bundled_names() or source in g2.names
    ):
        return None
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise StructureError(f"{path} is a folder: give a file in it.")
    raise StructureError(f"There is no structure and no file called '{source}': {_hint(path.stem)}")


def _of_name(name: str, seed: int) -> Atoms:
    """A structure of a bundled name, a name of ASE's molecules, or a SMILES."""
    if name.startswith("smiles:"):
        return from_smiles(name.removeprefix("smiles:").strip(), seed)
    if name.lower() in bundled_names():
        return read_frame(data_path("structures", f"{name.lower()}.extxyz"), -1)
    return molecule(name)


def _hint(wrong: str) -> str:
    known = {name.lower(): name for name in [*g2_names(), *bundled_names()]}
    similar = [f"'{known[n]}'" for n in difflib.get_close_matches(wrong.lower(), known, n=3)]
    if similar:
        return f"did you mean {' or '.join(similar)}?"
    return f"bundled names are {', '.join(bundled_names())}."


def _size_then_name(name: str) -> tuple[int, str]:
    with data_path("structures", f"{name}.extxyz").open() as file:
        return int(file.readline()), name


def _total_moment(atoms: Atoms) -> float:
    moments = atoms.get_initial_magnetic_moments()
    return float(np.linalg.norm(moments.sum(axis=0))) if moments.ndim == 2 else float(moments.sum())
