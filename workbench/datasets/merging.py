"""Merging datasets: one file with the samples of several, no geometry in two splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.dataset import Dataset, DatasetError, Sample
from workbench.datasets.repeats import Place, repeats
from workbench.datasets.writing import concatenated, write
from workbench.engines.level_of_theory import differing_setting, mismatch
from workbench.storage.output_check import check_writable

__all__ = ["merge_datasets"]

_RANKS = ("train", "valid")
"""Splits from which repeated geometries are dropped first, in this order."""

_Chosen = list[tuple[Dataset, NDArray[np.int64]]]


def merge_datasets(
    path: str | os.PathLike[str],
    sources: Sequence[str | os.PathLike[str]],
    *,
    drop_repeats: bool = False,
) -> str:
    """Write one dataset with the samples of several, each in the split that it had.

    A geometry that two sources have in splits of the same name is kept once. Rotated, shifted and
    renumbered copies count as the same geometry.

    Args:
        path: the file; it appears complete or not at all.
        sources: two or more datasets, as of `Dataset`: all of molecules or all of crystals, of one
            level of theory and one basis.
        drop_repeats: where two sources have one geometry in different splits, leave out the copy in
            the training set (otherwise in the validation set), and all other samples of its group,
            which are correlated with it.

    Returns:
        The hash of the content.

    Raises:
        DatasetError: for fewer than two sources, one that is repeated, sources that do not belong
            together, or one geometry in different splits.
        TargetError: if the file is the one of a source.

    >>> import tempfile
    >>> from workbench.structures.sampling import Displaced
    >>> job = {"sampling": Displaced(), "basis": "sto-3g", "xc": "hf", "progress": False}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for seed in (0, 1):
    ...         path = wb.label("H2", f"{folder}/{seed}.h5", {"train": 2}, seed=seed, **job)
    ...     sources = [f"{folder}/0.h5", f"{folder}/1.h5"]
    ...     sha256 = wb.merge_datasets(f"{folder}/both.h5", sources)
    ...     with wb.Dataset(f"{folder}/both.h5") as both:
    ...         len(both.split("train")), [of["name"] for of in both.provenance["merged_from"]]
    (4, ['0.h5', '1.h5'])
    """
    with ExitStack() as files:
        datasets = [files.enter_context(Dataset(source)) for source in sources]
        check_writable(Path(path), sources=[dataset.path for dataset in datasets])
        _check(datasets)
        left_out = _left_out(datasets, drop_repeats)
        chosen = [
            (dataset, np.array([i for i in range(len(dataset)) if Place(k, i) not in left_out]))
            for k, dataset in enumerate(datasets)
        ]
        samples = _with_overlaps(concatenated(chosen), datasets)
        step = min(dataset.step for dataset in datasets)
        return write(path, samples, _splits(chosen), _provenance(chosen), step=step)


def _check(datasets: Sequence[Dataset]) -> None:
    """Refuse sources that do not belong into one dataset."""
    if len(datasets) < 2:
        raise DatasetError("Merging needs two or more datasets: name them all.")
    first = datasets[0]
    for number, other in enumerate(datasets[1:], 1):
        both = f"{first.path} and {other.path}"
        if other.hash in (dataset.hash for dataset in datasets[:number]):
            raise DatasetError(f"{other.path} has the content of another source: name it once.")
        if other.periodic != first.periodic:
            raise DatasetError(f"{both} hold molecules and crystals: a dataset holds one of them.")
        if different := mismatch(first.method, other.method):
            raise DatasetError(f"{both} are of two levels of theory, {different}: do not mix them.")
        if different := differing_setting(first.method, other.method):
            raise DatasetError(f"{both} differ in {different}: label them with the same settings.")
        try:
            first.basis.merged(other.basis)
        except ValueError as error:
            raise DatasetError(f"{both} cannot be merged: {error}") from error


def _left_out(datasets: Sequence[Dataset], drop_repeats: bool) -> set[Place]:
    """The repeated samples that are left out, with their groups where splits differ."""
    split_of = [_split_of(dataset) for dataset in datasets]
    left_out: set[Place] = set()
    for first, second in repeats(datasets):
        names = [split_of[p.source].get(p.sample) for p in (first, second)]
        if names[0] == names[1] or names[1] is None:
            left_out.add(second)
            continue
        if names[0] is None:
            left_out.add(first)
            continue
        if not drop_repeats:
            raise DatasetError(
                f"Sample {first.sample} of {datasets[first.source].path} ({names[0]}) and sample "
                f"{second.sample} of {datasets[second.source].path} ({names[1]}) have the same "
                "geometry: leave out such training samples with --drop-repeats (drop_repeats=True)."
            )
        dropped = first if _rank(names[0]) < _rank(names[1]) else second
        groups = datasets[dropped.source].groups
        group = np.flatnonzero(groups == groups[dropped.sample])
        left_out |= {Place(dropped.source, int(i)) for i in group}
    return left_out


def _rank(split: str | None) -> int:
    return _RANKS.index(split) if split in _RANKS else len(_RANKS)


def _split_of(dataset: Dataset) -> dict[int, str]:
    """Sample -> name of its split."""
    return {i: name for name in dataset.splits for i in dataset.split(name).tolist()}


def _with_overlaps(samples: Iterator[Sample], datasets: Sequence[Dataset]) -> Iterator[Sample]:
    """The samples; all with their overlap if any dataset stores it."""
    if not any(dataset.stores_overlap for dataset in datasets):
        yield from samples
        return
    for sample in samples:
        yield replace(sample, stored_overlap=sample.S)


def _splits(chosen: _Chosen) -> dict[str, list[int]]:
    """The numbers that the samples of each split have in the merged dataset."""
    splits: dict[str, list[int]] = {}
    start = 0
    for dataset, kept in chosen:
        new_number = {i: start + k for k, i in enumerate(kept.tolist())}
        for name in dataset.splits:
            numbers = dataset.split(name).tolist()
            splits.setdefault(name, []).extend(new_number[i] for i in numbers if i in new_number)
        start += len(kept)
    return splits


def _provenance(chosen: _Chosen) -> dict[str, Any]:
    """From which files the samples are, and how each was made."""
    origins = [dataset.provenance for dataset, _ in chosen]
    reversal = [of["time_reversal"] for of in origins if "time_reversal" in of]
    return {
        "recipe": {"method": chosen[0][0].method},
        **({"time_reversal": all(reversal)} if reversal else {}),
        "merged_from": [
            {
                "name": dataset.path.name,
                "sha256": dataset.hash,
                "samples": len(kept),
                "repeats_left_out": len(dataset) - len(kept),
                "provenance": dataset.provenance,
            }
            for dataset, kept in chosen
        ],
    }
