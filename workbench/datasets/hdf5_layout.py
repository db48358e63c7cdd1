"""The HDF5 layout of a dataset file: names of the arrays, packing of the matrices, checks.

n samples, A atoms in total; plain h5py reads every filter used:

| name                               | content                                                 |
|------------------------------------|---------------------------------------------------------|
| attribute `format`                 | "hamiltonian-workbench dataset"                         |
| `header`                           | JSON: convention, layout, units, step, basis, provenance,|
|                                    | `how_to_read`: the meaning of all arrays in sentences   |
| attribute `sha256`                 | hash of the header and of all arrays                    |
| `checksums`                        | JSON, see `workbench.datasets.checksums`                |
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

`open_checked` trusts nothing in a file: `foreign_hdf5` examines how it is stored, `schema` what it
contains, and `checksums` whether that is what was written. Files of older versions have no
checksums. Their hash is verified at opening if they are small, otherwise by `Dataset.verify` only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from workbench.datasets.checksums import (
    ROWS,
    CheckedArray,
    DamagedFileError,
    checksums,
    verify_texts,
)
from workbench.datasets.schema import (
    BLOCKS,
    TRIANGLES,
    Header,
    SchemaError,
    check_arrays,
    check_contents,
)
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.storage import foreign_hdf5
from workbench.storage.atomic_write import atomic_path
from workbench.storage.foreign_hdf5 import UnsafeFileError
from workbench.storage.hdf5_file import new_hdf5
from workbench.storage.value_checks import from_json

__all__ = [
    "BLOCKS",
    "TRIANGLES",
    "DatasetError",
    "OpenFile",
    "add_checksums",
    "content_hash",
    "open_checked",
    "write_file",
]

FORMAT = "hamiltonian-workbench dataset"
STEP = 1e-8
"""Resolution of a stored Hamiltonian, eV: 4e-10 Hartree, below the noise of any label."""

_HASHED_AT_ONCE = 1 << 20
_HASHED_AT_OPENING = 64 << 20
"""Bytes of arrays in a file without checksums whose hash is verified at opening."""

_COMPRESSION: dict[str, Any] = {
    "compression": "gzip",
    "compression_opts": 9,
    "shuffle": True,
    "fletcher32": True,
}


class DatasetError(ValueError):
    """A file that is not an intact dataset of the workbench; the message is one sentence."""


@dataclass(frozen=True, eq=False)
class OpenFile:
    """An open dataset file.

    Attributes:
        file: the HDF5 file.
        header: its header.
        hash: of its content.
        basis: of its samples.
        small: by path, all arrays that have at most some numbers per atom, verified.
        large: by path, all others.
    """

    file: h5py.File
    header: Header
    hash: str
    basis: Basis
    small: dict[str, NDArray[Any]]
    large: dict[str, CheckedArray]


def write_file(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write header and arrays; the file appears complete or not at all. Returns the hash."""
    with atomic_path(path) as part, new_hdf5(part) as file:
        file.attrs["format"] = FORMAT
        # Not an attribute: attributes are limited to 64 KiB.
        file.create_dataset("header", data=json.dumps(header, sort_keys=True))
        for name, array in arrays.items():
            large = {**_COMPRESSION, "chunks": (ROWS, *array.shape[1:])}
            file.create_dataset(name, data=array, **(large if len(array) > ROWS else {}))
        stored: dict[str, Any] = {name: file[name] for name in sorted(arrays)}
        digest = _hash(_header_text(file), stored)
        file.attrs["sha256"] = digest
        _write_checksums(file, stored)
    return digest


def _write_checksums(file: h5py.File, arrays: Mapping[str, h5py.Dataset]) -> None:
    texts = {"header": _header_text(file), "sha256": str(file.attrs["sha256"])}
    file["checksums"] = checksums(arrays, texts)


def add_checksums(path: Path) -> None:
    """Give a file of an older version checksums, after its hash was verified; all else stays.

    Raises:
        DatasetError: for a damaged file.
    """
    with open_checked(path).file as file:
        if "checksums" in file:
            return
        if content_hash(file) != file.attrs["sha256"]:
            raise damaged(path)
    with atomic_path(path) as part:
        part.write_bytes(path.read_bytes())
        with h5py.File(part, "r+") as file:
            _write_checksums(file, _arrays(file))


