"""The HDF5 layout of a dataset file: names of the arrays, packing of the matrices, checks.

n samples, A atoms in total; plain h5py reads every filter used:

| name                               | content                                                 |
|------------------------------------|---------------------------------------------------------|
| attribute `format`                 | "hamiltonian-workbench dataset"                         |
| `header`                           | JSON: convention, layout, units, step, basis, provenance|
| attribute `sha256`                 | hash of the header and of all arrays                    |
| `atoms/offset` (n+1,)              | sample i owns the atoms offset[i] to offset[i+1]        |
| `atoms/numbers`, `atoms/positions` | (A,); (A, 3) A                                          |
| `charge`, `spin`, `n_electrons`    | (n,); 0 electrons where unknown                         |
| `energy` (n,)                      | eV                                                      |
| `group` (n,)                       | samples of one group (a trajectory) are correlated      |
| `hamiltonian/offset`, `/values`    | (n+1,); packed matrices, integers x `step`              |
| `overlap/offset`, `/values`        | optional: (n+1,); packed overlaps without spin, float64 |
| `pairs/offset`, `pairs/values`     | crystals: (n+1,); (E, 5) row atom, column atom, its cell|
| `splits/<name>`                    | sample numbers                                          |

Matrices are hermitian. For a molecule the upper triangle is stored, row-major, atom after atom in
the orbital order of `Basis`; for a crystal one block of each pair (i, j, T), (j, i, -T), in the
order of `pairs`. A spinor matrix stores all real parts and then all imaginary parts. Hamiltonians
are fixed-point numbers: the error is at most half a step, and the bits below the noise of the
label, which no compression can shrink, are not stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.storage.atomic_write import atomic_path
from workbench.storage.hdf5_file import new_hdf5

__all__ = [
    "DatasetError",
    "array_names",
    "content_hash",
    "open_checked",
    "write_file",
]

FORMAT = "hamiltonian-workbench dataset"
TRIANGLES = "upper triangle of the dense matrix"
BLOCKS = "one block of each hermitian pair"
STEP = 1e-8
"""Resolution of a stored Hamiltonian, eV: 4e-10 Hartree, below the noise of any label."""

_CHUNK = 1 << 15
_HASHED_AT_ONCE = 1 << 20
_COMPRESSION: dict[str, Any] = {
    "compression": "gzip",
    "compression_opts": 9,
    "shuffle": True,
    "fletcher32": True,
}


class DatasetError(ValueError):
    """A file that is not an intact dataset of the workbench; the message is one sentence."""


def write_file(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write header and arrays; the file appears complete or not at all. Returns the hash."""
    with atomic_path(path) as part, new_hdf5(part) as file:
        file.attrs["format"] = FORMAT
        # Not an attribute: attributes are limited to 64 KiB.
        file.create_dataset("header", data=json.dumps(header, sort_keys=True))
        for name, array in arrays.items():
            large = {**_COMPRESSION, "chunks": (_CHUNK, *array.shape[1:])}
            file.create_dataset(name, data=array, **(large if len(array) > _CHUNK else {}))
        digest = content_hash(file)
        file.attrs["sha256"] = digest
    return digest


def open_checked(path: Path) -> tuple[h5py.File, dict[str, Any]]:
    """Open a dataset file for reading; returns the file and its header.

    Raises:
        DatasetError: for a missing, truncated or foreign file, or another convention.
    """
    if not path.is_file():
        raise DatasetError(f"There is no dataset {path}: check the path.")
    try:
        file = h5py.File(path, "r", rdcc_nbytes=64 << 20)
    except OSError as error:
        raise DatasetError(
            f"{path} is truncated or no HDF5 file: download or make it again."
        ) from error
    if file.attrs.get("format") != FORMAT or "sha256" not in file.attrs or "header" not in file:
        file.close()
        raise DatasetError(f"{path} is an HDF5 file but no dataset of the workbench: import it.")
    header = json.loads(_header_text(file))
    known = header["layout"] in (TRIANGLES, BLOCKS)
    if header["convention_version"] != CONVENTION_VERSION or not known:
        file.close()
        raise DatasetError(
            f"{path} follows convention {header['convention_version']} ({header['layout']}), this "
            f"workbench convention {CONVENTION_VERSION}: make the file again, or use the workbench "
            "version that wrote it."
        )
    return file, header


def array_names(file: h5py.File) -> list[str]:
    """Paths of all arrays in a file, without the header, sorted."""
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            names.append(name)

    file.visititems(note)
    return sorted(names)


def content_hash(file: h5py.File) -> str:
    """sha256 of the header and of every array's name, type, shape and little-endian bytes."""
    digest = hashlib.sha256(_header_text(file).encode())
    for name in array_names(file):
        array: Any = file[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        for start in range(0, len(array), _HASHED_AT_ONCE):
            digest.update(np.ascontiguousarray(array[start : start + _HASHED_AT_ONCE]).tobytes())
    return digest.hexdigest()


def _header_text(file: h5py.File) -> str:
    text: Any = file["header"]
    return text.asstr()[()]
