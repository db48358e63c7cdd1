"""Writing datasets: one sample at a time, into a file that appears complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.hdf5_layout import BLOCKS, STEP, TRIANGLES, write_file
from workbench.datasets.packing import pack_blocks, pack_triangles
from workbench.datasets.reading_guide import reading_guide
from workbench.datasets.schema import FARTHEST
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.storage.growing_array import GrowingArray
from workbench.storage.output_check import check_writable
from workbench.storage.value_checks import Range, check_arguments

__all__ = ["concatenated", "write", "write_part"]

_LARGEST = 1e9
"""Largest matrix element, eV: the kinetic energy of the narrowest orbitals in use is less."""


def write(
    path: str | os.PathLike[str],
    samples: Iterable[Sample],
    splits: Mapping[str, ArrayLike],
    provenance: Mapping[str, Any],
    *,
    step: Annotated[float, Range(0, 1, above=True)] = STEP,
) -> str:
    """Write a dataset; the file appears complete or not at all.

    Args:
        path: the file.
        samples: all molecules or all crystals, in bases of one name. They are read one at a time,
            so a generator may yield more than memory holds.
        splits: name -> sample numbers; no sample in two splits.
        provenance: how the samples were made, JSON-able.
        step: resolution of the Hamiltonian, eV.

    Returns:
        The hash of the content.

    Raises:
        ValueError: for no samples, molecules and crystals in one dataset, mixed bases, an overlap
            stored in some samples only, splits that share samples or are out of range, a step
            outside 0 to 1 eV, or numbers that are not finite, also those of a matrix.
    """
    path = Path(path)
    check_arguments(write, {"step": step})
    collected = _collect(samples, path.absolute().parent, step)
    assert collected.basis is not None
    arrays = collected.arrays()
    for name, numbers in _checked_splits(splits, len(arrays["energy"])).items():
        arrays[f"splits/{name}"] = numbers
    layout = BLOCKS if collected.periodic else TRIANGLES
    header = {
        "convention_version": CONVENTION_VERSION,
        "how_to_read": reading_guide(collected.basis, layout),
        "layout": layout,
        "units": {"positions": "Angstrom", "energy": "eV", "hamiltonian": "eV", "overlap": "1"},
        "step": step,
        "basis": collected.basis.to_json(),
        "provenance": dict(provenance),
    }
    return write_file(path, header, arrays)


def write_part(
    source: Dataset,
    path: str | os.PathLike[str],
    splits: Mapping[str, int],
    step: Annotated[float, Range(0, 1, above=True)] | None = None,
    more: Mapping[str, tuple[Dataset, int]] | None = None,
    samples: ArrayLike = (),
) -> str:
    """Write the first samples of some splits, or chosen samples, as a dataset of their own.

    Args:
        source: the complete dataset.
        path: the file.
        splits: name -> number of its samples.
        step: resolution of the Hamiltonian, eV, by default that of the source. A coarser step makes
            a smaller file. Stored overlaps are then rounded as well, to the power of two just below
            a hundredth of the step's number: at an orbital energy of 20 eV this is a fifth of a
            step.
        more: splits from other datasets: name -> a dataset in the same basis, and the number of its
            test samples.
        samples: numbers of further samples of the source; each stays in its split.

    Returns:
        The hash of the content.

    Raises:
        ValueError: for a split that the source lacks, or that has fewer samples than asked for, a
            sample that it lacks, no sample at all, or a step that is not above 0 and at most 1 eV.
        TargetError: if the file is the one of a source.
    """
    check_arguments(write_part, {"step": step})
    listed = np.unique(np.asarray(samples, dtype=np.int64))
    if not splits and not more and not len(listed):
        raise ValueError("A part needs samples: give a number for at least one split.")
    if not ((listed >= 0) & (listed < len(source))).all():
        raise ValueError(f"The samples of {source.path} have the numbers 0 to {len(source) - 1}.")
    datasets = [source, *(other for other, _ in (more or {}).values())]
    check_writable(Path(path), sources=[dataset.path for dataset in datasets])
    first = [_first(source, name, count) for name, count in splits.items()]
    order = np.unique(np.concatenate([listed, *first]))
    kept = {name: np.flatnonzero(np.isin(order, source.split(name))) for name in source.splits}
    numbers = {name: of_split for name, of_split in kept.items() if len(of_split)}
    provenance = _part_of(source)
    chosen, total = [(source, order)], len(order)
    for name, (other, count) in (more or {}).items():
        chosen.append((other, _first(other, "test", count)))
        numbers[name] = np.arange(total, total + count)
        provenance[name], total = _part_of(other), total + count
    copies = concatenated(chosen)
    if step is None or step <= source.step:
        return write(path, copies, numbers, provenance, step=step or source.step)
    return write(path, (_rounded(s, step / 100) for s in copies), numbers, provenance, step=step)


def _first(source: Dataset, name: str, count: int) -> NDArray[np.int64]:
    numbers = source.split(name)
    if not 0 < count <= len(numbers):
        raise ValueError(
            f"The split {name!r} of {source.path} has {len(numbers)} samples: ask for 1 to "
            f"{len(numbers)}."
        )
    return numbers[:count]


def _part_of(source: Dataset) -> dict[str, Any]:
    return {
        "part_of": {"name": source.path.name, "sha256": source.hash},
        "the_whole": source.provenance,
    }


def concatenated(chosen: Sequence[tuple[Dataset, NDArray[np.int64]]]) -> Iterator[Sample]:
    """Samples of several datasets, renumbering groups so that no two datasets share one.

    Args:
        chosen: each dataset with the numbers of its samples.
    """
    first = 0
    for source, numbers in chosen:
        for i in numbers:
            sample = source[int(i)]
            yield replace(sample, group=first + sample.group)
        first += int(source.groups.max(initial=-1)) + 1


def _rounded(sample: Sample, step: float) -> Sample:
    """The sample with a rounded stored overlap: trailing zero bits compress to nothing."""
    S = sample.stored_overlap
    if S is None:
        return sample
    unit = 2.0 ** np.floor(np.log2(step))
    return replace(sample, stored_overlap=replace(S, values=np.round(S.values / unit) * unit))


class _Collected:
    """Collects the arrays of a dataset sample by sample; matrices are kept on disk meanwhile.

    Args:
        folder: for their temporary files.
        step: resolution of the Hamiltonian, eV.
        periodic: whether the samples are crystals.
    """

    def __init__(self, folder: Path, step: float, periodic: bool) -> None:
        self.basis: Basis | None = None
        self.periodic, self._step = periodic, step
        # Integers of eight bytes also bound an element, by the step.
        self._largest = min(_LARGEST, step * 2.0**62)
        self._rows: list[tuple[Atoms, float, int, int, float]] = []
        self._pairs: list[NDArray[np.int32]] = []
        self._hamiltonians = GrowingArray(folder, "<i8")
        self._overlaps = GrowingArray(folder, "<f8")

    def add(self, sample: Sample) -> None:
        """Add one sample.

        Raises:
            ValueError: for numbers that are not finite or too large, or another basis.
        """
        H, S = sample.H, sample.stored_overlap
        self._check(sample)
        self.basis = H.basis if self.basis is None else self.basis.merged(H.basis)
        if self.periodic:
            pairs, h, s = pack_blocks(H, S)
            self._pairs.append(pairs.table())
        else:
            h, s = pack_triangles(H, S)
        self._hamiltonians.append(np.rint(h / self._step))
        if s is not None:
            self._overlaps.append(s)
        level = np.nan if sample.fermi_level is None else sample.fermi_level
        self._rows.append((sample.atoms, sample.energy, sample.n_electrons, sample.group, level))

    def _check(self, sample: Sample) -> None:
        """Raise an error for a number that a file cannot hold: a cast would change it silently."""
        atoms, matrices = sample.atoms, {"H": sample.H, "the overlap": sample.stored_overlap}
        bounds = {
            "its positions": (atoms.positions, FARTHEST),
            "its cell": (atoms.cell.array, FARTHEST),
            **{name: (m.values, self._largest) for name, m in matrices.items() if m is not None},
        }
        for name, (values, limit) in bounds.items():
            largest = float(np.abs(values).max(initial=0.0))
            if not largest <= limit:
                raise ValueError(
                    f"Sample {len(self._rows)}, {atoms.get_chemical_formula()}, cannot be stored: "
                    f"the largest number of {name} is {largest:g}, and the limit is {limit:g}. "
                    "Compute this sample again, or leave it out."
                )
        if np.isinf([sample.energy, sample.fermi_level or 0.0]).any():
            raise ValueError(
                f"Sample {len(self._rows)}, {atoms.get_chemical_formula()}, has an infinite "
                "energy: compute this sample again, or leave it out."
            )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of the file except the splits.

        Raises:
            ValueError: for an overlap stored in some samples only.
        """
        if len(self._overlaps.sizes) not in (0, len(self._rows)):
            raise ValueError("Some samples store their overlap and some do not: store all or none.")
        atoms, energies, electrons, groups, fermi = zip(*self._rows, strict=True)
        arrays: dict[str, NDArray[Any]] = {
            "atoms/offset": _offsets([len(a) for a in atoms]),
            "atoms/numbers": np.concatenate([a.numbers for a in atoms]).astype("<i2"),
            "atoms/positions": np.concatenate([a.positions for a in atoms]).astype("<f8"),
            "charge": np.array([a.info.get("charge", 0) for a in atoms], dtype="<i4"),
            "spin": np.array([a.info.get("spin", 0) for a in atoms], dtype="<i4"),
            "energy": np.array(energies, dtype="<f8"),
            "n_electrons": np.array(electrons, dtype="<i4"),
            "group": np.array(groups, dtype="<i4"),
            "hamiltonian/offset": _offsets(self._hamiltonians.sizes),
            "hamiltonian/values": self._hamiltonians.array(),
        }
        if self._overlaps.sizes:
            arrays["overlap/offset"] = _offsets(self._overlaps.sizes)
            arrays["overlap/values"] = self._overlaps.array()
        if self.periodic:
            arrays["atoms/cell"] = np.stack([a.cell.array for a in atoms]).astype("<f8")
            arrays["atoms/pbc"] = np.stack([a.pbc for a in atoms])
            arrays["fermi_level"] = np.array(fermi, dtype="<f8")
            arrays["pairs/offset"] = _offsets([len(p) for p in self._pairs])
            arrays["pairs/values"] = np.concatenate(self._pairs)
        return arrays


def _collect(samples: Iterable[Sample], folder: Path, step: float) -> _Collected:
    """Collect all samples; the first decides whether they are crystals."""
    collected: _Collected | None = None
    for sample in samples:
        periodic = bool(sample.atoms.pbc.any())
        if collected is None:
            collected = _Collected(folder, step, periodic)
        if periodic != collected.periodic:
            raise ValueError("A dataset holds molecules or crystals, not both: write two.")
        collected.add(sample)
    if collected is None:
        raise ValueError("A dataset needs at least one sample.")
    return collected


def _checked_splits(splits: Mapping[str, ArrayLike], n: int) -> dict[str, NDArray[np.int64]]:
    arrays = {name: np.asarray(numbers, dtype="<i8").ravel() for name, numbers in splits.items()}
    every = np.concatenate([*arrays.values(), np.empty(0, dtype="<i8")])
    if len(np.unique(every)) != len(every) or (every < 0).any() or (every >= n).any():
        raise ValueError(f"Splits must be disjoint lists of sample numbers from 0 to {n - 1}.")
    return arrays


def _offsets(sizes: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes]).astype("<i8")