def open_checked(path: Path) -> OpenFile:
    """Open a dataset file for reading.

    Raises:
        DatasetError: for a missing, damaged or foreign file, or another convention.
    """
    if not path.is_file():
        raise DatasetError(f"There is no dataset {path}: check the path.")
    try:
        file = foreign_hdf5.open_file(path, rdcc_nbytes=64 << 20)
    except UnsafeFileError as error:
        raise DatasetError(
            f"{path} is truncated or no HDF5 file: download or make it again."
        ) from error
    try:
        return _examined(path, file)
    except (UnsafeFileError, SchemaError) as error:
        file.close()
        raise DatasetError(
            f"{path} is not read, since {error}: download or make it again."
        ) from error
    except DamagedFileError as error:
        file.close()
        raise damaged(path) from error
    except BaseException:
        file.close()
        raise


def damaged(path: Path) -> DatasetError:
    """The error for a file whose content is not what was written."""
    return DatasetError(f"{path} is damaged: download or make it again.")


def _examined(path: Path, file: h5py.File) -> OpenFile:
    """All that `open_checked` checks of a file that HDF5 can open."""
    arrays = foreign_hdf5.arrays(file, depth=1)
    digest = foreign_hdf5.text_attribute(file, "sha256")
    of_workbench = foreign_hdf5.text_attribute(file, "format") == FORMAT
    if not of_workbench or digest is None or "header" not in arrays:
        raise DatasetError(f"{path} is an HDF5 file but no dataset of the workbench: import it.")
    text = foreign_hdf5.text(arrays.pop("header"))
    known = _parsed(arrays.pop("checksums", None))
    if known is not None:
        verify_texts(known, {"header": text, "sha256": digest})
    header = _header(path, text)
    check_arrays(arrays, header.layout == BLOCKS)
    checked = {
        name: CheckedArray(name, array, None if known is None else known.get(name, []))
        for name, array in arrays.items()
    }
    hashed = known is None and sum(a.nbytes for a in arrays.values()) <= _HASHED_AT_OPENING
    if hashed and content_hash(file) != digest:
        raise DamagedFileError
    large = {name: array for name, array in checked.items() if name.endswith("/values")}
    small = {name: array.rows() for name, array in checked.items() if name not in large}
    try:
        basis = Basis.from_json(header.basis)
    except ValueError as error:
        raise SchemaError(f"its basis is unknown ({str(error).rstrip('.')})") from error
    check_contents(small, {name: array.shape[0] for name, array in large.items()}, basis)
    return OpenFile(file, header, digest, basis, small, large)


def _header(path: Path, text: str) -> Header:
    try:
        header = from_json(Header, json.loads(text))
    except RecursionError as error:
        raise SchemaError("its header is nested too deeply") from error
    except ValueError as error:
        raise SchemaError(f"its header is not valid ({str(error).rstrip('.')})") from error
    known = header.layout in (TRIANGLES, BLOCKS)
    if header.convention_version != CONVENTION_VERSION or not known:
        raise DatasetError(
            f"{path} follows convention {header.convention_version} ({header.layout!r:.60}), this "
            f"workbench convention {CONVENTION_VERSION}: make the file again, or use the workbench "
            "version that wrote it."
        )
    return header


def _parsed(stored: h5py.Dataset | None) -> dict[str, list[int]] | None:
    """The checksums of a file, by array; None for a file of an older version."""
    if stored is None:
        return None
    try:
        known = json.loads(foreign_hdf5.text(stored))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError from error
    if not isinstance(known, dict) or not all(isinstance(v, list) for v in known.values()):
        raise DamagedFileError
    return known


def _arrays(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All arrays of a file by path, without the texts, sorted."""
    arrays = foreign_hdf5.arrays(file, depth=1)
    return {name: arrays[name] for name in sorted(arrays) if arrays[name].shape}


def content_hash(file: h5py.File) -> str:
    """sha256 of the header and of every array's name, type, shape and little-endian bytes.

    Raises:
        DamagedFileError: if an array cannot be read.
    """
    return _hash(_header_text(file), _arrays(file))


def _hash(header: str, arrays: Mapping[str, h5py.Dataset]) -> str:
    digest = hashlib.sha256(header.encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        for start in range(0, len(array), _HASHED_AT_ONCE):
            try:
                rows = array[start : start + _HASHED_AT_ONCE]
            except (OSError, ValueError, TypeError, RuntimeError) as error:
                raise DamagedFileError from error
            digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def _header_text(file: h5py.File) -> str:
    header: Any = file["header"]
    return foreign_hdf5.text(header)
