"""Structures in and out: bundled molecules, files, SMILES, `ase.Atoms`; rotating; validating.

`ase.Atoms` is the structure type throughout. Two numbers ride in `atoms.info`: `charge` (in units
of e) and `spin` (the number of unpaired electrons, 2S, as in PySCF); absent, they are zero.
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

TOO_CLOSE = 0.4  # A; the shortest bond of nature, H2, is 0.74 A
FRAGMENT_GAP = 3.0  # A between the separate molecules of one SMILES
_PAIRWISE_LIMIT = 500  # atoms up to which all pairs are cheaper than a neighbour list


class StructureError(ValueError):
    """A structure that cannot be read or makes no physical sense; the message is one sentence."""


class ElectronsError(StructureError):
    """A molecule whose electrons do not fit its charge and spin: another choice may do."""


def bundled_names() -> list[str]:
    """Names of the molecules and sheets in `data/structures`, smallest first."""
    return sorted((p.stem for p in data_path("structures").glob("*.extxyz")), key=_size_then_name)


def g2_names() -> list[str]:
    """Names of ASE's G2 molecules, e.g. "CH3CH2OH"; `load` takes these too."""
    return list(g2.names)


def collection_names() -> list[str]:
    """Names of the collections in `data/structures`: many molecules, each with its split."""
    return sorted(p.name.partition(".")[0] for p in data_path("structures").glob("*.extxyz.gz"))


def collection(name: str, largest: int | None = None) -> dict[str, list[Atoms]]:
    """The structures of a bundled collection by split, as `workbench.label` takes them.

    Each holds in `info` its split, `smiles` and `key`, which tautomers and stereoisomers share.
    `largest` leaves out molecules of more atoms other than hydrogen: labels of small ones are
    cheap.

    Raises: StructureError for an unknown name, or a structure without a split.
    """
    if name not in collection_names():
        known = ", ".join(collection_names())
        raise StructureError(f"There is no collection called '{name}': there is {known}.")
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
            in any format that ASE reads (xyz, extxyz, cif, POSCAR ...), or Atoms. A name wins over
            a file of the same name: write "./water" for the file.
        charge: total charge in e; by default the source's own, else 0.
        spin: unpaired electrons 2S; by default the source's own, else 0.
        index: which frame of a file with several, counted as ASE does; the last by default.
        seed: of the SMILES embedding; the same seed gives the same geometry.

    Returns: new Atoms without a calculator, `info["charge"]` and `info["spin"]` set.
    Raises: StructureError, one sentence saying what is wrong and what to do.

    >>> load("water").get_chemical_formula()
    'H2O'
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
    # ASE's own idiom for both numbers is the sum of per-atom initial values, often not quite whole.
    own = {"charge": atoms.get_initial_charges().sum(), "spin": abs(_total_moment(atoms))}
    for what, asked in (("charge", charge), ("spin", spin)):
        value = asked if asked is not None else atoms.info.get(what, round(own[what]))
        atoms.info[what] = _whole(what, value)
    return validate(atoms)


def rotate(atoms: Atoms, R: ArrayLike) -> Atoms:
    """The structure turned about the origin, x' = R x, as new Atoms; the input is untouched.

    Cell rows and momenta turn along; a calculator is dropped, as its results no longer hold.

    Args:
        R: (3, 3) orthogonal, active; det -1 (a reflection or the inversion) is allowed.
    Raises: ValueError when R is not orthogonal to 1e-6.
    """
    matrix = np.asarray(R, dtype=float)
    if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6):
        raise ValueError(
            "R must be an orthogonal (3, 3) matrix: make it with rotation(axis, degrees)."
        )
    turned = atoms.copy()
    turned.positions = atoms.positions @ matrix.T
    turned.cell = atoms.cell.array @ matrix.T
    if turned.has("momenta"):
        turned.arrays["momenta"] = turned.arrays["momenta"] @ matrix.T
    return turned


