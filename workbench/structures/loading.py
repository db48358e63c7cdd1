"""Load structures (bundled, files, SMILES, `ase.Atoms`), rotate them, and validate them.

`ase.Atoms` is the structure type throughout. `atoms.info` holds two numbers: `charge` (in units of
e) and `spin` (the number of unpaired electrons, 2S, as in PySCF). Both default to zero.
"""

from __future__ import annotations

import difflib
import numbers
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.data import chemical_symbols
from ase.io import read
from ase.io.formats import UnknownFileTypeError
from ase.neighborlist import neighbor_list
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage.bundled import data_path

__all__ = [
    "ElectronsError",
    "StructureError",
    "bundled_names",
    "collection",
    "collection_names",
    "electron_count",
    "g2_names",
    "load",
    "pair_vectors",
    "require_closed_shell",
    "rotate",
    "shortest_distance",
    "validate",
]

TOO_CLOSE = 0.4  # A; the shortest chemical bond, in H2, is 0.74 A
FRAGMENT_GAP = 3.0  # A, between the separate molecules of one SMILES
_PAIRWISE_LIMIT = 500  # atoms; up to here all pairs are faster than a neighbour list


class StructureError(ValueError):
    """A structure cannot be read or is physically impossible; the message is one sentence."""


class ElectronsError(StructureError):
    """The electron count of a molecule contradicts its charge and spin; other values may fit."""


def bundled_names() -> list[str]:
    """Names of the molecules and crystals in `data/structures`, smallest first."""
    return sorted((p.stem for p in data_path("structures").glob("*.extxyz")), key=_size_then_name)


def g2_names() -> list[str]:
    """Names of ASE's G2 molecules, e.g. "CH3CH2OH"; `load` accepts them too."""
    return list(g2.names)


def collection_names() -> list[str]:
    """Names of the collections in `data/structures`: many molecules with splits."""
    return sorted(p.name.partition(".")[0] for p in data_path("structures").glob("*.extxyz.gz"))


def collection(name: str, largest: int | None = None) -> dict[str, list[Atoms]]:
    """The structures of a bundled collection by split, as `workbench.label` takes them.

    The `info` of each structure has its split, `smiles` and `key`. Tautomers and stereoisomers
    share a key.

    Args:
        name: of the collection, e.g. "organic".
        largest: leave out molecules with more non-hydrogen atoms; small ones are cheap to label.

    Raises:
        StructureError: for an unknown name, or a structure without a split.

    >>> {split: len(structures) for split, structures in wb.collection("organic", 3).items()}
    {'train': 45, 'valid': 7, 'test': 9}
    """
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
    index: int = -1,
    seed: int = 0,
) -> Atoms:
    """A validated structure from a name, a file, a SMILES or `ase.Atoms` (which are copied).

    Args:
        source: a bundled name ("water"), a G2 name ("CH3OH"), "smiles:CCO" (needs RDKit), a path
            in any format that ASE reads (xyz, extxyz, cif, POSCAR ...), or Atoms. A name takes
            precedence over a file of this name: write "./water" for the file.
        charge: total charge in e; by default that of the source, or 0 if it gives none.
        spin: unpaired electrons 2S; by default that of the source, or 0 if it gives none.
        index: frame of a file with several, counted as ASE does; by default the last.
        seed: of the SMILES embedding; the same seed gives the same geometry.

    Returns:
        New Atoms without a calculator; `info["charge"]` and `info["spin"]` are set.

    Raises:
        StructureError: one sentence that says what is wrong and what to do.

    >>> water = wb.load("water")
    >>> water.get_chemical_formula(), water.info["charge"], water.info["spin"]
    ('H2O', 0, 0)
    """
    if isinstance(source, Atoms):
        atoms = source.copy()
    elif isinstance(source, str) and source.startswith("smiles:"):
        atoms = _from_smiles(source.removeprefix("smiles:").strip(), seed)
    elif isinstance(source, (str, os.PathLike)):
        atoms = _from_name_or_file(source, index)
    else:
        raise StructureError(
            f"Cannot load a {type(source).__name__}: give a name, a path, 'smiles:...' or Atoms."
        )
    # ASE stores both numbers as sums of per-atom initial values, often not quite integers.
    initial = {"charge": atoms.get_initial_charges().sum(), "spin": abs(_total_moment(atoms))}
    for key, requested in (("charge", charge), ("spin", spin)):
        value = requested if requested is not None else atoms.info.get(key, round(initial[key]))
        atoms.info[key] = _whole(key, value)
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


