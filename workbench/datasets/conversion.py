"""Many structures of another program into one dataset, and a dataset into files of that program."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.formats import (
    Format,
    FormatError,
    abacus,
    deeph,
    deeph_present,
    nabladft,
    openmx,
    qh9,
    schnorb,
    sisl,
)
from workbench.datasets.formats.databases import SETS, published_set
from workbench.datasets.import_sources import file_of, molecule_numbers, state
from workbench.datasets.published_sets import PUBLISHED_SHARES
from workbench.datasets.splits import draw_splits
from workbench.datasets.validation import DataCheck, check, note
from workbench.datasets.writing import write
from workbench.storage.atomic_write import atomic_write, remove_leftovers
from workbench.storage.lock import locked_file, locked_folder
from workbench.storage.output_check import check_writable
from workbench.storage.value_checks import Range, Seed, check_value
from workbench.storage.writing_errors import TargetError

__all__ = ["FORMATS", "Collection", "export_files", "import_files"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Limit = Annotated[int, Range(1, 2**31 - 1)]

FORMATS = {
    "deeph": deeph.FORMAT,
    "deeph-present": deeph.PRESENT,
    "sisl": sisl.FORMAT,
    "qh9": qh9.FORMAT,
    "nabladft": nabladft.FORMAT,
    "schnorb": schnorb.FORMAT,
    "abacus": abacus.FORMAT,
    "openmx": openmx.FORMAT,
}
"""All formats, by the name that the command line uses."""

_EXPORT = "export.json"  # says which dataset the folder holds


@dataclass(frozen=True, eq=False)
class Collection:
    """Files of another program that become one dataset, and the split of each.

    Attributes:
        sources: one per sample, in their order: a folder, or a file of a run.
        splits: name -> numbers of its samples.
        recipe: how the splits were drawn from which sources, JSON-able; part of the provenance.
        form: the format of the files.
        groups: (n,) number of each sample's molecule; by default each is a group of its own.
    """

    sources: list[Path]
    splits: Mapping[str, NDArray[np.int64]]
    recipe: Mapping[str, Any]
    form: Format = deeph.FORMAT
    groups: NDArray[np.intp] | None = None

    @classmethod
    def found(
        cls,
        sources: Paths,
        shares: Mapping[str, float] = PUBLISHED_SHARES,
        seed: Seed = 0,
        apart: Mapping[str, str | os.PathLike[str]] | None = None,
        form: Format = deeph.FORMAT,
        limit: Limit | None = None,
        published: str | None = None,
    ) -> Collection:
        """All structures of a format at or below some paths, split at random.

        Geometries that the format knows to be of one molecule stand in one split.

        Args:
            sources: a folder or file, or several.
            shares: split -> share of the structures.
            seed: of the random split of the sorted list.
            apart: name of a further split -> the folder that holds its structures and no others.
                It may lie below `sources`: its structures are in no other split.
            form: the format of the files.
            limit: draw only this many of the structures.
            published: a key of the format's `splits`, in place of a random split.

        Raises:
            FormatError: for paths without structures of this format, or not all of a published
                split.
            ValueError: for shares that do not add up to 1, or a seed or limit that is no whole
                number.
        """
        check_value("seed", Seed, seed)
        check_value("limit", Limit | None, limit)
        roots = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
        _refuse_other_databases(roots, form)
        separate = {name: form.find([folder]) for name, folder in (apart or {}).items()}
        taken = {path.resolve() for some in separate.values() for path, _ in some}
        drawn = form.find(roots)
        if taken:
            drawn = [(path, name) for path, name in drawn if path.resolve() not in taken]
        if separate and not drawn:
            raise FormatError(
                f"All structures below {', '.join(map(str, roots))} are set apart: none is left to "
                "draw."
            )
        if limit is not None and limit < len(drawn):
            chosen = np.random.default_rng(seed).permutation(len(drawn))[:limit]
            drawn = [drawn[k] for k in sorted(chosen.tolist())]
        found = [path for path, _ in drawn]
        groups = molecule_numbers(found, form)
        of_groups = draw_splits(groups.max(initial=-1) + 1, shares, np.random.default_rng(seed))
        splits = {name: np.flatnonzero(np.isin(groups, some)) for name, some in of_groups.items()}
        if published is not None:
            splits = form.splits[published](found)
        for name, some in separate.items():
            splits[name] = np.arange(len(drawn), len(drawn) + len(some))
            drawn += some
            groups = np.append(groups, groups.max(initial=-1) + 1 + np.arange(len(some)))
        recipe: dict[str, Any] = {
            "format": form.name,
            form.listed_as: [name for _, name in drawn],
            **({"split_seed": seed, "shares": dict(shares)} if published is None else {}),
            **({} if published is None else {"published_split": published}),
        }
        if form.method:
            recipe["recipe"] = {"method": dict(form.method)}
        return cls([path for path, _ in drawn], splits, recipe, form, groups)

    def convert(
        self,
        out: str | os.PathLike[str],
        basis_name: str | None = None,
        progress: bool = True,
        overwrite: bool = True,
        skip_bad: bool = False,
    ) -> Path:
        """Make the dataset, and validate each structure as it is read (`datasets.validation`).

        Structures are read one at a time, so there may be more than memory holds. Each waits in a
        file of its own in `<out>.partial` until the last is read: a killed import is resumed there.

        Args:
            out: the dataset; it appears complete or not at all.
            basis_name: name of the basis, by default the format's; the files give its shells only.
            progress: whether to show a bar.
            overwrite: whether an existing file may be replaced.
            skip_bad: leave out sources that are broken or fail their validation. The provenance
                lists them with the reasons, as "skipped".

        Returns:
            The path of the dataset.

        Raises:
            FormatError: for the first source that is broken or fails its validation, by name; with
                ``skip_bad`` only if no source is sound.
            ValueError: for orbitals of no known shells.
            LockError: if another process is writing ``out``.
            TargetError: if ``out`` is one of the sources' files, no plain file, or may not be
                replaced.
            WritingError: if ``out`` cannot be written, e.g. for a full disk.
        """
        path = Path(out)
        work = path.with_name(path.name + ".partial")
        check_writable(work, folder=True)
        with locked_file(path, sources=self._files_named(path.name), overwrite=overwrite):
            return self._convert(path, work, basis_name, progress, skip_bad)

    def _name(self, number: int) -> str:
        """Name of a source, as the recipe lists it."""
        return str(self.recipe[self.form.listed_as][number])

    def _files_named(self, name: str) -> Iterator[Path]:
        """The files of the sources that have this name."""
        files = dict.fromkeys(map(file_of, self.sources))
        return (file / name if file.is_dir() else file for file in files)

    def _convert(
        self, path: Path, work: Path, basis_name: str | None, progress: bool, skip_bad: bool
    ) -> Path:
        """As `convert`, with the lock of the dataset; ``work`` is the folder meanwhile."""
        work.mkdir(parents=True, exist_ok=True)
        remove_leftovers(work)
        parts = [work / f"{number:06d}.h5" for number in range(len(self.sources))]
        bar = tqdm(parts, desc="structures", disable=not progress)
        skipped: dict[int, str] = {}
        for number, (source, part) in enumerate(zip(self.sources, bar, strict=True)):
            try:
                _import_one(source, part, basis_name or self.form.basis_name, self.form)
            except ValueError as error:  # also of a basis that differs within one structure
                if not skip_bad or len(skipped) + 1 == len(parts):
                    raise
                skipped[number] = str(error)
        # Residuals are added while `write` reads the samples; it writes the provenance after that.
        provenance: dict[str, Any] = {**self.recipe, "largest_residuals": {}}
        if skip_bad:
            provenance["skipped"] = {self._name(k): reason for k, reason in skipped.items()}
        sound = [number for number in range(len(parts)) if number not in skipped]
        renumbered = {number: k for k, number in enumerate(sound)}
        splits = {
            name: [renumbered[k] for k in numbers.tolist() if k in renumbered]
            for name, numbers in self.splits.items()
        }
        groups = np.arange(len(parts)) if self.groups is None else self.groups
        groups = np.unique(groups[sound], return_inverse=True)[1]
        samples = _samples([parts[k] for k in sound], groups, provenance)
        write(path, samples, splits, provenance)
        shutil.rmtree(work)
        return path


def import_files(
    form: str,
    sources: Paths,
    out: str | os.PathLike[str],
    *,
    shares: Mapping[str, float] = PUBLISHED_SHARES,
    seed: Seed = 0,
    basis_name: str | None = None,
    progress: bool = True,
    overwrite: bool = True,
    skip_bad: bool = False,
    limit: Limit | None = None,
    published: str | None = None,
) -> Path:
    """Make one dataset of all structures of a format.

    Args:
        form: a key of `FORMATS`.
        sources, shares, seed, limit, published: as of `Collection.found`.
        out, basis_name, progress, overwrite, skip_bad: as of `Collection.convert`.

    Returns:
        The path of the dataset.

    Raises:
        ModuleNotFoundError: for a format whose package is not installed.
        FormatError, ValueError: as `Collection.found` and `Collection.convert`.
    """
    found = Collection.found(
        sources, shares, seed, form=FORMATS[form], limit=limit, published=published
    )
    return found.convert(out, basis_name, progress, overwrite, skip_bad)


def export_files(
    form: str,
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write samples in another program's format, a folder each, named by number in the dataset.

    Args:
        form: a key of `FORMATS`.
        dataset: molecules are put in a box.
        out: a folder, made if need be. Each structure in it is complete or absent. If it holds
            some of this dataset's structures already, the others are written.
        split: only its samples.
        progress: whether to show a bar.
        overwrite: whether to remove the structures that ``out`` holds, of any dataset.

    Returns:
        The folder.

    Raises:
        ValueError: for a format that is only read.
        LockError: if another process is writing into ``out``.
        TargetError: if ``out`` holds another export.
        WritingError: if ``out`` cannot be written, e.g. for a full disk.
    """
    root, write_one, last_file = Path(out), FORMATS[form].write, FORMATS[form].last_file
    if write_one is None:
        raise ValueError(f"The format {form} is only read: choose another to export to.")
    numbers = range(len(dataset)) if split is None else dataset.split(split).tolist()
    digits = len(str(len(dataset) - 1))
    with locked_folder(root):
        _claim(root, {"format": form, "sha256": dataset.hash}, overwrite)
        for number in tqdm(numbers, desc="structures", disable=not progress):
            folder = root / f"{number:0{digits}d}"
            if not (folder / last_file).exists():  # by an export that was stopped
                sample = dataset[number]
                write_one(folder, sample.atoms, sample.H, sample.S, sample.fermi_level)
    return root


