"""Whole collections of another program's structures into one dataset, and back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.formats import Foreign, FormatError, deeph, sisl
from workbench.datasets.published_sets import PUBLISHED_SHARES
from workbench.datasets.splits import _drawn
from workbench.datasets.validation import check
from workbench.datasets.writing import write

__all__ = ["Collection", "export_deeph", "import_deeph", "import_sisl"]


@dataclass(frozen=True, eq=False)
class Collection:
    """Files of another program that become one dataset, and the split of each.

    Attributes:
        sources: one per sample, in their order: a folder, or a file among those of its run.
        splits: name -> numbers of its samples.
        recipe: how these came about, JSON-able; part of the dataset's provenance.
        read: the format's own: a source and a name for the basis -> one structure.
    """

    sources: list[Path]
    splits: Mapping[str, NDArray[np.int64]]
    recipe: Mapping[str, Any]
    read: Callable[[Path, str], Foreign] = deeph.read

    @classmethod
    def found(
        cls,
        root: str | os.PathLike[str],
        shares: Mapping[str, float] = PUBLISHED_SHARES,
        seed: int = 0,
        apart: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> Collection:
        """All folders of the DeepH format below a folder, split at random.

        Args:
            root: the folder.
            shares: split -> share of the structures.
            seed: of the drawing, from the sorted list of folders.
            apart: name of a further split -> the folder that holds its structures and no others.
                It may lie below `root`: what it holds is in no other split.

        Raises:
            FormatError: for a folder without structures of its own.
            ValueError: for shares that do not add up to 1.
        """
        own = {name: deeph.folders(folder) for name, folder in (apart or {}).items()}
        taken = {folder.resolve() for some in own.values() for folder in some}
        drawn = [folder for folder in deeph.folders(root) if folder.resolve() not in taken]
        if not drawn:
            raise FormatError(f"All structures below {root} are set apart: none is left to draw.")
        names = [str(folder.relative_to(root)) for folder in drawn]
        splits = _drawn(len(drawn), shares, np.random.default_rng(seed))
        for name, some in own.items():
            splits[name] = np.arange(len(names), len(names) + len(some))
            names += [str(folder.relative_to((apart or {})[name])) for folder in some]
        recipe = {"format": "DeepH", "folders": names, "split_seed": seed, "shares": dict(shares)}
        return cls([*drawn, *(folder for some in own.values() for folder in some)], splits, recipe)

    def convert(
        self, out: str | os.PathLike[str], basis_name: str = "deeph", progress: bool = True
    ) -> Path:
        """Make the dataset, and validate each structure as it is read (`datasets.validation`).

        They are read one at a time, so there may be more than memory holds. Each waits in a
        file of its own in `<out>.partial` until the last is read: a killed import goes on there.

        Args:
            out: the dataset; it appears complete or not at all.
            basis_name: what to call the basis, of which the format says the shells only.
            progress: whether to show a bar.

        Returns:
            The path of the dataset.

        Raises:
            FormatError: for the first source that is broken or fails its proof, by name.
            ValueError: for orbitals of no known shells.
        """
        path = Path(out)
        work = path.with_name(path.name + ".partial")
        work.mkdir(parents=True, exist_ok=True)
        parts = [work / f"{number:06d}.h5" for number in range(len(self.sources))]
        bar = tqdm(parts, desc="structures", disable=not progress)
        for source, part in zip(self.sources, bar, strict=True):
            _take_in(source, part, basis_name, self.read)
        worst: dict[str, float] = {}
        # Filled while the samples pass; written after the last one.
        provenance = {**self.recipe, "largest_residuals": worst}
        write(path, _gathered(parts, worst), self.splits, provenance)
        shutil.rmtree(work)
        return path


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

    Arguments and errors are those of `Collection.found` and `Collection.convert`.

    Returns:
        The path of the dataset.
    """
    return Collection.found(root, shares, seed).convert(out, basis_name, progress)


def import_sisl(
    sources: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    shares: Mapping[str, float] = PUBLISHED_SHARES,
    seed: int = 0,
    basis_name: str = "siesta",
    progress: bool = True,
) -> Path:
    """Make one dataset of runs of SIESTA, which sisl reads.

    Args:
        sources: files of `formats.sisl.read`, one per structure, and folders of .HSX files.
        out, basis_name, progress: as of `Collection.convert`.
        shares: split -> share of the structures.
        seed: of their drawing.

    Returns:
        The path of the dataset.

    Raises:
        ModuleNotFoundError: without sisl.
        FormatError: as of `Collection.convert`.
        ValueError: for Wannier functions, which belong to no known shells, and for shares that do
            not add up to 1.
    """
    found = sisl.runs(sources)
    splits = _drawn(len(found), shares, np.random.default_rng(seed))
    recipe = {
        "format": "SIESTA",
        "files": [str(path) for path in found],
        "split_seed": seed,
        "shares": dict(shares),
    }
    return Collection(found, splits, recipe, sisl.read).convert(out, basis_name, progress)


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


def _take_in(
    source: Path, part: Path, basis_name: str, read: Callable[[Path, str], Foreign]
) -> None:
    """Read and prove one structure, unless its file says that this was done."""
    folder = source if source.is_dir() else source.parent
    changed = max(file.stat().st_mtime_ns for file in folder.iterdir())
    origin = {"folder": str(source.resolve()), "changed": changed, "basis": basis_name}
    if part.exists():
        with Dataset(part) as made:
            if made.provenance["origin"] == origin:
                return
    found = read(source, basis_name)
    found.H.basis.to_json()  # refuses orbitals of no known shells
    proof = check(found.atoms, found.H, found.S)
    if proof.complaint is not None:
        raise FormatError(f"{source}: {proof.complaint}")
    sample = Sample(
        found.atoms,
        found.H,
        energy=float("nan"),
        n_electrons=0,
        stored_overlap=found.S,
        fermi_level=found.fermi_level,
    )
    write(part, [sample], {}, {"origin": origin, "proof": proof.to_json()})


def _gathered(parts: list[Path], worst: dict[str, float]) -> Iterator[Sample]:
    """The samples, each a group of its own; their largest residuals go into `worst`."""
    for number, part in enumerate(parts):
        with Dataset(part) as made:
            _keep_worst(worst, made.provenance["proof"])
            yield replace(made[0], group=number)


def _keep_worst(worst: dict[str, float], proof: Mapping[str, float | None]) -> None:
    """The largest residual of each kind so far; of the overlap's eigenvalues the smallest."""
    for name, value in proof.items():
        if value is None:
            continue
        better = min if name in ("overlap_floor", "operations") else max
        worst[name] = better(worst.get(name, value), value)
