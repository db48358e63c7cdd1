"""Label jobs: sample geometries, compute each label in parallel, write one dataset.

A label job can be killed at any moment and started again with the same arguments: it resumes, and
the final dataset is the same, bit for bit (on the same machine). For this purpose

- a *recipe* (JSON) describes the complete job, and everything random follows from its seed;
- each batch of geometries and each label is a file of its own in `<out>.partial/`, written under
  a temporary name and then renamed, so that it is either absent or complete;
- the dataset is written last, in the same way, and the folder is then removed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.label_cluster import workers
from workbench.datasets.label_extension import (
    EXTENDED,
    Extension,
    check_extensible,
    extension_of,
    is_same_job,
    is_smaller,
)
from workbench.datasets.label_plan import (
    InitialStructures,
    Source,
    collect,
    draw_batch,
    plan,
    recipe,
)
from workbench.datasets.label_settings import LabelSettings, sample_of
from workbench.datasets.label_workers import Run, Task
from workbench.datasets.writing import write
from workbench.storage.atomic_write import (
    atomic_write,
    remove_leftovers,
    write_arrays,
)
from workbench.storage.lock import locked_file
from workbench.storage.output_check import check_writable
from workbench.storage.value_checks import Range, Seed, check_arguments
from workbench.storage.writing_errors import writing
from workbench.structures.sampling import Displaced, Langevin, Sampling

__all__ = ["LabellingError", "label"]


class LabellingError(RuntimeError):
    """A label job that cannot continue; the message says why and what to do."""


def label(
    structures: Source | Sequence[Source] | Mapping[str, Sequence[Source]],
    out: str | os.PathLike[str],
    splits: Mapping[str, int],
    *,
    sampling: Sampling | None = None,
    engine: str = "pyscf",
    basis: str | None = None,
    xc: str = "pbe",
    seed: Seed = 0,
    oriented: bool | None = None,
    processes: Literal[-1] | Annotated[int, Range(1, 4096)] = 1,
    cluster: str | None = None,
    allow_failures: Annotated[int, Range(0, 10**7)] = 0,
    progress: bool = True,
    **settings: Any,
) -> Path:
    """Make a dataset of reference Hamiltonians; call again with the same arguments to resume.

    If the dataset exists and the same call asks for more samples in some splits, only the missing
    ones are computed, and the dataset is replaced by the larger one.

    Args:
        structures: the initial structures for the sampling, one or several, as for
            `workbench.load`. Each is sampled in every split. To split by structure, give a mapping:
            name of the split -> its structures, no structure twice.
        out: the file to write, `<name>.h5`. Work in progress is in the folder `<out>.partial`.
        splits: samples per structure in each split, e.g. {"train": 500, "valid": 100, "test":
            1000}, labelled in this order. No two splits share a batch (a trajectory).
        sampling: `Langevin()` (the default for molecules), `RelaxedAndThermal()`, `Displaced()`
            (for crystals) or `AsGiven()`.
        engine, basis, xc: as in `workbench.reference`.
        seed: of everything random.
        oriented: rotate each geometry randomly about its centre of mass; by default molecules are
            rotated and crystals are not.
        processes: number of processes, each with one thread; -1 for one per core.
        cluster: address of a dask.distributed scheduler, e.g. "tcp://10.0.0.1:8786", whose workers
            are used instead; the dataset has the same bytes.
        allow_failures: number of geometries that may fail to converge; they are left out and named
            in the provenance. With more failures the job fails.
        progress: show progress bars.
        settings: of the engine, as in `workbench.reference`. For molecules: grid (4), conv_tol_grad
            (1e-8 Hartree; for more than a few atoms, 1e-6 leaves an error far below that of the
            grid and saves a third of the time), density_fitting (False) and max_cycle (100).
            max_cycle does not affect a label, so a job with failures can be resumed with more
            cycles. With spin_orbit=True, relativity ("ecp") replaces density_fitting.

    Returns:
        The path of the dataset.

    Raises:
        LabellingError: more failures than allowed, naming each; files of another job at `out`, or
            a dataset there with more samples in some split.
        ClusterError: a cluster that cannot be used, or that has no worker any more.
        LockError: another process is writing `out`.
        WritingError: `out` cannot be written, e.g. a full disk; finished labels are kept.
        StructureError, ValueError: as `workbench.reference`, before anything is computed; also for
            a mapping with a repeated structure, or with other splits than `splits`, and for numbers
            that are negative or not whole.

    >>> import tempfile
    >>> from workbench.structures.sampling import Displaced
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job = {"basis": "sto-3g", "xc": "hf", "sampling": Displaced(), "progress": False}
    ...     path = wb.label("H2", f"{folder}/h2.h5", {"train": 2, "test": 1}, **job)
    ...     with wb.Dataset(path) as dataset:
    ...         {name: dataset.split(name).tolist() for name in dataset.splits}
    {'test': [2], 'train': [0, 1]}
    """
    numbers = {"seed": seed, "processes": processes, "allow_failures": allow_failures}
    check_arguments(label, numbers)
    starts = collect(structures, splits)
    label_settings = LabelSettings.of(starts.atoms, engine, basis, xc, settings)
    if sampling is None:
        sampling = Displaced() if label_settings.periodic else Langevin()
    oriented = not label_settings.periodic if oriented is None else oriented
    record = recipe(starts, splits, sampling, seed, oriented, label_settings)
    job = _Job(Path(out), record, starts, splits, sampling)
    if job.finished():
        return job.out
    check_writable(job.work, folder=True)
    with workers(processes, cluster) as run, locked_file(job.out):
        if job.finished():  # by another process, just before the lock was free
            return job.out
        job.extend()
        job.claim()
        job.draw(sampling, seed, oriented, run, progress)
        failures = job.solve(label_settings, run, progress)
        if len(failures) > allow_failures:
            raise LabellingError(_failure_message(failures, allow_failures, job.work))
        job.finish(sorted(failures), label_settings.defaults())
    return job.out


class _Job:
    """The files of one label job."""

    def __init__(
        self,
        out: Path,
        recipe: dict[str, Any],
        starts: InitialStructures,
        splits: Mapping[str, int],
        sampling: Sampling,
    ) -> None:
        self.out, self.recipe, self.starts = out, recipe, starts.atoms
        self.batches = plan(starts, splits, sampling.batch)
        self.work = out.with_name(out.name + ".partial")
        self.total = sum(b.count for b in self.batches)
        self.extension: Extension | None = None
        self._asked = starts, splits, sampling

    def finished(self) -> bool:
        """Whether the dataset exists already.

        Raises:
            LabellingError: if a dataset of another job has its name.
        """
        with writing(self.out):
            exists = self.out.is_file()
        if not exists:
            return False
        with Dataset(self.out) as existing:
            recipe = existing.provenance.get("recipe", {})
        if is_same_job(recipe, self.recipe):
            self.clear()  # the work folder is left if the job was killed just before this
            return True
        if is_smaller(recipe, self.recipe):
            check_extensible(self._asked[2])
            return False
        if is_smaller(self.recipe, recipe):
            raise LabellingError(
                f"{self.out} exists and has more samples: write a part of it with `part`, or "
                "choose another name."
            )
        raise LabellingError(
            f"{self.out} exists and was made with other arguments or program versions: remove it, "
            "or choose another name; `merge` joins two datasets."
        )

    def extend(self) -> None:
        """Take over the samples of a dataset of the same job that has fewer."""
        if not self.out.is_file():
            return
        starts, splits, sampling = self._asked
        with Dataset(self.out) as existing:
            self.extension = extension_of(existing, starts, splits, sampling.batch)
        self.batches = plan(starts, splits, sampling.batch, self.extension.stages)
        self.recipe = {**self.recipe, EXTENDED: self.extension.stages}

    def claim(self) -> None:
        """Note in the work folder which job it belongs to.

        Raises:
            LabellingError: if it belongs to another one.
        """
        path = self.work / "recipe.json"
        text = json.dumps(self.recipe, indent=1)
        if not path.exists():
            atomic_write(path, text)
        elif json.loads(path.read_text()) != json.loads(text):
            raise LabellingError(
                f"{self.work} holds a job with other arguments or program versions: repeat those "
                "(see its recipe.json), remove the folder, or choose another output name."
            )
        remove_leftovers(self.work)

    def draw(self, sampling: Sampling, seed: int, oriented: bool, run: Run, progress: bool) -> None:
        """Sample the missing batches of geometries."""
        missing = [
            k
            for k, batch in enumerate(self.batches)
            if batch.start not in self._known and not self._geometry(k).exists()
        ]
        options = sampling, seed, oriented
        tasks: Iterator[Task] = (
            (k, draw_batch, (self.batches[k], self._start(k), *options)) for k in missing
        )
        for k, drawn in _bar(run(tasks), "geometries", len(missing), 0, progress):
            write_arrays(self._geometry(k), **drawn)

    def solve(self, settings: LabelSettings, run: Run, progress: bool) -> dict[int, str]:
        """Compute the missing labels; returns the failures by sample number."""
        missing = [
            i for i in range(self.total) if i not in self._known and not self._label(i).exists()
        ]
        # Small and large structures mixed, so that the bar's estimate of the time is right.
        np.random.default_rng(0).shuffle(missing)
        geometries = self.geometries()
        tasks: Iterator[Task] = ((i, settings.solve, (geometries[i],)) for i in missing)
        failures: dict[int, str] = {}
        existing = self.total - len(missing)
        for i, result in _bar(run(tasks), "labels", self.total, existing, progress):
            if isinstance(result, str):
                failures[i] = f"sample {i} ({self._origin(i)}): {result}"
            else:
                write_arrays(self._label(i), **result)
        return failures

    def finish(self, failed: Sequence[int], defaults: Mapping[str, Any]) -> None:
        """Write the dataset, with the settings that have default values; remove the work folder."""
        left_out = {*failed, *(i for i, k in self._known.items() if k is None)}
        kept = [i for i in range(self.total) if i not in left_out]
        provenance = {"recipe": self.recipe, "left_out": sorted(left_out)}
        if defaults:
            provenance["default_settings"] = dict(defaults)
        self.write(self.out, kept, provenance)
        self.clear()

    def clear(self) -> None:
        """Remove the work folder of a finished job."""
        shutil.rmtree(self.work, ignore_errors=True)

    def write(self, out: Path, kept: Sequence[int], provenance: dict[str, Any]) -> None:
        """Write the samples `kept`, all of them labelled, as a dataset."""
        new_number = {i: k for k, i in enumerate(kept)}
        splits: dict[str, list[int]] = {b.split: [] for b in self.batches}
        for b in self.batches:
            numbers = range(b.start, b.start + b.count)
            splits[b.split] += [new_number[i] for i in numbers if i in new_number]
        write(out, self._samples(kept), splits, provenance)

    def _samples(self, kept: Sequence[int]) -> Iterator[Sample]:
        """The labelled samples, those of an extended dataset from there."""
        geometries = self.geometries()
        groups = {b.start + n: k for k, b in enumerate(self.batches) for n in range(b.count)}
        with ExitStack() as files:
            earlier = None
            if self.extension is not None:
                earlier = files.enter_context(Dataset(self.extension.path))
            for i in kept:
                number = self._known.get(i)
                if earlier is not None and number is not None:
                    yield replace(earlier[number], group=groups[i])
                else:
                    yield self._sample(i, geometries[i], groups[i])

    @property
    def _known(self) -> Mapping[int, int | None]:
        """The samples that an extended dataset has, or had left out."""
        return {} if self.extension is None else self.extension.known

    def geometries(self) -> dict[int, Atoms]:
        """The geometries that are drawn, by sample number."""
        frames = {}
        for k, batch in enumerate(self.batches):
            if batch.start in self._known:
                continue
            with np.load(self._geometry(k)) as file:
                cells = file["cells"] if "cells" in file else [None] * len(file["positions"])
                for place, (positions, cell) in enumerate(
                    zip(file["positions"], cells, strict=True)
                ):
                    atoms = self._start(k).copy()
                    atoms.positions = positions
                    if cell is not None:
                        atoms.cell = cell
                    frames[batch.start + place] = atoms
        return frames

    def _sample(self, i: int, atoms: Atoms, group: int) -> Sample:
        with np.load(self._label(i)) as file:
            return sample_of(atoms, file, group, self.recipe["method"]["basis"])

    def _origin(self, i: int) -> str:
        for b in self.batches:
            if b.start <= i < b.start + b.count:
                formula = self.starts[b.structure].get_chemical_formula()
                return f"{formula}, {b.split}, batch {b.key[2]}, geometry {i - b.start}"
        raise IndexError(i)

    def _start(self, k: int) -> Atoms:
        return self.starts[self.batches[k].structure]

    def _geometry(self, k: int) -> Path:
        return self.work / f"geometries-{k:06d}.npz"

    def _label(self, i: int) -> Path:
        return self.work / f"label-{i:08d}.npz"


def _failure_message(failures: dict[int, str], allowed: int, work: Path) -> str:
    first = "\n".join(f"  {failures[i]}" for i in sorted(failures)[:10])
    more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
    return (
        f"{len(failures)} geometries have no label ({allowed} allowed); the other labels are kept "
        f"in {work}. Resume with a higher max_cycle, or leave these geometries out with "
        f"allow_failures={len(failures)}:\n{first}{more}"
    )


def _bar(
    results: Iterator[Any], what: str, total: int, initial: int, progress: bool
) -> Iterator[Any]:
    return iter(tqdm(results, what, total=total, initial=initial, disable=not progress))
