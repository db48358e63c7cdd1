"""Splits of structures, by geometry and by molecule, with no structure in two splits.

By geometry: all structures are of the same system, and `draw_splits` divides them at random. By
molecule: the user names the structures of each split, and `refuse_repeats` makes sure that no
molecule is in two of them, however it is rotated or renumbered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import KDTree

from workbench.structures.loading import StructureError

__all__ = ["SAME", "draw_splits", "fingerprint", "identifiers", "refuse_repeats", "split_in_order"]

SAME = 1e-3
"""Structures whose sorted distances agree to this are the same one, A."""


def draw_splits(
    n: int, shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Divide n samples at random.

    Args:
        n: number of samples.
        shares: name of the split -> its share of the samples; the shares add up to 1.
        rng: draws the permutation.

    Returns:
        Name of the split -> its sample numbers, ascending.

    Raises:
        ValueError: for shares that are negative or no numbers, or that do not add up to 1.

    >>> draw_splits(5, {"train": 0.6, "valid": 0.4}, np.random.default_rng(0))
    {'train': array([2, 3, 4]), 'valid': array([0, 1])}
    """
    valid = all(0 <= share <= 1 for share in shares.values())  # false for NaN
    if not (valid and abs(sum(shares.values()) - 1) <= 1e-9):
        raise ValueError(
            "Shares of the splits must be numbers from 0 to 1 that add up to 1; "
            f"{dict(shares)} are not."
        )
    ends = np.rint(np.cumsum(list(shares.values())) * n).astype(int)
    numbers = np.split(rng.permutation(n), ends[:-1])
    return {name: np.sort(some) for name, some in zip(shares, numbers, strict=True)}


def split_in_order(
    structures: Sequence[Atoms], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, list[Atoms]]:
    """Divide structures that come in an order, as the frames of a trajectory.

    Of one molecule or crystal, each split is a run of successive structures, since neighbours in a
    trajectory are alike. Of several, all structures of one formula are in one split, which is drawn
    at random; the shares are then approximate.

    Args:
        structures: in their order.
        shares: name of the split -> its share of the structures; the shares add up to 1.
        rng: draws the split of each formula.

    Returns:
        Name of the split -> its structures.

    >>> water, heavy = wb.load("water"), wb.load("ethanol")
    >>> shares, rng = {"train": 0.5, "test": 0.5}, np.random.default_rng(0)
    >>> {k: len(v) for k, v in split_in_order([water, water, water, heavy], shares, rng).items()}
    {'train': 3, 'test': 1}
    """
    of_formula: dict[str, list[Atoms]] = defaultdict(list)
    for atoms in structures:
        of_formula[atoms.get_chemical_formula()].append(atoms)
    ends = np.cumsum(list(shares.values())) * len(structures)
    if len(of_formula) == 1:
        parts = np.split(np.arange(len(structures)), np.rint(ends[:-1]).astype(int))
        of_split = zip(shares, parts, strict=True)
        return {name: [structures[k] for k in part] for name, part in of_split}
    result: dict[str, list[Atoms]] = {name: [] for name in shares}
    formulas, done = list(of_formula), 0
    for number in rng.permutation(len(formulas)):
        some = of_formula[formulas[number]]
        place = int(np.searchsorted(ends, done + len(some) / 2))
        result[list(shares)[min(place, len(shares) - 1)]] += some
        done += len(some)
    return result


def refuse_repeats(atoms: Sequence[Atoms], of_split: Mapping[str, range]) -> None:
    """Refuse a structure that comes twice, and a molecule that is in two splits.

    Rotated, shifted, reflected and renumbered copies count as the same structure. Structures with
    the same `info["key"]` (tautomers, stereoisomers) must be in the same split.

    Args:
        atoms: all structures.
        of_split: name of the split -> indices of its structures.

    Raises:
        StructureError: names the structure and both splits.
    """
    split_of = {i: split for split, numbers in of_split.items() for i in numbers}
    for i, j in _same(atoms):
        where = split_of[i] if split_of[i] == split_of[j] else f"{split_of[i]} and {split_of[j]}"
        name = identifiers(atoms[j]).get("smiles", atoms[j].get_chemical_formula())
        places = "" if len(atoms) == 2 else f", structures {i} and {j} counted from 0"
        raise StructureError(f"{name} is there twice ({where}{places}): remove one.")
    split_of_key: dict[str, str] = {}
    for i, a in enumerate(atoms):
        split = split_of[i]
        name = identifiers(a).get("smiles", a.get_chemical_formula())
        other = split_of_key.setdefault(str(a.info.get("key", f"structure {i}")), split)
        if other != split:
            raise StructureError(
                f"{name} is in {split}, but its key '{a.info['key']}' is in {other} as well: "
                "remove one, or put both in one split."
            )


def _same(atoms: Sequence[Atoms]) -> list[tuple[int, int]]:
    """The pairs of structures with one formula and one fingerprint, in their order."""
    of_formula: dict[str, list[int]] = defaultdict(list)
    for i, a in enumerate(atoms):
        of_formula[a.get_chemical_formula()].append(i)
    pairs: list[tuple[int, int]] = []
    for numbers in of_formula.values():
        prints = np.stack([fingerprint(atoms[i]) for i in numbers])
        if prints.shape[1]:
            close = KDTree(prints).query_pairs(SAME, p=np.inf)
        else:  # single atoms
            close = {(0, 1)} if len(numbers) > 1 else set()
        pairs += [(numbers[a], numbers[b]) for a, b in close]
    return sorted(pairs)


def fingerprint(atoms: Atoms) -> NDArray[np.float64]:
    """All distances (N(N-1)/2,) in A, sorted by the elements of the pair and then by length.

    Of a crystal the distances between nearest images, after the lengths (A) and angles (degrees) of
    its cell. Rotations, translations, reflections and renumberings do not change the result.

    >>> water, R = wb.load("water"), wb.rotation((1, 2, 3), 40)
    >>> np.allclose(fingerprint(wb.rotate(water, R)), fingerprint(water))
    True
    """
    first, second = np.triu_indices(len(atoms), 1)
    pair = np.sort(atoms.numbers[np.stack([first, second])], axis=0)
    periodic = bool(atoms.pbc.any())
    distances = atoms.get_all_distances(mic=periodic)[first, second]
    lengths = distances[np.lexsort((distances, pair[1], pair[0]))]
    cell: Any = atoms.cell.cellpar() if periodic else ()
    return np.concatenate([cell, lengths], dtype=np.float64)


def identifiers(atoms: Atoms) -> dict[str, str]:
    """The `smiles` and `key` of a structure, if present; tautomers share a key."""
    return {key: str(atoms.info[key]) for key in ("smiles", "key") if key in atoms.info}
