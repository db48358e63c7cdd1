"""Hamiltonians of OpenMX 3.9: the `.scfout` file that `HS.fileout on` writes.

A sequence of C arrays without markers; n atoms, c + 1 cells, f_i + 1 neighbours of atom i:

| array | content |
|---|---|
| int32 (6,), (1,) | n, spin + 4 version, three counts of leads, c; m, the order of the moments |
| float64, int32 (c + 1, 4) each | the cells, Bohr, and as integers; element 0 of a row is unused |
| int32 (n,) each | orbitals of each atom; f_i |
| int32 (f_i + 1,) for each i, twice | neighbour j from 1; its cell; atom i itself comes first |
| float64 (3, 4) twice, (n, 4) | lattice and reciprocal vectors, positions; Bohr |
| float64 matrices (orbitals of i, of j) for each i and j | H; its imaginary parts; S; others |
| int32, float64 (10,), int32 | solver; chemical potential, Hartree, ...; number of lines l |
| bytes (l, 256) | the lines of the input file, which names the elements and their shells |

H is one matrix without spin, and four with non-collinear spins: up-up, down-down, and the real and
imaginary part of up-down. Its imaginary parts are then up-up, down-down, and a part of up-down that
is added to the fourth matrix. After S come 3 m moments, 3 momenta, as many density matrices as H
has, and 2 imaginary ones. Orbitals of a shell are in OpenMX's order (`conventions.AO_TO_M`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import Foreign, Format, FormatError
from workbench.datasets.formats.boxes import foreign_molecule
from workbench.datasets.formats.deeph_blocks import to_blocks
from workbench.datasets.formats.openmx_input import structure
from workbench.hamiltonians.conventions import BOHR, HARTREE

__all__ = ["FORMAT", "read"]

PROGRAM = "openmx"
_VERSION = 3  # of OpenMX 3.9
_LINE = 256
_MOST = 10**7  # atoms, cells or orbitals


class _WrongError(ValueError):
    """Content that is not as the format says."""


class _Arrays:
    """The arrays of a file, one after the other; none is larger than what is left of the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def take(self, kind: str, *shape: int) -> NDArray[Any]:
        """The next array."""
        dtype, count = np.dtype(kind), float(np.prod(np.array(shape, dtype=float)))
        if not 0 <= count * dtype.itemsize <= self._left or any(k < 0 for k in shape):
            raise _WrongError("its end is missing")
        data = self._file.read(int(count) * dtype.itemsize)
        self._left -= len(data)
        return np.frombuffer(data, dtype).reshape(shape)

    def skip(self, count: int) -> None:
        """Leave out as many float64."""
        if not 0 <= 8 * count <= self._left:
            raise _WrongError("its end is missing")
        self._file.seek(8 * count, os.SEEK_CUR)
        self._left -= 8 * count


