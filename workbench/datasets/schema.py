"""What must hold in a dataset file: its header, and how its arrays fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.basis import Basis
from workbench.storage.value_checks import Range, check_fields

__all__ = [
    "BLOCKS",
    "FARTHEST",
    "TRIANGLES",
    "Header",
    "SchemaError",
    "check_arrays",
    "check_contents",
]

TRIANGLES = "upper triangle of the dense matrix"
BLOCKS = "one block of each hermitian pair"


@dataclass(frozen=True)
class Header:
    """The header of a dataset file.

    Attributes:
        convention_version: `workbench.hamiltonians.conventions.CONVENTION_VERSION` of its writer.
        layout: how matrices are packed, `TRIANGLES` or `BLOCKS`.
        units: of the arrays.
        step: resolution of the Hamiltonians, eV.
        basis: as `Basis.to_json` describes it.
        provenance: how the samples were made.
        how_to_read: sentences of `workbench.datasets.reading_guide`; files of older versions have
            none.
    """

    convention_version: int
    layout: str
    units: dict[str, Any]
    step: Annotated[float, Range(0, 1, above=True)]
    basis: dict[str, Any]
    provenance: dict[str, Any]
    how_to_read: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check kinds and ranges."""
        check_fields(self)


_ARRAYS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    # name: kind of its numbers, what its rows are (n samples, A atoms), shape of a row
    "atoms/offset": ("i", "n+1", ()),
    "atoms/numbers": ("i", "A", ()),
    "atoms/positions": ("f", "A", (3,)),
    "charge": ("i", "n", ()),
    "spin": ("i", "n", ()),
    "energy": ("f", "n", ()),
    "n_electrons": ("i", "n", ()),
    "group": ("i", "n", ()),
    "hamiltonian/offset": ("i", "n+1", ()),
    "hamiltonian/values": ("i", "", ()),
}
_OVERLAP = {"overlap/offset": ("i", "n+1", ()), "overlap/values": ("f", "", ())}
_CRYSTAL = {
    "atoms/cell": ("f", "n", (3, 3)),
    "atoms/pbc": ("b", "n", (3,)),
    "fermi_level": ("f", "n", ()),
    "pairs/offset": ("i", "n+1", ()),
    "pairs/values": ("i", "", (5,)),
}

_HIGHEST_NUMBER = 118
FARTHEST = 1e6
"""Largest coordinate, A."""


class SchemaError(ValueError):
    """Content that no dataset has; the message is a clause that says what is wrong."""


def check_arrays(arrays: Mapping[str, Any], periodic: bool) -> None:
    """Check names, types and shapes of all arrays; none of them is read.

    Args:
        arrays: by path; anything with dtype and shape.
        periodic: whether the samples are crystals.

    Raises:
        SchemaError: for the first wrong one.
    """
    wanted = {**_ARRAYS, **(_CRYSTAL if periodic else {})}
    if any(name.startswith("overlap/") for name in arrays):
        wanted |= _OVERLAP
    wanted |= {name: ("i", "", ()) for name in arrays if name.startswith("splits/")}
    if absent := sorted(set(wanted) - set(arrays)):
        raise SchemaError(f"it lacks the array {absent[0]!r}")
    if unknown := sorted(set(arrays) - set(wanted)):
        raise SchemaError(f"it has an array {unknown[0]!r}, which this version does not know")
    n, n_atoms = (len(arrays[name].shape) and arrays[name].shape[0] for name in _COUNTED)
    lengths = {"n": n, "n+1": n + 1, "A": n_atoms}
    for name, (kind, rows, row) in wanted.items():
        dtype, shape = arrays[name].dtype, arrays[name].shape
        fits = shape[:1] == (lengths[rows],) if rows else len(shape) == len(row) + 1
        if dtype.kind != kind or not fits or shape[1:] != row:
            raise SchemaError(f"its array {name!r} has the type {dtype} and the shape {shape}")


_COUNTED = ("energy", "atoms/numbers")
"""The arrays whose rows are samples and atoms."""


def check_contents(
    arrays: Mapping[str, NDArray[Any]], lengths: Mapping[str, int], basis: Basis
) -> None:
    """Check the numbers in the small arrays, whose shapes `check_arrays` has checked.

    Args:
        arrays: by path.
        lengths: rows of the large arrays, by path.
        basis: of the dataset.

    Raises:
        SchemaError: for the first wrong one.
    """
    lengths = {"atoms/values": len(arrays["atoms/numbers"]), **lengths}
    for name in (name for name in arrays if name.endswith("/offset")):
        offset, length = arrays[name], lengths[name.replace("/offset", "/values")]
        if offset[0] != 0 or offset[-1] != length or (np.diff(offset) < 0).any():
            raise SchemaError(f"its array {name!r} does not divide {length} rows")
    if (np.diff(arrays["atoms/offset"]) < 1).any():
        raise SchemaError("it has a sample without atoms")
    numbers = arrays["atoms/numbers"]
    if not ((numbers >= 1) & (numbers <= _HIGHEST_NUMBER)).all():
        raise SchemaError("it has atomic numbers that no element has")
    if absent := set(np.unique(numbers).tolist()) - set(basis.elements):
        raise SchemaError(f"its basis has no orbitals for the atomic number {min(absent)}")
    for name in ("atoms/positions", "atoms/cell"):
        if name in arrays and not (np.abs(arrays[name]) <= FARTHEST).all():
            raise SchemaError(f"its array {name!r} has coordinates beyond {FARTHEST:.0e} A")
    for name in ("energy", "fermi_level"):  # nan where unknown
        if name in arrays and np.isinf(arrays[name]).any():
            raise SchemaError(f"its array {name!r} has infinite energies")
    _check_splits(arrays)
    if "pairs/offset" not in arrays:
        _check_triangles(arrays, basis)


def _check_splits(arrays: Mapping[str, NDArray[Any]]) -> None:
    n = len(arrays["energy"])
    splits = [numbers for name, numbers in arrays.items() if name.startswith("splits/")]
    every = np.concatenate([*splits, np.empty(0, dtype=np.int64)])
    inside = (every >= 0) & (every < n)
    if not inside.all() or (np.bincount(every, minlength=1) > 1).any():
        raise SchemaError("its splits are not disjoint lists of its samples")


def _check_triangles(arrays: Mapping[str, NDArray[Any]], basis: Basis) -> None:
    """Check that the matrix of each molecule has as many elements as its atoms ask for."""
    sizes = np.zeros(_HIGHEST_NUMBER + 1, dtype=np.int64)
    sizes[list(basis.elements)] = [basis.n_orbitals(z) for z in basis.elements]
    of_samples = np.add.reduceat(sizes[arrays["atoms/numbers"]], arrays["atoms/offset"][:-1])
    spinor = of_samples * 2
    wanted = {
        "hamiltonian/offset": spinor * (spinor + 1) if basis.spinor else _half(of_samples),
        "overlap/offset": _half(of_samples),
    }
    for name in wanted.keys() & arrays.keys():
        if not np.array_equal(np.diff(arrays[name]), wanted[name]):
            raise SchemaError(f"its array {name!r} does not fit its atoms and its basis")


def _half(n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Elements of the upper triangle of an n x n matrix."""
    return n * (n + 1) // 2