def _claim(root: Path, content: dict[str, str], overwrite: bool) -> None:
    """Note in a folder which dataset's export it holds; remove an earlier one."""
    note, text = root / _EXPORT, json.dumps(content) + "\n"
    if not overwrite and note.is_file() and note.read_text() == text:
        return
    structures = [path for path in root.iterdir() if path.name.isdigit() and path.is_dir()]
    if structures and not overwrite:
        raise TargetError(
            f"{root} holds the export of another dataset: choose another folder, or replace it "
            "with --overwrite."
        )
    for folder in structures:
        for name in (*reversed(deeph.FILES), *reversed(deeph_present.FILES)):
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    atomic_write(note, text)


def _import_one(source: Path, part: Path, basis_name: str, form: Format) -> None:
    """Read and validate one structure, unless its file says that this was done."""
    origin = {"folder": str(source.resolve()), "files": state(source), "basis": basis_name}
    if part.exists():
        with Dataset(part) as earlier:
            if earlier.provenance.get("origin") == origin:
                return
    foreign = form.read(source, basis_name)
    foreign.H.basis.to_json()  # refuses orbitals of no known shells
    validation = check(foreign.atoms, foreign.H, foreign.S)
    if validation.complaint is not None:
        raise FormatError(f"{source}: {validation.complaint}")
    sample = Sample(
        foreign.atoms,
        foreign.H,
        energy=float("nan"),
        n_electrons=foreign.n_electrons,
        stored_overlap=None if foreign.computable else foreign.S,
        fermi_level=foreign.fermi_level,
    )
    facts = {"proof": validation.to_json(), "calculation": dict(foreign.calculation)}
    write(part, [sample], {}, {"origin": origin, **facts})


def _refuse_other_databases(roots: Iterable[str | os.PathLike[str]], form: Format) -> None:
    """Refuse a database that belongs to another format, and name that format."""
    for root in map(Path, roots):
        known = published_set(root) if root.suffix == ".db" else None
        if known is not None and FORMATS[known] is not form:
            raise FormatError(
                f"{root} has the columns of {SETS[known].title}: use `import {known}`."
            )


def _samples(
    parts: list[Path], groups: NDArray[np.intp], provenance: dict[str, Any]
) -> Iterator[Sample]:
    """The samples; their residuals, and the settings of their runs, go into the provenance."""
    calculations: dict[str, list[Any]] = {}
    for part, group in zip(parts, groups.tolist(), strict=True):
        with Dataset(part) as single:
            note(provenance, DataCheck(**single.provenance["proof"]))
            for name, value in single.provenance.get("calculation", {}).items():
                values = calculations.setdefault(name, [])
                values += [] if value in values else [value]
            yield replace(single[0], group=group)
    if calculations:  # one value, or the list of all where runs differ
        provenance["calculation"] = {k: v[0] if len(v) == 1 else v for k, v in calculations.items()}
