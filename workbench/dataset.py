"""Datasets: one HDF5 file of geometries and their Hamiltonians, with all it takes to trust it.

What lies where in the file is written in `workbench.dataset_format`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.basis import Basis
from workbench.conventions import CONVENTION_VERSION
from workbench.dataset_format import (
    LAYOUT,
    STEP,
    DatasetError,
    array_names,
    content_hash,
    open_checked,
    pack,
    unpack,
    write_file,
)
from workbench.matrices import BlockMatrix

__all__ = ["Dataset", "DatasetError", "Sample", "write"]

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled geometry.

    Attributes:
        atoms: positions in A; charge and spin in `info`.
        H: eV.
        energy: total energy, eV.
        n_electrons: electrons that the reference treated.
        group: samples of one group are correlated and stand in one split.
        stored_overlap: S if the file holds it.
    """

    atoms: Atoms
    H: BlockMatrix
    energy: float
    n_electrons: int
    group: int = 0
    stored_overlap: BlockMatrix | None = None

    @cached_property
    def S(self) -> BlockMatrix:
        """Overlap: the stored one, else computed, which is exact and takes milliseconds."""
        if self.stored_overlap is not None:
            return self.stored_overlap
        from workbench.engines.molecules import overlap

        return overlap(self.atoms, self.H.basis)


