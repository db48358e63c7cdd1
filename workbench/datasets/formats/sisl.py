"""Hamiltonians of SIESTA, read by sisl (`pip install 'hamiltonian-workbench[sisl]'`).

| file | what is read |
|---|---|
| `.HSX` of SIESTA 5 | everything: structure, shells, H, S |
| `.nc` of SIESTA | the same |
| `.fdf` of SIESTA | its run's `.nc`, `.TSHS` or `.HSX`, with shells from the files beside |

SIESTA's shells are in the order m = -l..l with the Condon-Shortley phase
(`conventions.order_signs`): p is (-y, z, -x). sisl sets the zero of energy to the Fermi level.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from workbench.datasets.formats import Foreign, Format, FormatError, wannier90
from workbench.datasets.formats.boxes import foreign_molecule
from workbench.datasets.formats.elements import shells_of_elements
from workbench.datasets.formats.siesta_blocks import PROGRAM, matrices
from workbench.datasets.formats.siesta_records import check_records, with_usual_logicals
from workbench.datasets.formats.sparse_blocks import is_folded
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.structures.loading import StructureError, validate
from workbench.structures.time_limit import time_limit

__all__ = ["FORMAT", "available", "read", "runs"]


_SIESTA = (".nc", ".TSHS", ".HSX")  # in order of preference for a run
READ_SECONDS = 60.0
"""sisl is stopped after this time, s, and a second more for each megabyte of the file."""
_BYTES_PER_SECOND = 1e6
_NORMALISED = 1e-3  # largest deviation of an orbital's norm from 1
_STALE = re.compile("mismatch|non-equal", re.IGNORECASE)  # sisl's warnings about files of two runs


def available() -> bool:
    """Whether sisl is installed."""
    try:
        _sisl()
    except ModuleNotFoundError:
        return False
    return True


def runs(sources: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files among some paths, and every `.HSX` at or below the folders, sorted by path.

    Raises:
        FormatError: for a path that does not exist, or a folder without such a file.
    """
    files: list[Path] = []
    for source in map(Path, sources):
        if source.is_file():
            files.append(source)
            continue
        if not source.is_dir():
            raise FormatError(f"There is no file or folder {source}.")
        inside = sorted(p for p in source.rglob("*") if p.suffix.lower() == ".hsx")
        if not inside:
            raise FormatError(
                f"No .HSX file of SIESTA is below {source}: run SIESTA 5 with `Save.HS true`, or "
                "name .fdf files one by one."
            )
        files += inside
    return files


