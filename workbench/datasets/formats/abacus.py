"""Hamiltonians of ABACUS: `out_mat_hs2 1` in its `INPUT`, in later versions `out_hsr 1`.

| file in `OUT.<suffix>` | content |
|---|---|
| `data-HR-sparse_SPIN0.csr`, `data-SR-sparse_SPIN0.csr` | H, Rydberg, and S (`abacus_csr`) |
| `hrs1_nao.csr`, `srs1_nao.csr` or `sr_nao.csr` | the same from version 3.9.0.25 |
| `running_*.log` | structure, shells, Fermi level (`abacus_structure`) |

The orbitals of an atom are sorted by l, then by zeta, then by m = 0, 1, -1, 2, -2, ... The real
harmonics are (-1)^m times ours: p is (z, -x, -y) (`Ylm::sph_harm` in ABACUS's source, and its
published matrices: `tests/datasets/formats/test_abacus.py`). R is the cell of the column's atom.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, Format, FormatError, check_elements
from workbench.datasets.formats.abacus_csr import Csr, read_csr
from workbench.datasets.formats.abacus_structure import (
    Log,
    Shells,
    of_header,
    read_log,
    read_stru,
    with_digits_of,
)
from workbench.datasets.formats.boxes import foreign_molecule
from workbench.datasets.formats.sparse_blocks import is_folded, pattern
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import HARTREE

__all__ = ["FORMAT", "read"]

PROGRAM = "abacus"
_RYDBERG = HARTREE / 2
_SPIN = 1e-6  # largest part of an overlap that may act on spin
_OLDER = re.compile(r"(\d+_)?data-HR-sparse(_SPIN0)?\.csr$")
_NEWER = re.compile(r"hrs1(g\d+)?_nao\.csr$")
_LOGS = ("scf", "relax", "cell-relax", "md", "nscf")


def _find(sources: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    """The file of each Hamiltonian at or below some paths, and its name."""
    found: list[tuple[Path, str]] = []
    for source in map(Path, sources):
        if source.is_file():
            found.append((source, str(source)))
            continue
        inside = sorted(p for p in source.rglob("*.csr") if _is_hamiltonian(p))
        if not inside:
            raise FormatError(
                f"No data-HR-sparse_SPIN0.csr or hrs1_nao.csr of ABACUS is below {source}: run "
                "ABACUS with `out_mat_hs2 1`."
            )
        found += [(path, str(path.relative_to(source))) for path in inside]
    return found


def _is_hamiltonian(path: Path) -> bool:
    return bool(_OLDER.match(path.name) or _NEWER.match(path.name))


def read(file: str | os.PathLike[str], basis_name: str = PROGRAM) -> Foreign:
    """Read one structure.

    Args:
        file: with a Hamiltonian, as listed above; the overlap lies beside it.
        basis_name: name of the basis; the files give its shells only.

    Returns:
        The structure with H in eV and S, for spinors ``kron(1_2, S)``, in the workbench's orbital
        order. It is periodic in three directions, or a molecule where the cell is only a box.

    Raises:
        FormatError: for a missing, truncated or inconsistent file, spin-polarised runs, and runs
            at Gamma alone.
    """
    path = Path(file)
    if not path.is_file() or not _is_hamiltonian(path):
        raise FormatError(
            f"{path} is no Hamiltonian of ABACUS: give data-HR-sparse_SPIN0.csr or hrs1_nao.csr."
        )
    stored, overlap_path = read_csr(path), _overlap(path)
    log = _log(path)
    _check_spins(path, stored, log)
    atoms, shells = _structure(path, stored, log)
    basis = _basis(path, stored, atoms, shells, basis_name)
    H = _matrix(path, stored, atoms, basis) * _RYDBERG
    S = _spinless(overlap_path, read_csr(overlap_path), atoms, basis)
    for where, matrix in ((path, H), (overlap_path, S)):
        check_elements(where, matrix.values)
    if stored.is_folded or is_folded(atoms, S):
        raise FormatError(
            f"{path} is of a run at Gamma alone, whose matrices are sums over all periodic images: "
            "run ABACUS with `gamma_only 0` and several k-points."
        )
    newer = _NEWER.match(path.name)
    of_one_step = newer is not None and newer[1] is not None  # the log says the last step's level
    level = None if log is None or of_one_step else log.fermi_level
    found = Foreign(
        atoms, H, S.with_spin() if basis.spinor else S, float("nan") if level is None else level
    )
    return foreign_molecule(found)


# ---- files ------------------------------------------------------------------------------------


def _overlap(path: Path) -> Path:
    """The file of the overlap beside that of a Hamiltonian."""
    names = [path.name.replace("HR", "SR")]
    if match := _NEWER.match(path.name):
        step = match[1] or ""
        names = [f"srs1{step}_nao.csr", f"sr{step}_nao.csr"]
    for name in names:
        if path.with_name(name).is_file():
            return path.with_name(name)
    raise FormatError(f"Beside {path} lies no {names[0]}: without its overlap H is not read.")


def _log(path: Path) -> Log | None:
    """The log of the run that wrote a matrix, if it is there."""
    for folder in (path.parent, path.parent.parent):
        for kind in _LOGS:
            if (log := folder / f"running_{kind}.log").is_file():
                return read_log(log)
    return None


def _check_spins(path: Path, stored: Csr, log: Log | None) -> None:
    """Refuse spin-polarised runs."""
    others = [path.name.replace("SPIN0", "SPIN1"), path.name.replace("hrs1", "hrs2")]
    beside = any(name != path.name and path.with_name(name).is_file() for name in others)
    if beside or stored.spins == 2 or (log is not None and log.spins == 2):
        raise FormatError(
            f"{path} is spin-polarised: its matrices for spin up and spin down cannot be read as "
            "one; read runs without spin (nspin 1) or with spin-orbit coupling (nspin 4)."
        )


def _structure(path: Path, stored: Csr, log: Log | None) -> tuple[Atoms, Shells]:
    """The structure and shells from the header, the log and `STRU`."""
    fine, shells = None, {}
    for folder in path.parents[:3]:
        if (folder / "STRU").is_file():
            fine, shells = read_stru(folder / "STRU")
            break
    atoms = None
    if log is not None:
        atoms, shells = log.atoms, log.shells or shells
    if stored.structure:
        atoms = of_header(path, stored.structure)
    elif path.name[0].isdigit() or (atoms is None and stored.step > 0):
        raise FormatError(
            f"{path} is of one step of several, and does not contain its structure: use ABACUS "
            "3.9.0.25 or newer, or compute the structure alone."
        )
    if fine is not None:
        atoms = fine if atoms is None else with_digits_of(fine, atoms)
    if atoms is None:
        raise FormatError(
            f"{path} does not contain its structure: put running_scf.log beside it, or the STRU "
            "with its lattice vectors into the folder above."
        )
    return atoms, shells


def _basis(path: Path, stored: Csr, atoms: Atoms, shells: Shells, name: str) -> Basis:
    """The basis, with spin if the matrix has two rows for each orbital."""
    for number in sorted(set(atoms.numbers.tolist()) - set(shells)):
        raise FormatError(
            f"{path} does not say which shells {chemical_symbols[number]} has: put running_scf.log "
            "beside it, or the STRU with its orbital files into the folder above."
        )
    basis = Basis(name, {z: shells[z] for z in sorted(set(atoms.numbers.tolist()))})
    n = sum(basis.n_orbitals(z) for z in atoms.numbers.tolist())
    spinor = stored.dimension == 2 * n
    if stored.dimension != n and not spinor:
        raise FormatError(
            f"{path} has {stored.dimension} rows, but the atoms have {n} orbitals: keep the files "
            "of one run together."
        )
    if np.iscomplexobj(stored.values) and not spinor:
        raise FormatError(f"{path} is complex without spin: run ABACUS with `nspin 1` or 4.")
    return replace(basis, spinor=spinor)


# ---- matrices ---------------------------------------------------------------------------------


def _matrix(path: Path, stored: Csr, atoms: Atoms, basis: Basis) -> BlockMatrix:
    """Blocks in our order and signs, in the file's unit."""
    n = stored.dimension // (2 if basis.spinor else 1)
    if n != sum(basis.n_orbitals(z) for z in atoms.numbers.tolist()):
        raise FormatError(f"{path} has {stored.dimension} rows, and H has another number.")
    orbitals, spins = np.divmod(stored.orbitals, 2) if basis.spinor else (stored.orbitals, None)
    places = pattern(path, atoms.numbers, basis, PROGRAM, orbitals, stored.cells)
    values = stored.values.astype(np.complex128) if basis.spinor else _real(path, stored.values)
    blocks = places.blocks(values, spins)
    return BlockMatrix(basis, atoms.numbers.astype(np.int64), places.edges, places.shifts, blocks)


def _real(path: Path, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values without imaginary parts."""
    if np.iscomplexobj(values):
        if not np.abs(values.imag).max() <= _SPIN:
            raise FormatError(f"{path} is complex without spin: run ABACUS again.")
        return np.ascontiguousarray(values.real)
    return values


def _spinless(path: Path, stored: Csr, atoms: Atoms, basis: Basis) -> BlockMatrix:
    """The overlap without spin, which newer and older versions write with it for `nspin 4`."""
    n = sum(basis.n_orbitals(z) for z in atoms.numbers.tolist())
    if not basis.spinor or stored.dimension == n:
        return _matrix(path, stored, atoms, replace(basis, spinor=False))
    with_spin = _matrix(path, stored, atoms, basis)
    S = with_spin.without_spin()
    if not (with_spin - S.with_spin()).max_abs() <= _SPIN:
        raise FormatError(f"{path} is an overlap that acts on spin: copy it again.")
    return S


FORMAT = Format("ABACUS", PROGRAM, "files", _find, read)
