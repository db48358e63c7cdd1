"""The splits of QH9's authors, drawn again as their scripts draw them.

| name | structures in train, valid, test |
|---|---|
| stable-id | 104,664, 13,083 and 13,084 of `QH9Stable.db`, at random |
| stable-ood | 104,001 with at most 20 atoms, 17,495 with 21 or 22, 9,335 with more |
| dynamic-mol | 8 of 10 molecules, 1 and 1 |
| dynamic-geo | of each molecule's 100 geometries 80, 10 and 10: all three share the molecules |

The draws are those of the methods `process` in OpenDFT/QHBench/QH9/datasets.py of
github.com/divelab/AIRS; the numbers of the first two are those of its README.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError, qh9_lmdb
from workbench.datasets.formats.databases import SETS, opened

__all__ = ["SPLITS", "by_geometry", "by_molecule", "by_size", "stable_id"]

Splits = dict[str, NDArray[np.int64]]

_STABLE = (130_831,)
_DYNAMIC = (99_900, 299_800)
"""Rows of the complete files."""

_GEOMETRIES = 100
"""Of each molecule of a dynamic set, one after the other."""

_SEED = 43
_LARGEST = {"train": 20, "valid": 22}
"""Most atoms of a molecule in these splits of stable-ood."""


def stable_id(count: int) -> Splits:
    """The random split of ``count`` rows."""
    order = np.random.RandomState(_SEED).permutation(count)
    return _parts(order, int(0.8 * count), int(0.1 * count))


def by_size(atoms: NDArray[np.integer]) -> Splits:
    """The split by the number of atoms (n,) of each row."""
    train, valid = (atoms <= most for most in _LARGEST.values())
    parts = {"train": train, "valid": valid & ~train, "test": ~valid}
    return {name: np.flatnonzero(chosen) for name, chosen in parts.items()}


def by_molecule(count: int) -> Splits:
    """The split of ``count`` rows of a dynamic set by molecule."""
    molecules = list(range(count // _GEOMETRIES))
    random.Random(_SEED).shuffle(molecules)
    drawn = _parts(np.array(molecules), int(0.8 * len(molecules)), int(0.1 * len(molecules)))
    of_row = np.arange(count) // _GEOMETRIES
    return {name: np.flatnonzero(np.isin(of_row, some)) for name, some in drawn.items()}


def by_geometry(count: int) -> Splits:
    """The split of ``count`` rows of a dynamic set within each molecule."""
    parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "valid": [], "test": []}
    for start in range(0, count, _GEOMETRIES):
        last = start + _GEOMETRIES - 1
        order = np.random.RandomState(last).permutation(_GEOMETRIES)
        for name, some in _parts(start + order, 80, 10).items():
            parts[name].append(some)
    return {name: np.concatenate(some) for name, some in parts.items()}


def _parts(order: NDArray[np.int64], train: int, valid: int) -> Splits:
    """The first, the next, and all other numbers, each part ascending."""
    parts = np.split(order, [train, train + valid])
    return dict(zip(("train", "valid", "test"), map(np.sort, parts), strict=True))


def _complete(sources: Sequence[Path], counts: tuple[int, ...]) -> int:
    """The number of rows, if it is that of one complete file."""
    if len(sources) not in counts or len({source.parent for source in sources}) != 1:
        raise FormatError(
            f"This split is that of one complete file with {' or '.join(map(str, counts))} rows, "
            f"and there are {len(sources)}: leave out --published."
        )
    return len(sources)


def _atoms(sources: Sequence[Path]) -> NDArray[np.int64]:
    """(n,) number of atoms of each row of one file."""
    file = sources[0].parent
    if file.name == qh9_lmdb.FILE:
        return np.array([qh9_lmdb.record(file, source.name)["num_nodes"] for source in sources])
    with opened(file) as connection:
        found = connection.execute(f"SELECT rowid, N FROM {SETS['qh9'].table}")
        atoms = dict(found.fetchall())
    return np.array([atoms[int(source.name)] for source in sources])


def _by_size(sources: Sequence[Path]) -> Splits:
    _complete(sources, _STABLE)
    return by_size(_atoms(sources))


SPLITS = {
    "stable-id": lambda sources: stable_id(_complete(sources, _STABLE)),
    "stable-ood": _by_size,
    "dynamic-mol": lambda sources: by_molecule(_complete(sources, _DYNAMIC)),
    "dynamic-geo": lambda sources: by_geometry(_complete(sources, _DYNAMIC)),
}
"""Name -> the function that makes the split of the sources of one file."""
