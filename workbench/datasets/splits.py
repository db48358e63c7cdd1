"""Splits of structures: by molecule and by geometry, with no structure in two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.structures.loading import StructureError

SAME = 1e-3  # A; structures whose distances agree to this are one


def _names(atoms: Atoms) -> dict[str, str]:
    """What a structure is called; `key` is equal for tautomers and stereoisomers."""
    return {key: str(atoms.info[key]) for key in ("smiles", "key") if key in atoms.info}


def _refuse_repeats(atoms: Sequence[Atoms], of_split: Mapping[str, range]) -> None:
    """Turned, shifted, mirrored and renumbered copies count, and so does a key in two splits."""
    split_of = {i: split for split, numbers in of_split.items() for i in numbers}
    alike: dict[str, list[int]] = defaultdict(list)
    split_of_key: dict[str, str] = {}
    fingerprints = [_fingerprint(a) for a in atoms]
    for i, a in enumerate(atoms):
        formula, split = a.get_chemical_formula(), split_of[i]
        name = _names(a).get("smiles", formula)
        for j in alike[formula]:
            if np.allclose(fingerprints[i], fingerprints[j], rtol=0, atol=SAME):
                where = split if split == split_of[j] else f"{split_of[j]} and {split}"
                raise StructureError(f"{name} is there twice ({where}): remove one.")
        alike[formula].append(i)
        other = split_of_key.setdefault(str(a.info.get("key", f"structure {i}")), split)
        if other != split:
            raise StructureError(
                f"{name} is in {split}, but its key '{a.info['key']}' is in {other} as well: "
                "remove one, or put both in one split."
            )


def _fingerprint(atoms: Atoms) -> NDArray[np.float64]:
    """Distances in A, by the elements of the pair and then by length."""
    first, second = np.triu_indices(len(atoms), 1)
    pair = np.sort(atoms.numbers[np.stack([first, second])], axis=0)
    distances = atoms.get_all_distances()[first, second]
    return distances[np.lexsort((distances, pair[1], pair[0]))]


def _drawn(
    n: int, shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Sample numbers of each split, ascending."""
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"Shares of the splits must add up to 1; {dict(shares)} do not.")
    ends = np.rint(np.cumsum(list(shares.values())) * n).astype(int)
    parts = np.split(rng.permutation(n), ends[:-1])
    return {name: np.sort(part) for name, part in zip(shares, parts, strict=True)}