def _find(sources: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    """Every `.scfout` at or below some paths, and its name."""
    found: list[tuple[Path, str]] = []
    for source in map(Path, sources):
        inside = sorted(source.rglob("*.scfout"))
        if not inside and not source.is_file():
            raise FormatError(
                f"No .scfout file of OpenMX is below {source}: run OpenMX with `HS.fileout on`."
            )
        found += [(path, str(path.relative_to(source))) for path in inside]
        found += [(source, str(source))] if source.is_file() else []
    return found


def read(file: str | os.PathLike[str], basis_name: str = PROGRAM) -> Foreign:
    """Read one structure.

    Args:
        file: a `.scfout` of OpenMX 3.9.
        basis_name: name of the basis; the file gives its shells only.

    Returns:
        The structure with H in eV and S, for spinors ``kron(1_2, S)``, in the workbench's orbital
        order. It is periodic in three directions, or a molecule where the cell is only a box.

    Raises:
        FormatError: for a missing or damaged file, another version, and spin-polarised runs.
    """
    path = Path(file)
    if not path.is_file():
        raise FormatError(f"There is no file {path}.")
    try:
        with path.open("rb") as opened:
            return _read(path, _Arrays(opened, path.stat().st_size), basis_name)
    except _WrongError as error:
        raise FormatError(
            f"{path} is truncated or no .scfout of OpenMX ({error}): copy it again."
        ) from error


def _read(path: Path, arrays: _Arrays, basis_name: str) -> Foreign:
    """As `read`; a _WrongError for content that is not as the format says."""
    n, switch, *_, last_cell = arrays.take("<i4", 6).tolist()
    version, spin = divmod(switch, 4)
    if not 0 <= version <= 9 or not 1 <= n <= _MOST or not 0 <= last_cell <= _MOST:
        raise _WrongError("its first numbers")
    if version != _VERSION:
        raise FormatError(f"{path} is not of OpenMX 3.9: run that version.")
    if spin not in (0, 3):
        raise FormatError(
            f"{path} is spin-polarised: its matrices for spin up and spin down cannot be read as "
            "one; read runs without spin, or with `scf.SpinPolarization NC`."
        )
    moments = int(arrays.take("<i4", 1)[0])
    arrays.skip(4 * (last_cell + 1))
    cells = arrays.take("<i4", last_cell + 1, 4)[:, 1:].astype(np.int64)
    sizes, neighbours = (arrays.take("<i4", n).astype(np.int64) for _ in range(2))
    if not ((sizes >= 1) & (sizes <= _MOST) & (neighbours >= 0)).all():
        raise _WrongError("its numbers of orbitals and neighbours")
    total = int(neighbours.sum()) + n
    columns, cell_of = (arrays.take("<i4", total).astype(np.int64) for _ in range(2))
    if not ((columns >= 1) & (columns <= n) & (cell_of >= 0) & (cell_of <= last_cell)).all():
        raise _WrongError("its neighbours")
    lattice = arrays.take("<f8", 3, 4)[:, 1:] * BOHR
    arrays.skip(3 * 4)
    positions = arrays.take("<f8", n, 4)[:, 1:] * BOHR
    rows = np.repeat(np.arange(n), neighbours + 1)
    keys = np.concatenate([cells[cell_of], np.stack([rows, columns - 1], axis=1)], axis=1)
    shapes = sizes[keys[:, 3:]]
    H = [_matrices(arrays, shapes) for _ in range(spin + 1)]
    H += [_matrices(arrays, shapes) for _ in range(spin)]
    S = _matrices(arrays, shapes)
    if not 0 <= moments <= 9:
        raise _WrongError("its number of moments")
    arrays.skip((3 * moments + 3 + spin + 1 + 2) * int(shapes.prod(axis=1).sum()))
    arrays.take("<i4", 1)
    level = float(arrays.take("<f8", 10)[0]) * HARTREE
    lines = arrays.take("u1", int(arrays.take("<i4", 1)[0]), _LINE)
    atoms, basis = structure(path, lines, lattice, positions, sizes, basis_name)
    overlap = to_blocks(path, basis, atoms.numbers, keys, S, PROGRAM)
    values = [h * HARTREE for h in (_spinors(path, keys, H) if spin else H[0])]
    basis = replace(basis, spinor=spin == 3)
    blocks = to_blocks(path, basis, atoms.numbers, keys, values, PROGRAM)
    if not np.isfinite(level):
        raise _WrongError("its chemical potential")
    S = overlap.with_spin() if spin else overlap
    return foreign_molecule(Foreign(atoms, blocks, S, level))


def _matrices(arrays: _Arrays, shapes: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """One matrix for each pair of neighbours."""
    if not float(shapes.astype(float).prod(axis=1).sum()) < 1e15:
        raise _WrongError("its end is missing")
    counts = shapes.prod(axis=1)
    parts = np.split(arrays.take("<f8", int(counts.sum())), np.cumsum(counts)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes.tolist(), strict=True)]


def _spinors(
    path: Path, keys: NDArray[np.int64], H: list[list[NDArray[np.float64]]]
) -> list[NDArray[np.complex128]]:
    """Blocks with spin, up before down, from the seven matrices of a pair."""
    number = {tuple(key): k for k, key in enumerate(keys.tolist())}
    uu, dd, ud, imaginary, i_uu, i_dd, i_ud = H
    mixed = [a + 1j * (b + c) for a, b, c in zip(ud, imaginary, i_ud, strict=True)]
    blocks = []
    for k, (R1, R2, R3, i, j) in enumerate(keys.tolist()):
        partner = number.get((-R1, -R2, -R3, j, i))
        if partner is None:
            raise FormatError(f"{path}: some block [R, i, j] has no partner [-R, j, i].")
        up, down = uu[k] + 1j * i_uu[k], dd[k] + 1j * i_dd[k]
        blocks.append(np.block([[up, mixed[k]], [mixed[partner].conj().T, down]]))
    return blocks


FORMAT = Format("OpenMX", PROGRAM, "files", _find, read)