class Dataset:
    """A dataset file, open for reading; a sequence of `Sample`.

    Matrices are read when asked for, everything else at once. Opening checks that the file is
    whole, ours and of this convention; `verify` also recomputes its hash.

    Args:
        path: the file.

    Raises:
        DatasetError: for a missing, truncated or foreign file, or another convention.

    Attributes:
        basis: holds every element of the set.
        provenance: how the samples were made, JSON-able.
        hash: sha256 of the content, as a hexadecimal number.
        step: resolution of the Hamiltonians, eV.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file, header = open_checked(self.path)
        self.basis = Basis.from_json(header["basis"])
        self.provenance: dict[str, Any] = header["provenance"]
        self.hash = str(self._file.attrs["sha256"])
        self.step = float(header["step"])
        small = (name for name in array_names(self._file) if not name.endswith("/values"))
        self._arrays = {name: self._read(name) for name in small}

    def __len__(self) -> int:
        return len(self._arrays["energy"])

    def __getitem__(self, index: int) -> Sample:
        i = range(len(self))[index]  # counts negative ones from the end, refuses those outside
        return Sample(
            atoms=self.atoms(i),
            H=self.hamiltonians([i])[0],
            energy=float(self._arrays["energy"][i]),
            n_electrons=int(self._arrays["n_electrons"][i]),
            group=int(self._arrays["group"][i]),
            stored_overlap=self._stored_overlap(i),
        )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.split(name))} {name}" for name in self.splits)
        return f"Dataset({self.path}: {len(self)} samples, {sizes}, {self.basis.name})"

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the path: an open file cannot."""
        return Dataset, (self.path,)

    def close(self) -> None:
        """Close the file; samples read before stay valid."""
        self._file.close()

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(name[7:] for name in self._arrays if name.startswith("splits/"))

    def split(self, name: str) -> NDArray[np.int64]:
        """Numbers of the samples of a split, e.g. "train".

        Raises:
            DatasetError: when there is none of that name.
        """
        if name not in self.splits:
            raise DatasetError(
                f"{self.path.name} has no split {name!r}; it has {', '.join(self.splits)}."
            )
        return self._arrays[f"splits/{name}"]

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n,) the group (trajectory) of each sample."""
        return self._arrays["group"].astype(np.int64)

    @property
    def energies(self) -> NDArray[np.float64]:
        """(n,) total energies, eV."""
        return self._arrays["energy"]

    def numbers(self, i: int) -> NDArray[np.int64]:
        """(N,) atomic numbers of sample i."""
        return self._arrays["atoms/numbers"][self._atoms_of(i)].astype(np.int64)

    def positions(self, i: int) -> NDArray[np.float64]:
        """(N, 3) positions of sample i, A."""
        return self._arrays["atoms/positions"][self._atoms_of(i)].copy()

    def atoms(self, i: int) -> Atoms:
        """The geometry of sample i, without its matrix."""
        info = {key: int(self._arrays[key][i]) for key in ("charge", "spin")}
        return Atoms(self.numbers(i), self.positions(i), info=info)

    def hamiltonians(self, indices: Sequence[int] | NDArray[np.int64]) -> list[BlockMatrix]:
        """H of several samples, eV, from one reading of the file."""
        offset, picked = self._arrays["hamiltonian/offset"], np.asarray(indices, dtype=np.int64)
        if not len(picked):
            return []
        low, high = int(offset[picked.min()]), int(offset[picked.max() + 1])
        values = self._read("hamiltonian/values", low, high) * self.step
        return [
            self._matrix(i, values[offset[i] - low : offset[i + 1] - low]) for i in picked.tolist()
        ]

    def verify(self) -> None:
        """Recompute the hash of the content.

        Raises:
            DatasetError: when the content is not what was written.
        """
        if self._guarded(lambda: content_hash(self._file)) != self.hash:
            raise DatasetError(
                f"The content of {self.path} is not what was written: fetch it anew."
            )

    def _stored_overlap(self, i: int) -> BlockMatrix | None:
        if "overlap/values" not in self._file:
            return None
        low, high = self._arrays["hamiltonian/offset"][i : i + 2].tolist()
        return self._matrix(i, self._read("overlap/values", low, high))

    def _matrix(self, i: int, packed: NDArray[np.float64]) -> BlockMatrix:
        dense = unpack(packed, self.basis.spinor)
        return BlockMatrix.from_dense(self.basis, self.numbers(i), dense)

    def _atoms_of(self, i: int) -> slice:
        return slice(*self._arrays["atoms/offset"][i : i + 2])

    def _read(self, name: str, low: int = 0, high: int | None = None) -> NDArray[Any]:
        array: Any = self._file[name]
        return self._guarded(lambda: array[low:high])

    def _guarded(self, read: Callable[[], _T]) -> _T:
        """Read; a damaged chunk becomes our error."""
        try:
            return read()
        except OSError as error:
            raise DatasetError(f"{self.path} is damaged: fetch or make it anew.") from error


def write(
    path: str | os.PathLike[str],
    samples: Iterable[Sample],
    splits: Mapping[str, ArrayLike],
    provenance: Mapping[str, Any],
    *,
    step: float = STEP,
) -> str:
    """Write a dataset; the file appears complete or not at all.

    Args:
        path: the file.
        samples: molecules in bases of one name; read once, so a generator will do.
        splits: name -> numbers of its samples; no sample in two splits.
        provenance: JSON-able: how the samples were made.
        step: resolution of the Hamiltonian, eV.

    Returns:
        The hash of the content.

    Raises:
        ValueError: for no samples, mixed bases, an overlap stored in some samples only, or splits
            that share samples or point outside.
    """
    basis, arrays = _collect(samples, step)
    for name, numbers in _checked_splits(splits, len(arrays["energy"])).items():
        arrays[f"splits/{name}"] = numbers
    header = {
        "convention_version": CONVENTION_VERSION,
        "layout": LAYOUT,
        "units": {"positions": "Angstrom", "energy": "eV", "hamiltonian": "eV", "overlap": "1"},
        "step": step,
        "basis": basis.to_json(),
        "provenance": dict(provenance),
    }
    return write_file(Path(path), header, arrays)


def write_part(
    source: Dataset,
    path: str | os.PathLike[str],
    splits: Mapping[str, int],
    step: float | None = None,
) -> str:
    """Write the first samples of some splits as a dataset of their own.

    Args:
        source: the whole.
        path: the file.
        splits: name -> how many of its samples.
        step: resolution of the Hamiltonian, eV; that of the source unless given. A coarser one
            makes a smaller file.

    Returns:
        The hash of the content.

    Raises:
        ValueError: for a split that the source lacks, or that is smaller than asked.
    """
    kept: dict[str, NDArray[np.int64]] = {}
    for name, count in splits.items():
        own = source.split(name)
        if not 0 < count <= len(own):
            raise ValueError(
                f"The split {name!r} of {source.path} has {len(own)} samples: ask for 1 to as many."
            )
        kept[name] = own[:count]
    order = np.sort(np.concatenate(list(kept.values())))
    provenance = {
        "part_of": {"name": source.path.name, "sha256": source.hash},
        "the_whole": source.provenance,
    }
    numbers = {name: np.searchsorted(order, own) for name, own in kept.items()}
    samples = (source[int(i)] for i in order)
    return write(path, samples, numbers, provenance, step=source.step if step is None else step)


def _collect(samples: Iterable[Sample], step: float) -> tuple[Basis, dict[str, NDArray[Any]]]:
    """The basis that holds all elements, and the arrays of the file."""
    basis: Basis | None = None
    rest: list[tuple[Atoms, float, int, int]] = []
    hamiltonians: list[NDArray[np.int64]] = []
    overlaps: list[NDArray[np.float64]] = []
    for s in samples:
        basis = s.H.basis if basis is None else basis.merged(s.H.basis)
        rest.append((s.atoms, s.energy, s.n_electrons, s.group))
        hamiltonians.append(np.rint(pack(s.H.dense()) / step).astype("<i8"))
        if s.stored_overlap is not None:
            overlaps.append(pack(s.stored_overlap.dense()))
    if basis is None:
        raise ValueError("A dataset needs at least one sample.")
    if len(overlaps) not in (0, len(rest)):
        raise ValueError("Some samples store their overlap and some do not: store all or none.")
    atoms, energies, electrons, groups = zip(*rest, strict=True)
    arrays: dict[str, NDArray[Any]] = {
        "atoms/offset": _offsets([len(a) for a in atoms]),
        "atoms/numbers": np.concatenate([a.numbers for a in atoms]).astype("<i2"),
        "atoms/positions": np.concatenate([a.positions for a in atoms]).astype("<f8"),
        "charge": np.array([a.info.get("charge", 0) for a in atoms], dtype="<i4"),
        "spin": np.array([a.info.get("spin", 0) for a in atoms], dtype="<i4"),
        "energy": np.array(energies, dtype="<f8"),
        "n_electrons": np.array(electrons, dtype="<i4"),
        "group": np.array(groups, dtype="<i4"),
        "hamiltonian/offset": _offsets([len(h) for h in hamiltonians]),
        "hamiltonian/values": _narrow(np.concatenate(hamiltonians)),
    }
    if overlaps:
        arrays["overlap/values"] = np.concatenate(overlaps)
    return basis, arrays


def _checked_splits(splits: Mapping[str, ArrayLike], n: int) -> dict[str, NDArray[np.int64]]:
    arrays = {name: np.asarray(numbers, dtype="<i8").ravel() for name, numbers in splits.items()}
    every = np.concatenate([*arrays.values(), np.empty(0, dtype="<i8")])
    if len(np.unique(every)) != len(every) or (every < 0).any() or (every >= n).any():
        raise ValueError(f"Splits must be disjoint lists of sample numbers from 0 to {n - 1}.")
    return arrays


def _narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    """The same in four bytes where they suffice: fewer bytes that only repeat the sign."""
    fits = np.abs(values).max(initial=0) <= np.iinfo("<i4").max
    return values.astype("<i4") if fits else values


def _offsets(sizes: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes]).astype("<i8")
