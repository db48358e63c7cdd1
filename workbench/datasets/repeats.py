"""Geometries that several datasets have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import KDTree

from workbench.datasets.dataset import Dataset
from workbench.datasets.splits import SAME, fingerprint

__all__ = ["Place", "repeats"]

_POWERS = (1, 2, 4, 8)
"""Of the power means of distances that find candidates."""


@dataclass(frozen=True, order=True)
class Place:
    """A sample of one of several datasets.

    Attributes:
        source: number of the dataset.
        sample: number of the sample in it.
    """

    source: int
    sample: int


def repeats(datasets: Sequence[Dataset]) -> list[tuple[Place, Place]]:
    """The pairs of samples of two different datasets that have the same geometry.

    Rotated, shifted, reflected and renumbered copies count as the same; samples of different charge
    or spin do not. Memory grows by some numbers per sample.

    Args:
        datasets: all of molecules or all of crystals.
    """
    alike: dict[tuple[Any, ...], list[tuple[Place, NDArray[np.float64]]]] = defaultdict(list)
    for source, dataset in enumerate(datasets):
        for sample in range(len(dataset)):
            atoms = dataset.atoms(sample)
            alike[_kind(atoms)].append((Place(source, sample), _means(fingerprint(atoms))))
    found = [pair for rows in alike.values() for pair in _same(rows, datasets)]
    return sorted(found)


def _kind(atoms: Atoms) -> tuple[Any, ...]:
    """What two samples of one geometry agree in exactly."""
    of = sorted(atoms.numbers.tolist())
    return *of, atoms.info["charge"], atoms.info["spin"], *atoms.pbc.tolist()


def _means(lengths: NDArray[np.floating]) -> NDArray[np.float64]:
    """Power means (4,): they differ by no more than the most different of two sorted lengths."""
    if not len(lengths):
        return np.zeros(len(_POWERS))
    return np.array([float(np.mean(lengths**p)) ** (1 / p) for p in _POWERS])


def _same(
    rows: list[tuple[Place, NDArray[np.float64]]], datasets: Sequence[Dataset]
) -> Iterator[tuple[Place, Place]]:
    """The pairs among samples of one kind whose fingerprints agree."""
    if len({place.source for place, _ in rows}) < 2:
        return
    tree = KDTree(np.stack([means for _, means in rows]))
    for number, (place, means) in enumerate(rows):
        near = [k for k in tree.query_ball_point(means, SAME, p=np.inf) if k > number]
        others = [rows[k][0] for k in near if rows[k][0].source != place.source]
        if not others:
            continue
        own = fingerprint(datasets[place.source].atoms(place.sample))
        for other in others:
            its = fingerprint(datasets[other.source].atoms(other.sample))
            if np.allclose(own, its, rtol=0, atol=SAME):
                yield place, other
