"""Datasets: one HDF5 file of geometries and Hamiltonians, with splits, provenance and a hash.

`workbench.datasets.hdf5_layout` describes the layout of the file; `workbench.datasets.writing`
writes one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.checksums import DamagedFileError
from workbench.datasets.hdf5_layout import (
    BLOCKS,
    DatasetError,
    content_hash,
    damaged,
    open_checked,
)
from workbench.datasets.packing import Pairs, unpack_blocks, unpack_triangle
from workbench.engines import Reference
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.storage.bundled import dataset_path

__all__ = ["Dataset", "DatasetError", "Sample"]

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled geometry.

    Attributes:
        atoms: positions and, for crystals, cell in A; charge and spin in `info`.
        H: eV.
        energy: total energy, eV; nan if the source has none.
        n_electrons: electrons that the reference treated; 0 if unknown.
        group: samples of one group are correlated (e.g. one trajectory) and are in one split.
        stored_overlap: S if the file contains it.
        fermi_level: of a crystal, eV; None where it is unknown.
    """

    atoms: Atoms
    H: BlockMatrix
    energy: float
    n_electrons: int
    group: int = 0
    stored_overlap: BlockMatrix | None = None
    fermi_level: float | None = None

    @cached_property
    def S(self) -> BlockMatrix:
        """Overlap: the stored one, else computed with PySCF, which is exact and takes milliseconds.

        Raises:
            DatasetError: for a crystal whose overlap is not stored.
        """
        if self.stored_overlap is not None:
            return self.stored_overlap
        if self.atoms.pbc.any():
            raise DatasetError("This crystal came without its overlap: import it with one.")
        from workbench.engines.pyscf_molecules import overlap

        return overlap(self.atoms, self.H.basis)