def shortest_distance(atoms: Atoms) -> tuple[float, int, int] | None:
    """The shortest distance between two atoms, periodic images included.

    Returns:
        Distance in A and the two atoms, counted from 0 (the same atom twice if it is nearest to
        its own image); None for a single atom without images.
    """
    if not atoms.pbc.any() and len(atoms) < 2:
        return None
    reach = 2.0
    while True:  # terminates, as there is a second atom or an image
        first, second, distance = neighbor_list("ijd", atoms, reach)
        if len(distance):
            k = int(distance.argmin())
            return float(distance[k]), int(first[k]), int(second[k])
        reach *= 2


def electron_count(atoms: Atoms) -> int:
    """Number of electrons, core electrons included: sum of Z minus the charge in `atoms.info`."""
    return int(atoms.numbers.sum()) - _whole("charge", atoms.info.get("charge", 0))


def validate(atoms: Atoms) -> Atoms:
    """The same atoms if they are physically possible.

    Checked: at least one atom, known elements, finite positions, a cell along every periodic
    direction, no two atoms (or images) closer than 0.4 A, and for molecules an electron count that
    agrees with `info["spin"]` (the cell of a crystal may contain an odd number of electrons).

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
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise StructureError(
            f"Position of {_label(atoms, bad[0])} is not a finite number: correct it."
        )
    _check_cell(atoms)
    _check_distances(atoms)
    if not atoms.pbc.any():
        _check_parity(atoms)
    return atoms


def require_closed_shell(atoms: Atoms) -> Atoms:
    """The same atoms if a closed-shell (restricted) method can treat them.

    Raises:
        StructureError: for unpaired electrons, an odd number of electrons, or none.
    """
    spin = _whole("spin", atoms.info.get("spin", 0))
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


def _from_name_or_file(source: str | os.PathLike[str], index: int) -> Atoms:
    if isinstance(source, str):
        if source.lower() in bundled_names():
            return _read(data_path("structures", f"{source.lower()}.extxyz"), index)
        if source in g2.names:
            return molecule(source)
    path = Path(source).expanduser()
    if path.is_file():
        return _read(path, index)
    if path.is_dir():
        raise StructureError(f"{path} is a folder: give a file in it.")
    raise StructureError(f"There is no structure and no file called '{source}': {_hint(path.stem)}")


def _hint(wrong: str) -> str:
    known = {name.lower(): name for name in [*g2_names(), *bundled_names()]}
    similar = [f"'{known[n]}'" for n in difflib.get_close_matches(wrong.lower(), known, n=3)]
    if similar:
        return f"did you mean {' or '.join(similar)}?"
    return f"bundled names are {', '.join(bundled_names())}."


def _read(path: Path, index: int) -> Atoms:
    """One frame of a file; each exception of ASE becomes a StructureError."""
    with path.open("rb") as file:
        if not file.read(4096).strip():
            raise StructureError(f"{path} is empty: write a structure into it.")
    try:
        frame = read(str(path), index=index, do_not_split_by_at_sign=True)
    except UnknownFileTypeError:
        raise StructureError(
            f"{path} is in no format that ASE knows: save it as xyz, extxyz, cif or POSCAR."
        ) from None
    except KeyError as error:  # ASE looks symbols up in a dict
        raise StructureError(
            f"{path} names {error}, which is no element or field that ASE knows: correct it."
        ) from error
    except (IndexError, StopIteration) as error:
        raise StructureError(
            f"{path} has no complete frame number {index}: check the file."
        ) from error
    except Exception as error:  # each ASE reader raises other exceptions
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise StructureError(f"{path} cannot be read ({reason[0]}): correct the file.") from error
    if not isinstance(frame, Atoms):
        raise StructureError(f"{path} has no structure that ASE can read: save it as xyz or cif.")
    # Energies and forces in the file come from another calculation.
    frame.calc = None
    return frame


def _from_smiles(smiles: str, seed: int) -> Atoms:
    """RDKit's ETKDG conformer, relaxed with MMFF94 if it has parameters for the molecule."""
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    except ImportError:
        raise StructureError(
            "Reading SMILES needs RDKit: pip install 'hamiltonian-workbench[smiles]'."
        ) from None
    with rdBase.BlockLogs():  # our message replaces RDKit's lines on stderr
        parsed = Chem.MolFromSmiles(smiles)
        if parsed is None or parsed.GetNumAtoms() == 0:
            raise StructureError(f"'{smiles}' is not a valid SMILES: check it, e.g. 'smiles:CCO'.")
        mol = Chem.AddHs(parsed)
        parameters = rdDistGeom.ETKDGv3()
        parameters.randomSeed = seed
        if rdDistGeom.EmbedMolecule(mol, parameters) != 0:
            raise StructureError(f"RDKit finds no geometry for '{smiles}': give a file instead.")
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    positions = mol.GetConformer().GetPositions()
    fragments = [list(f) for f in Chem.GetMolFrags(mol)]
    for left, right in pairwise(fragments):  # RDKit places separate molecules on top of each other
        overlap = positions[left, 0].max() - positions[right, 0].min()
        positions[right, 0] += overlap + FRAGMENT_GAP
    atoms = Atoms([a.GetSymbol() for a in mol.GetAtoms()], positions)
    spin = sum(a.GetNumRadicalElectrons() for a in mol.GetAtoms())
    atoms.info = {"name": f"smiles:{smiles}", "charge": Chem.GetFormalCharge(mol), "spin": spin}
    return atoms


