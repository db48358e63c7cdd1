"""The plan of a label job: its initial structures, its batches, and its recipe.

There are two ways to split. Structures without splits are sampled in every split, and no two splits
share a batch (a trajectory): for models of one molecule. Structures given by split are sampled in
that split only: for models that predict molecules outside their training set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import ase
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.label_settings import LabelSettings
from workbench.datasets.splits import identifiers, refuse_repeats
from workbench.hamiltonians.conventions import CONVENTION_VERSION
from workbench.storage.value_checks import Range, check_value
from workbench.structures.loading import load, require_closed_shell
from workbench.structures.sampling import Sampling, orient

__all__ = ["Batch", "Source", "InitialStructures", "draw_batch", "collect", "plan", "recipe"]

Source = str | os.PathLike[str] | Atoms

_Count = Annotated[int, Range(0, 10**7)]


@dataclass(frozen=True)
class Batch:
    """Geometries drawn together, all in one split.

    Attributes:
        structure: index of the initial structure in the job.
        split: name of the split.
        start: number of the first sample in the dataset.
        count: number of samples.
        key: seeds the random generator, together with the seed of the job: place of the structure
            in the split, number of the split, number of the batch; of batches that extend a dataset
            also the number of the extension, from 1.
    """

    structure: int
    split: str
    start: int
    count: int
    key: tuple[int, ...]


@dataclass(frozen=True)
class InitialStructures:
    """The structures from which sampling starts.

    Attributes:
        atoms: every structure of the job.
        of_split: name of the split -> indices of the structures sampled in it.
        by_split: whether each structure belongs to one split only.
    """

    atoms: list[Atoms]
    of_split: dict[str, range]
    by_split: bool


def collect(
    structures: Source | Sequence[Source] | Mapping[str, Sequence[Source]],
    splits: Mapping[str, int],
) -> InitialStructures:
    """The structures of a job, loaded and checked; arguments as of `workbench.label`.

    Raises:
        StructureError: a structure that cannot be loaded or is not a closed shell; a repeated
            structure where structures are given by split.
        ValueError: if the splits of the structures are not those of the samples, a number of
            samples is not from 0 to 10 million, or all are 0.
    """
    for split, count in splits.items():
        check_value(f"The number of {split} samples", _Count, count)
    if not any(splits.values()):
        raise ValueError("A job needs samples: give a number for at least one split.")
    if not isinstance(structures, Mapping):
        listed = [structures] if isinstance(structures, str | os.PathLike | Atoms) else structures
        atoms = [require_closed_shell(load(source)) for source in listed]
        return InitialStructures(
            atoms, {split: range(len(atoms)) for split in splits}, by_split=False
        )
    if set(structures) != set(splits):
        raise ValueError(
            f"The structures come in the splits {', '.join(structures)}, the numbers of samples in "
            f"{', '.join(splits)}: name the same ones."
        )
    atoms, of_split = [], {}
    for split in splits:
        first = len(atoms)
        atoms += [require_closed_shell(load(s)) for s in structures[split]]
        of_split[split] = range(first, len(atoms))
    refuse_repeats(atoms, of_split)
    return InitialStructures(atoms, of_split, by_split=True)


def plan(
    starts: InitialStructures,
    splits: Mapping[str, int],
    most: int,
    earlier: Sequence[Mapping[str, int]] = (),
) -> list[Batch]:
    """The batches of a job, in the order of its samples: split by split, structure by structure.

    Args:
        starts: the initial structures.
        splits: samples per structure in each split.
        most: largest size of a batch.
        earlier: of an extended dataset, its ``splits`` before each extension.
    """
    batches, start = [], 0
    for s, (split, total) in enumerate(splits.items()):
        sizes = _batch_sizes([*(of.get(split, 0) for of in earlier), total], most)
        # The key counts within the split, so that more structures do not change other splits.
        for place, structure in enumerate(starts.of_split[split]):
            for number, (stage, count) in enumerate(sizes):
                key = (place, s, number, stage) if stage else (place, s, number)
                batches.append(Batch(structure, split, start, count, key))
                start += count
    return batches


def _batch_sizes(totals: Sequence[int], most: int) -> list[tuple[int, int]]:
    """The extension that drew each batch of a structure, 0 for none, and the size of the batch."""
    sizes = []
    for stage, (before, total) in enumerate(zip([0, *totals], totals, strict=False)):
        sizes += [(stage, min(most, total - first)) for first in range(before, total, most)]
    return sizes


def draw_batch(
    batch: Batch, atoms: Atoms, sampling: Sampling, seed: int, oriented: bool
) -> dict[str, NDArray[np.float64]]:
    """``positions`` (count, N, 3) of a batch, of a crystal also ``cells`` (count, 3, 3), in A.

    The result depends only on the arguments.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=batch.key))
    frames = sampling.draw(atoms, batch.count, rng)
    if oriented:
        frames = [orient(frame, rng) for frame in frames]
    drawn = {"positions": np.stack([frame.positions for frame in frames])}
    if atoms.pbc.any():
        drawn["cells"] = np.stack([frame.cell.array for frame in frames])
    return drawn


def recipe(
    starts: InitialStructures,
    splits: Mapping[str, int],
    sampling: Sampling,
    seed: int,
    oriented: bool,
    settings: LabelSettings,
) -> dict[str, Any]:
    """Everything that decides the content of the dataset, JSON-able: the identity of the job."""
    described: list[dict[str, Any]] = [
        {
            "numbers": a.numbers.tolist(),
            "positions": a.positions.tolist(),
            **{key: int(a.info.get(key, 0)) for key in ("charge", "spin")},
            **({"cell": a.cell.array.tolist(), "pbc": a.pbc.tolist()} if settings.periodic else {}),
        }
        for a in starts.atoms
    ]
    if starts.by_split:  # an extra key, so that the recipes of other jobs stay as they were
        for split, numbers in starts.of_split.items():
            for i in numbers:
                described[i] |= {"split": split} | identifiers(starts.atoms[i])
    return {
        "structures": described,
        "sampling": {"kind": type(sampling).__name__, **asdict(sampling)},  # type: ignore[call-overload]
        "samples_per_structure": dict(splits),
        "seed": seed,
        "oriented": "random rotation about the centre of mass" if oriented else "as sampled",
        "method": settings.recorded(),
        "convention_version": CONVENTION_VERSION,
        "versions": {"ase": ase.__version__, "numpy": np.__version__, "tblite": _tblite()},
    }


def _tblite() -> str | None:
    try:
        return version("tblite")
    except PackageNotFoundError:
        return None