def pair_vectors(matrix: BlockMatrix, atoms: Atoms) -> NDArray[np.float64]:
    """From the row atom to the column atom of each block, (E, 3) in A; zero for on-site blocks."""
    ends: NDArray[np.float64] = atoms.positions[matrix.edges]  # (2, E, 3)
    return ends[1] - ends[0] + matrix.shifts @ atoms.cell.array


def shortest_distance(atoms: Atoms) -> tuple[float, int, int] | None:
    """The shortest distance of two atoms, images of a crystal included.

    Returns:
        Distance in A and the two atoms, counted from 0 (the same one twice where it is nearest to
        its own image); None for a single atom that has no images.
    """
    if not atoms.pbc.any() and len(atoms) < 2:
        return None
    reach = 2.0
    while True:  # ends: a second atom, or an image, stands somewhere
        first, second, distance = neighbor_list("ijd", atoms, reach)
        if len(distance):
            k = int(distance.argmin())
            return float(distance[k]), int(first[k]), int(second[k])
        reach *= 2


def electron_count(atoms: Atoms) -> int:
    """Number of electrons, core included: sum of Z minus the charge in `atoms.info`."""
    return int(atoms.numbers.sum()) - _whole("charge", atoms.info.get("charge", 0))


def validate(atoms: Atoms) -> Atoms:
    """The same atoms if they make sense, else one sentence naming the first thing that does not.

    Checked: at least one atom, known elements, finite positions, a cell along every periodic
    direction, no two atoms (or images) closer than 0.4 A, and for molecules an electron count that
    agrees with `info["spin"]` (a crystal may hold an odd number in its cell).

    Raises: StructureError.
    """
    if len(atoms) == 0:
        raise StructureError("The structure holds no atoms: check the file or the name.")
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

    Raises: StructureError for unpaired electrons, an odd electron count or none at all.
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
        raise StructureError(f"{path} is a folder: name a file in it.")
    raise StructureError(f"There is no structure and no file called '{source}': {_hint(path.stem)}")


def _hint(wrong: str) -> str:
    known = {name.lower(): name for name in [*g2_names(), *bundled_names()]}
    near = [f"'{known[n]}'" for n in difflib.get_close_matches(wrong.lower(), known, n=3)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"bundled names are {', '.join(bundled_names())}."


def _read(path: Path, index: int) -> Atoms:
    """One frame of a file; whatever ASE raises becomes a sentence."""
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
    except Exception as error:  # every ASE reader raises its own kinds
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise StructureError(f"{path} cannot be read ({reason[0]}): correct the file.") from error
    if not isinstance(frame, Atoms):
        raise StructureError(f"{path} holds no structure that ASE can read: save it as xyz or cif.")
    # Energies and forces in the file belong to a calculation that is not ours.
    frame.calc = None
    return frame


def _from_smiles(smiles: str, seed: int) -> Atoms:
    """RDKit's ETKDG conformer, relaxed with MMFF94 where it has parameters."""
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    except ImportError:
        raise StructureError(
            "Reading SMILES needs RDKit: pip install 'hamiltonian-workbench[smiles]'."
        ) from None
    with rdBase.BlockLogs():  # the sentence below replaces RDKit's lines on stderr
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
    for left, right in pairwise(fragments):  # RDKit puts separate molecules on top of each other
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
    """Symbol and number, counted from 1 like the rows of a file and the orbital labels."""
    return f"{chemical_symbols[atoms.numbers[i]]}{i + 1}"


def _size_then_name(name: str) -> tuple[int, str]:
    with data_path("structures", f"{name}.extxyz").open() as file:
        return int(file.readline()), name


def _total_moment(atoms: Atoms) -> float:
    moments = atoms.get_initial_magnetic_moments()
    return float(np.linalg.norm(moments.sum(axis=0))) if moments.ndim == 2 else float(moments.sum())


def _whole(what: str, value: object) -> int:
    if isinstance(value, numbers.Real) and abs(float(value) - round(float(value))) < 1e-6:
        return round(float(value))
    raise StructureError(f"The {what} is {value!r}, not a whole number: set atoms.info['{what}'].")