def _check_cell(atoms: Atoms) -> None:
    if not atoms.pbc.any():
        return
    rows = atoms.cell.array[atoms.pbc]
    if not np.isfinite(rows).all() or np.linalg.matrix_rank(rows, tol=1e-6) < len(rows):
        raise StructureError(
            f"The structure is periodic along {int(atoms.pbc.sum())} directions but its cell does "
            "not span them: set atoms.cell, or atoms.pbc = False for a molecule."
        )


def _check_distances(atoms: Atoms) -> None:
    if atoms.pbc.any() or len(atoms) > _PAIRWISE_LIMIT:
        first, second, distance = neighbor_list("ijd", atoms, TOO_CLOSE)
    else:
        distance = pdist(atoms.positions)
        first, second = np.triu_indices(len(atoms), 1)  # pdist's order
    if len(distance) and distance.min() < TOO_CLOSE:
        k = int(distance.argmin())
        raise StructureError(
            f"{_label(atoms, first[k])} and {_label(atoms, second[k])} are {distance[k]:.3f} A "
            f"apart, closer than {TOO_CLOSE} A: remove one or correct the positions (in Angstrom)."
        )


def _check_parity(atoms: Atoms) -> None:
    electrons, spin = electron_count(atoms), _whole("spin", atoms.info.get("spin", 0))
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


def _size_then_name(name: str) -> tuple[int, str]:
    with data_path("structures", f"{name}.extxyz").open() as file:
        return int(file.readline()), name


def _total_moment(atoms: Atoms) -> float:
    moments = atoms.get_initial_magnetic_moments()
    return float(np.linalg.norm(moments.sum(axis=0))) if moments.ndim == 2 else float(moments.sum())


def _whole(key: str, value: object) -> int:
    if isinstance(value, numbers.Real) and abs(float(value) - round(float(value))) < 1e-6:
        return round(float(value))
    raise StructureError(f"The {key} is {value!r}, not a whole number: set atoms.info['{key}'].")