class Dataset:
    """A dataset file, open for reading; a sequence of `Sample`.

    Matrices are read on access, everything else at once. Opening checks that the file is complete,
    a dataset of the workbench, and of this convention. Whatever is read is compared with its
    checksum; `verify` also recomputes the hash of everything.

    Args:
        path: the file, or the name of a bundled one ("water").

    Raises:
        DatasetError: for a missing, damaged or foreign file, or another convention.

    Attributes:
        basis: covers every element of the set.
        provenance: how the samples were made, JSON-able.
        hash: sha256 of the content, hexadecimal.
        step: resolution of the Hamiltonians, eV.
        periodic: whether the samples are crystals.

    >>> with wb.Dataset("water") as water:
    ...     train, sample = water.split("train"), water[0]
    >>> len(train), sample.H.dense().shape, sample.n_electrons
    (500, (24, 24), 10)
    >>> np.allclose(np.diag(sample.S.dense()), 1)  # orbitals are normalised
    True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = dataset_path(os.fspath(path))
        opened = open_checked(self.path)
        header = opened.header
        self._file, self.basis, self.hash = opened.file, opened.basis, opened.hash
        self.provenance: dict[str, Any] = header.provenance
        self.step = float(header.step)
        self.periodic = header.layout == BLOCKS
        self._arrays, self._large = opened.small, opened.large

    def __len__(self) -> int:
        return len(self._arrays["energy"])

    def __getitem__(self, index: int) -> Sample:
        i = range(len(self))[index]  # resolves a negative index, and raises an IndexError outside
        return Sample(
            atoms=self.atoms(i),
            H=self.hamiltonians([i])[0],
            energy=float(self._arrays["energy"][i]),
            n_electrons=int(self._arrays["n_electrons"][i]),
            group=int(self._arrays["group"][i]),
            stored_overlap=self._stored_overlap(i),
            fermi_level=self._fermi_level(i),
        )

    def reference(self, index: int) -> Reference:
        """The sample as a `Reference`, including the method that produced it.

        >>> with wb.Dataset("water") as water:
        ...     water.reference(0).method["functional"]
        'pbe'
        """
        sample = self[index]
        return Reference(
            H=sample.H,
            S=sample.S,
            energy=sample.energy,
            n_electrons=sample.n_electrons,
            method=self.method,
            fermi_level=sample.fermi_level,
        )

    @property
    def method(self) -> dict[str, Any]:
        """How the labels were computed, as in a `Reference`; empty if that is not recorded."""
        origin = self.provenance
        while "the_whole" in origin:  # a part names its source, which may be a part itself
            origin = origin["the_whole"]
        given = origin.get("recipe", {}).get("method", {})
        defaults = origin.get("default_settings", {})
        return {**given, **{k: v for k, v in defaults.items() if given.get(k) is None}}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.split(name))} {name}" for name in self.splits)
        return f"Dataset({self.path}: {len(self)} samples, {sizes}, {self.basis.name})"

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the path, since an open file cannot be sent to another process."""
        return Dataset, (self.path,)

    def close(self) -> None:
        """Close the file; samples that were read stay valid."""
        self._file.close()

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(n.removeprefix("splits/") for n in self._arrays if n.startswith("splits/"))

    def split(self, name: str) -> NDArray[np.int64]:
        """The sample numbers of a split, e.g. "train".

        Raises:
            DatasetError: for an unknown name.
        """
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise DatasetError(f"{self.path.name} has no split {name!r}; it has {known}.")
        return self._arrays[f"splits/{name}"]

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n,) the group (trajectory) of each sample."""
        return self._arrays["group"].astype(np.int64)

    @property
    def stores_overlap(self) -> bool:
        """Whether the file contains the overlap of each sample."""
        return "overlap/values" in self._large

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
        atoms = Atoms(self.numbers(i), self.positions(i), info=info)
        if self.periodic:
            atoms.cell, atoms.pbc = (self._arrays[f"atoms/{key}"][i] for key in ("cell", "pbc"))
        return atoms

    def pairs(self, i: int) -> Pairs:
        """The pairs of atoms with a stored block in sample i, one of each hermitian pair.

        Of a molecule all pairs are stored.
        """
        if self.periodic:
            low, high = self._arrays["pairs/offset"][i : i + 2].tolist()
            return Pairs.of_table(self._read("pairs/values", low, high))
        edges = np.stack(np.triu_indices(len(self.numbers(i)))).astype(np.int64)
        return Pairs(edges, np.zeros((edges.shape[1], 3), dtype=np.int64))

    def hamiltonians(self, indices: Sequence[int] | NDArray[np.int64]) -> list[BlockMatrix]:
        """H of several samples, eV; those that follow each other in the file are read at once."""
        offset, chosen = self._arrays["hamiltonian/offset"], np.asarray(indices, dtype=np.int64)
        matrices = []
        for run in np.split(chosen, np.nonzero(np.diff(chosen) != 1)[0] + 1):
            if not len(run):
                continue
            low, high = int(offset[run[0]]), int(offset[run[-1] + 1])
            values = self._read("hamiltonian/values", low, high) * self.step
            matrices += [
                self._matrix(i, values[offset[i] - low : offset[i + 1] - low], self.basis)
                for i in run.tolist()
            ]
        return matrices

    def verify(self) -> None:
        """Recompute the hash of the content.

        Raises:
            DatasetError: if the content is not what was written.
        """
        if self._guarded(lambda: content_hash(self._file)) != self.hash:
            raise DatasetError(
                f"The content of {self.path} is not what was written: download or make it again."
            )

    def _fermi_level(self, i: int) -> float | None:
        level = float(self._arrays["fermi_level"][i]) if self.periodic else math.nan
        return None if math.isnan(level) else level

    def _stored_overlap(self, i: int) -> BlockMatrix | None:
        if not self.stores_overlap:
            return None
        low, high = self._arrays["overlap/offset"][i : i + 2].tolist()
        scalar = replace(self.basis, spinor=False)
        S = self._matrix(i, self._read("overlap/values", low, high), scalar)
        return S.with_spin() if self.basis.spinor else S

    def _matrix(self, i: int, packed: NDArray[np.float64], basis: Basis) -> BlockMatrix:
        pairs, numbers = self.pairs(i) if self.periodic else None, self.numbers(i)
        try:
            if not np.isfinite(packed).all():
                raise ValueError("elements that are not finite")
            if pairs is None:
                return unpack_triangle(basis, numbers, packed)
            return unpack_blocks(basis, numbers, pairs, packed)
        except ValueError as error:
            raise DatasetError(
                f"{self.path} is not read, since its sample {i} has {error}: download or make it "
                "again."
            ) from error

    def _atoms_of(self, i: int) -> slice:
        return slice(*self._arrays["atoms/offset"][i : i + 2])

    def _read(self, name: str, low: int, high: int) -> NDArray[Any]:
        return self._guarded(lambda: self._large[name].rows(low, high))

    def _guarded(self, read: Callable[[], _T]) -> _T:
        """Read; a damaged chunk raises a DatasetError."""
        try:
            return read()
        except DamagedFileError as error:
            raise damaged(self.path) from error
