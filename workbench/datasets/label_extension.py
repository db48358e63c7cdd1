"""Extending a labelled dataset: the same job with more samples keeps the labels that it has.

The samples of the dataset stay as they are, in their splits. The added ones are drawn in batches of
their own, with their own random numbers, so that no two splits share a batch. The recipe of the
extended dataset records under `EXTENDED` how many samples per structure it had before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.datasets.dataset import Dataset
from workbench.datasets.label_plan import Batch, InitialStructures, plan
from workbench.structures.sampling import AsGiven, RelaxedAndThermal, Sampling

__all__ = ["EXTENDED", "Extension", "check_extensible", "extension_of", "is_same_job", "is_smaller"]

EXTENDED = "extended_from"
"""Key in the recipe: samples per structure and split before each extension, in order."""

_SIZES = "samples_per_structure"


@dataclass(frozen=True, eq=False)
class Extension:
    """A dataset that is extended, and where its samples are in the extended one.

    Attributes:
        path: of the dataset.
        sha256: of its content.
        stages: samples per structure and split before each extension, this one included.
        known: sample of the extended job -> sample of the dataset; None where it was left out.
    """

    path: Path
    sha256: str
    stages: list[dict[str, int]]
    known: dict[int, int | None]


def is_same_job(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two recipes describe one dataset, made at once or extended."""
    return _without(recipe, EXTENDED) == _without(other, EXTENDED)


def is_smaller(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the first recipe is that of the second with fewer samples in some split."""
    if _without(recipe, EXTENDED, _SIZES) != _without(other, EXTENDED, _SIZES):
        return False
    before, after = recipe[_SIZES], other[_SIZES]
    return before != after and all(count <= after.get(name, 0) for name, count in before.items())


def check_extensible(sampling: Sampling) -> None:
    """Refuse to extend a dataset of whose sampling each batch repeats the given geometry.

    Raises:
        ValueError: for such a sampling.
    """
    if isinstance(sampling, AsGiven | RelaxedAndThermal):
        raise ValueError(
            f"A dataset of {type(sampling).__name__} cannot be extended, since the added samples "
            "would repeat the given geometries: label other structures, and merge both datasets."
        )


def extension_of(
    existing: Dataset, starts: InitialStructures, splits: Mapping[str, int], most: int
) -> Extension:
    """How a dataset becomes part of the same job with more samples.

    Args:
        existing: the dataset, whose recipe `is_smaller`.
        starts: the initial structures of the job.
        splits: samples per structure in each split, of the extended job.
        most: largest size of a batch.
    """
    recipe = existing.provenance["recipe"]
    # The header sorts the names; the numbers of the samples tell the order of the splits.
    names = sorted(recipe[_SIZES], key=lambda name: (existing.split(name)[:1].tolist(), name))
    earlier = [dict(stage) for stage in recipe.get(EXTENDED, [])]
    stages = [*earlier, {name: recipe[_SIZES][name] for name in names}]
    before = plan(starts, stages[-1], most, earlier)
    after = {_place(batch): batch for batch in plan(starts, splits, most, stages)}
    left_out = set(existing.provenance["left_out"])
    kept = [n for n in range(sum(batch.count for batch in before)) if n not in left_out]
    _check_splits(existing, before, kept)
    positions = [
        after[_place(batch)].start + place for batch in before for place in range(batch.count)
    ]
    known: dict[int, int | None] = dict.fromkeys(positions)
    known |= {positions[number]: k for k, number in enumerate(kept)}
    return Extension(existing.path, existing.hash, stages, known)


def _check_splits(existing: Dataset, before: Sequence[Batch], kept: Sequence[int]) -> None:
    """Refuse a dataset whose splits are not those that its recipe leads to."""
    split_of = [batch.split for batch in before for _ in range(batch.count)]
    planned = [split_of[number] for number in kept]
    for name in existing.splits:
        if [k for k, split in enumerate(planned) if split == name] != existing.split(name).tolist():
            raise ValueError(
                f"The split {name!r} of {existing.path} is not that of its recipe: it cannot be "
                "extended, so label more samples into a new file and merge both."
            )


def _place(batch: Batch) -> tuple[Any, ...]:
    """What identifies a batch in both plans: the number of a split may differ."""
    return batch.split, batch.structure, *batch.key[2:]


def _without(recipe: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in keys}
