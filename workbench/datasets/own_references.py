"""Datasets from calculations of one's own: many `Reference` objects become one file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from workbench.datasets.dataset import DatasetError, Sample
from workbench.datasets.validation import check, note
from workbench.datasets.writing import write
from workbench.engines import Reference
from workbench.engines.level_of_theory import mismatch

__all__ = ["write_dataset"]


def write_dataset(
    path: str | os.PathLike[str],
    references: Iterable[Reference],
    splits: Mapping[str, ArrayLike],
    *,
    groups: Sequence[int] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> str:
    """Write a dataset of references, e.g. of `wb.from_pyscf` or `wb.from_arrays`.

    Each reference is validated as an imported one: hermitian, and with the right order and signs of
    orbitals. References are read one at a time, so a generator may yield more than memory holds.

    Args:
        path: the file; it appears complete or not at all.
        references: all molecules or all crystals, of one level of theory and one basis, each with
            its `atoms`.
        splits: name -> sample numbers, e.g. ``{"train": range(80), "valid": range(80, 100)}``; no
            sample in two splits.
        groups: a number for each reference; correlated geometries, e.g. of one trajectory, share
            one and belong into one split. By default each reference is a group of its own.
        provenance: further facts about the calculations, JSON-able.

    Returns:
        The hash of the content.

    Raises:
        DatasetError: for a reference without `atoms`, one that fails its validation, or one of
            another level of theory, by its number; for a group in two splits, or too few groups.
        ValueError: as `workbench.datasets.writing.write`.

    >>> import tempfile
    >>> def shaken(seed):
    ...     atoms = wb.load("water")
    ...     atoms.rattle(0.05, seed=seed)
    ...     return wb.reference(atoms, basis="sto-3g", xc="hf")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/water.h5"
    ...     splits = {"train": [0, 1], "valid": [2], "test": [3]}
    ...     sha256 = wb.write_dataset(path, (shaken(seed) for seed in range(4)), splits)
    ...     with wb.Dataset(path) as dataset:
    ...         len(dataset), dataset.method["method"], dataset.hash == sha256
    (4, 'RHF', True)
    """
    _check_groups(splits, groups or ())
    facts: dict[str, Any] = {"recipe": {"method": {}}, **(provenance or {})}
    # `facts` is filled while `write` reads the samples; it writes the provenance after that.
    return write(path, _samples(references, groups, facts), splits, facts)


def _check_groups(splits: Mapping[str, ArrayLike], groups: Sequence[int]) -> None:
    """Refuse correlated samples in two splits, before any reference is computed."""
    split_of: dict[int, str] = {}
    for name, numbers in splits.items():
        for number in np.asarray(numbers, dtype=np.int64).ravel().tolist():
            if not 0 <= number < len(groups):
                continue
            other = split_of.setdefault(int(groups[number]), name)
            if other != name:
                raise DatasetError(
                    f"Group {groups[number]} has samples in {other} and in {name}: correlated "
                    "geometries belong into one split."
                )


def _samples(
    references: Iterable[Reference], groups: Sequence[int] | None, facts: dict[str, Any]
) -> Iterator[Sample]:
    """Validated samples; the method of the first and all residuals go into the facts."""
    method: dict[str, Any] | None = None
    computable = False
    for number, reference in enumerate(references):
        if groups is not None and number >= len(groups):
            raise DatasetError(
                f"There are more references than the {len(groups)} groups: give each reference one."
            )
        if reference.atoms is None:
            raise DatasetError(f"Reference {number} has no structure: set its `atoms`.")
        found = check(reference.atoms, reference.H, reference.S)
        if found.complaint is not None:
            raise DatasetError(f"Reference {number}: {found.complaint}")
        note(facts, found)
        if method is None:
            method = facts["recipe"]["method"] = dict(reference.method)
            from workbench.engines.pyscf_molecules import has_functions  # a second to import

            computable = has_functions(reference.atoms, reference.S)
        elif other := mismatch(method, reference.method):
            raise DatasetError(
                f"Reference {number} is of another level of theory than the first, {other}: write "
                "two datasets."
            )
        yield Sample(
            reference.atoms,
            reference.H,
            energy=reference.energy,
            n_electrons=reference.n_electrons,
            group=number if groups is None else int(groups[number]),
            stored_overlap=None if computable else reference.S,
            fermi_level=reference.fermi_level,
        )
