"""Whole collections of another program's structures into one dataset, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from workbench.data_check import DataCheck, check
from workbench.dataset import Dataset, Sample
from workbench.dataset_writing import write
from workbench.formats import FormatError, deeph

__all__ = ["PUBLISHED_SHARES", "export_deeph", "import_deeph"]

PUBLISHED_SHARES: Mapping[str, float] = {"train": 0.6, "valid": 0.2, "test": 0.2}
"""How the public sets of DeepH-E3 are split."""


def import_deeph(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    shares: Mapping[str, float] = PUBLISHED_SHARES,
    seed: int = 0,
    basis_name: str = "deeph",
    progress: bool = True,
) -> Path:
    """Make one dataset of all folders of the DeepH format below a folder.

    Folders are read one at a time, so there may be more than memory holds. Each is proved as it
    comes in (`workbench.data_check`): hermitian, S positive, orbitals in the format's order.

    Args:
        root: the folder.
        out: the dataset; it appears complete or not at all.
        shares: split -> share of the structures; they are drawn at random.
        seed: of the drawing, from the sorted list of folders.
        basis_name: what to call the basis, of which the format says the shells only.
        progress: whether to show a bar.

    Returns:
        The path of the dataset.

    Raises:
        FormatError: for the first folder that is broken or fails its proof, by name.
        ValueError: for shares that do not add up to 1.
    """
    folders, worst = deeph.folders(root), dict[str, float]()
    splits = _drawn(len(folders), shares, np.random.default_rng(seed))
    names = [str(folder.relative_to(root)) for folder in folders]

    def samples() -> Iterator[Sample]:
        bar = tqdm(folders, desc="structures", disable=not progress)
        for number, folder in enumerate(bar):
            found = deeph.read(folder, basis_name)
            proof = check(found.atoms, found.H, found.S)
            if proof.complaint is not None:
                raise FormatError(f"{folder}: {proof.complaint}")
            _keep_worst(worst, proof)
            yield Sample(
                found.atoms,
                found.H,
                energy=float("nan"),
                n_electrons=0,
                group=number,
                stored_overlap=found.S,
                fermi_level=found.fermi_level,
            )

    provenance: dict[str, Any] = {"format": "DeepH", "folders": names, "split_seed": seed}
    # Filled while the samples pass; written after the last one.
    provenance["largest_residuals"] = worst
    write(out, samples(), splits, provenance)
    return Path(out)


def export_deeph(
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    progress: bool = True,
) -> Path:
    """Write samples as folders of the DeepH format, named by their number in the dataset.

    Args:
        dataset: molecules are put in a box.
        out: a folder, made if need be.
        split: only its samples.
        progress: whether to show a bar.

    Returns:
        The folder.
    """
    root = Path(out)
    numbers = range(len(dataset)) if split is None else dataset.split(split).tolist()
    digits = len(str(len(dataset) - 1))
    for number in tqdm(numbers, desc="structures", disable=not progress):
        sample = dataset[number]
        folder = root / f"{number:0{digits}d}"
        deeph.write(folder, sample.atoms, sample.H, sample.S, sample.fermi_level or 0.0)
    return root


def _drawn(
    n: int, shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Sample numbers of each split, ascending."""
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"Shares of the splits must add up to 1; {dict(shares)} do not.")
    ends = np.rint(np.cumsum(list(shares.values())) * n).astype(int)
    parts = np.split(rng.permutation(n), ends[:-1])
    return {name: np.sort(part) for name, part in zip(shares, parts, strict=True)}


def _keep_worst(worst: dict[str, float], proof: DataCheck) -> None:
    """The largest residual of each kind so far; of the overlap's eigenvalues the smallest."""
    for name, value in proof.to_json().items():
        if value is None:
            continue
        better = min if name in ("overlap_floor", "operations") else max
        worst[name] = better(worst.get(name, value), value)