def _find(sources: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    return [(path, str(path)) for path in runs(sources)]


def read(file: str | os.PathLike[str], basis_name: str = PROGRAM) -> Foreign:
    """Read one run of SIESTA; files of Wannier90 are passed to `wannier90.read`.

    Args:
        file: as listed above.
        basis_name: name of the basis; the files give its shells only.

    Returns:
        The structure, periodic in three directions or a molecule where the cell is only a box
        (`boxes`), H in eV relative to the Fermi level, and S, for spinors ``kron(1_2, S)``.

    Raises:
        ModuleNotFoundError: without sisl.
        FormatError: for a file that is missing, truncated, of another kind, or does not say which
            shells its orbitals belong to; for spin-polarised runs.
    """
    path = Path(file)
    if path.name.lower().endswith(wannier90.ENDINGS):
        return wannier90.read(path)
    _sisl()
    if not path.is_file():
        raise FormatError(f"There is no file {path}.")
    if path.suffix.lower() not in (".fdf", *(suffix.lower() for suffix in _SIESTA)):
        raise FormatError(
            f"{path} is not a file that sisl reads here: give .HSX, .nc or .fdf of SIESTA, or "
            "_tb.dat, _hr.dat or .win of Wannier90."
        )
    with _one_sentence(path):
        H = _hamiltonian(path)
    atoms, basis = _structure(path, H, basis_name)
    blocks, overlap = matrices(path, H, atoms, basis)
    if tuple(H.geometry.nsc) == (1, 1, 1):
        _check_unfolded(path, atoms, overlap)
    foreign = Foreign(atoms, blocks, overlap, fermi_level=0.0, calculation=calculation(path))
    return foreign_molecule(foreign, zero_is_known=True)


def calculation(path: Path) -> dict[str, Any]:
    """What an .fdf file says of its run: functional, mesh cutoff, smearing, pseudopotentials.

    A setting that the file leaves to SIESTA is absent; other files say nothing.
    """
    if path.suffix.lower() != ".fdf":
        return {}
    with _one_sentence(path):
        sile = _opened(path)
        found = {
            "functional": sile.get("XC.Functional"),
            "functional_authors": sile.get("XC.Authors"),
            "mesh_cutoff_ev": sile.get("MeshCutoff", unit="eV"),
            "electronic_temperature_ev": sile.get("ElectronicTemperature", unit="eV"),
            "smearing": sile.get("OccupationFunction"),
            "pseudopotentials": sorted(p.name for p in path.parent.iterdir() if _is_pseudo(p)),
        }
    return {name: value for name, value in found.items() if value}


def _is_pseudo(path: Path) -> bool:
    return path.suffix.lower() in (".psf", ".psml", ".vps")


def _check_unfolded(path: Path, atoms: Atoms, S: BlockMatrix) -> None:
    """Refuse matrices of one cell that contain the sums over all periodic images.

    A run at Gamma alone adds the images, and they cannot be separated again. The overlap shows it:
    an orbital overlaps with its own images, or a pair of atoms has more than one direction.
    """
    on_site = S.values[~S.off_site]
    excess = np.abs(np.diagonal(on_site, axis1=1, axis2=2) - 1)[S.mask[~S.off_site].any(axis=2)]
    if excess.max(initial=0.0) > _NORMALISED or is_folded(atoms, S):
        raise FormatError(
            f"{path} is of a run at Gamma alone, whose matrices are sums over all periodic images: "
            "run SIESTA with several k-points, or with `ForceAuxCell true`."
        )


def _sisl() -> Any:
    try:
        import sisl
    except ImportError as error:
        raise ModuleNotFoundError(
            "Reading SIESTA's files needs sisl, which is not installed: "
            "run `pip install 'hamiltonian-workbench[sisl]'`.",
            name="sisl",
        ) from error
    return sisl


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Turn any error of sisl, and its warning about files of two runs, into one sentence.

    Raises:
        FormatError: for both.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with time_limit(READ_SECONDS + path.stat().st_size / _BYTES_PER_SECOND):
                yield
        except (FormatError, ModuleNotFoundError):
            raise
        except TimeoutError:
            raise FormatError(
                f"{path} is not what its name says (sisl did not read it in "
                f"{READ_SECONDS:.0f} s): copy it again."
            ) from None
        except Exception as error:  # each of its readers raises its own kinds
            if "netCDF4" in str(error):
                raise ModuleNotFoundError(
                    f"Reading {path} needs netCDF4, which is not installed: "
                    "run `pip install 'hamiltonian-workbench[sisl]'`.",
                    name="netCDF4",
                ) from error
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise FormatError(
                f"{path} is truncated or not what its name says (sisl: {reason}): copy it again."
            ) from error
    for warning in caught:
        if _STALE.search(str(warning.message)):
            raise FormatError(
                f"{path} and the files beside it belong to different runs (sisl: "
                f"{str(warning.message).splitlines()[0]}): keep the files of one run together."
            )


# ---- SIESTA -----------------------------------------------------------------------------------


def _hamiltonian(path: Path) -> Any:
    """Sisl's Hamiltonian of a run, energies relative to the Fermi level."""
    sile = _opened(path)
    matrix = path if path.suffix.lower() != ".fdf" else _beside(path, sile)
    if matrix.suffix.lower() in (".hsx", ".tshs"):
        check_records(matrix)
    if matrix.suffix.lower() == ".hsx" and _opened(matrix).version == 0:
        raise FormatError(
            f"{matrix} is of SIESTA 4 or older and holds neither structure nor Fermi level: run "
            "SIESTA 5, or write `TS.HS.Save true` into its .fdf and give that file."
        )
    if matrix.suffix.lower() == ".hsx":
        with with_usual_logicals(matrix) as usual:
            if matrix is path or usual != matrix:
                return _opened(usual).read_hamiltonian()
    if matrix is path:
        return sile.read_hamiltonian()
    return sile.read_hamiltonian(order=[matrix.suffix.lstrip(".")])


def _opened(path: Path) -> Any:
    """Sisl's reader of a SIESTA file, chosen by file name: sisl itself may choose another."""
    return getattr(_sisl().io.siesta, f"{path.suffix.lower()[1:]}SileSiesta")(str(path))


def _beside(path: Path, sile: Any) -> Path:
    """The file of a run that contains its matrices."""
    label = sile.get("SystemLabel", default="siesta")
    folder = path.parent
    for suffix in _SIESTA:
        if (folder / f"{label}{suffix}").is_file():
            return folder / f"{label}{suffix}"
    raise FormatError(
        f"Beside {path} lies no {label}.nc, {label}.TSHS or {label}.HSX: run SIESTA with "
        "`Save.HS true`."
    )


def _structure(path: Path, H: Any, basis_name: str) -> tuple[Atoms, Basis]:
    """The structure, and the basis with the shells of sisl's atoms."""
    geometry = H.geometry
    listed = [(_shells(path, atom), _number(path, atom)) for atom in geometry.atoms.atom]
    shells = shells_of_elements(path, [(number, of_atom) for of_atom, number in listed])
    numbers = np.array([int(atom.Z) for atom in geometry.atoms])
    atoms = Atoms(numbers, np.array(geometry.xyz), cell=np.array(geometry.cell), pbc=True)
    if H.spin.is_polarized:
        raise FormatError(
            f"{path} is spin-polarised: its matrices for spin up and spin down cannot be read as "
            "one; read runs without spin or with spin-orbit coupling."
        )
    spinor = H.spin.is_noncolinear or H.spin.is_spinorbit
    if not (spinor or H.spin.is_unpolarized):
        raise FormatError(f"{path} has {H.spin}, which is not supported: read a run without it.")
    try:
        return validate(atoms), Basis(basis_name, shells, spinor)
    except StructureError as error:
        raise FormatError(f"{path}: {error}") from error


def _number(path: Path, atom: Any) -> int:
    """The atomic number of sisl's atom.

    HSX files give only labels of species. sisl takes the element that the first letters spell, so
    "Carbon" becomes calcium.
    """
    number, label = int(atom.Z), str(atom.tag)
    spelt = re.match("[A-Za-z]*", label)
    known = 0 < number < len(chemical_symbols)
    letters = spelt[0].capitalize() if spelt else ""
    if known and (path.suffix.lower() == ".nc" or letters == chemical_symbols[number]):
        return number
    raise FormatError(
        f"{path} has a species '{label}' whose element is uncertain: labels must be a chemical "
        "symbol, with any suffix set apart, such as C or C_surface; ghost atoms are not read."
    )


def _shells(path: Path, atom: Any) -> tuple[int, ...]:
    """The l of each shell of sisl's atom; its orbitals must form complete shells m = -l..l."""
    shells: list[int] = []
    start = 0
    while start < len(atom.orbitals):
        l = getattr(atom.orbitals[start], "l", None)
        size = 0 if l is None else 2 * l + 1
        ms = [
            getattr(o, "m", None)
            for o in atom.orbitals[start : start + size]
            if getattr(o, "l", None) == l
        ]
        if l is None or ms != list(range(-l, l + 1)):
            raise FormatError(
                f"{path} does not say which shells its orbitals belong to (a .TSHS never does): "
                "give the run's .fdf, with its .ORB_INDX, .HSX or .ion.xml files beside it."
            )
        shells.append(int(l))
        start += size
    return tuple(shells)


FORMAT = Format("SIESTA", PROGRAM, "files", _find, read)
