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
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset, Sample
from workbench.datasets.label_plan import Batch, Source, collect, draw_batch, plan, recipe
from workbench.datasets.label_settings import LabelSettings, sample_of
from workbench.datasets.writing import write
from workbench.engines.openblas import kernel_environment
from workbench.engines.worker_lifetime import end_with
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

Task = tuple[Callable[..., tuple[int, Any]], tuple[Any, ...]]

_THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")]


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
    allow_failures: Annotated[int, Range(0, 10**7)] = 0,
    progress: bool = True,
    **settings: Any,
) -> Path:
    """Make a dataset of reference Hamiltonians; call again with the same arguments to resume.

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
        LabellingError: more failures than allowed, naming each; files of another job at `out`.
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
    job = _Job(Path(out), record, starts.atoms, plan(starts, splits, sampling.batch))
    if job.finished():
        return job.out
    check_writable(job.work, folder=True)
    with locked_file(job.out):
        if job.finished():  # by another process, just before the lock was free
            return job.out
        job.claim()
        job.draw(sampling, seed, oriented, processes, progress)
        failures = job.solve(label_settings, processes, progress)
        if len(failures) > allow_failures:
            raise LabellingError(_failure_message(failures, allow_failures, job.work))
        job.finish(sorted(failures))
    return job.out


class _Job:
    """The files of one label job."""

    def __init__(
        self, out: Path, recipe: dict[str, Any], starts: list[Atoms], batches: list[Batch]
    ) -> None:
        self.out, self.recipe, self.starts, self.batches = out, recipe, starts, batches
        self.work = out.with_name(out.name + ".partial")
        self.total = sum(b.count for b in batches)

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
            if existing.provenance.get("recipe") != self.recipe:
                raise LabellingError(
                    f"{self.out} exists and was made with other arguments: remove it or choose "
                    "another name."
                )
        self.clear()  # the work folder is left if the job was killed just before this
        return True

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

    def draw(
        self, sampling: Sampling, seed: int, oriented: bool, processes: int, progress: bool
    ) -> None:
        """Sample the missing batches of geometries."""
        missing = [k for k in range(len(self.batches)) if not self._geometry(k).exists()]
        job, options = os.getpid(), (sampling, seed, oriented)
        tasks: Iterator[Task] = (
            (_numbered, (k, job, draw_batch, self.batches[k], self._start(k), *options))
            for k in missing
        )
        done = _parallel(tasks, processes)
        for k, drawn in _bar(done, "geometries", len(missing), 0, progress):
            write_arrays(self._geometry(k), **drawn)

    def solve(self, settings: LabelSettings, processes: int, progress: bool) -> dict[int, str]:
        """Compute the missing labels; returns the failures by sample number."""
        missing = [i for i in range(self.total) if not self._label(i).exists()]
        # Small and large structures mixed, so that the bar's estimate of the time is right.
        np.random.default_rng(0).shuffle(missing)
        geometries = self.geometries()
        job = os.getpid()
        tasks = ((_numbered, (i, job, settings.solve, geometries[i])) for i in missing)
        failures: dict[int, str] = {}
        done = _parallel(tasks, processes)
        existing = self.total - len(missing)
        for i, result in _bar(done, "labels", self.total, existing, progress):
            if isinstance(result, str):
                failures[i] = f"sample {i} ({self._origin(i)}): {result}"
            else:
                write_arrays(self._label(i), **result)
        return failures

    def finish(self, failed: Sequence[int]) -> None:
        """Write the dataset and remove the work folder."""
        kept = [i for i in range(self.total) if i not in set(failed)]
        provenance = {"recipe": self.recipe, "left_out": list(failed)}
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
        geometries = self.geometries()
        groups = {b.start + n: k for k, b in enumerate(self.batches) for n in range(b.count)}
        samples = (self._sample(i, geometries[i], groups[i]) for i in kept)
        write(out, samples, splits, provenance)

    def geometries(self) -> list[Atoms]:
        """All geometries, in the order of the samples."""
        frames = []
        for k in range(len(self.batches)):
            with np.load(self._geometry(k)) as file:
                cells = file["cells"] if "cells" in file else [None] * len(file["positions"])
                for positions, cell in zip(file["positions"], cells, strict=True):
                    atoms = self._start(k).copy()
                    atoms.positions = positions
                    if cell is not None:
                        atoms.cell = cell
                    frames.append(atoms)
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


def _numbered(number: int, job: int, function: Any, *args: Any) -> tuple[int, Any]:
    """The result of a task with its number, in a worker of the process with ID ``job``."""
    end_with(job)
    return number, function(*args)


def _parallel(tasks: Iterable[Task], processes: int) -> Iterator[tuple[int, Any]]:
    """Results in order of completion; only the parent process writes files.

    Tasks always run in worker processes with one thread each, even if only one runs at a time: sums
    over several threads differ in the last digits, and a trajectory amplifies the difference.
    (`joblib.Parallel` starts no worker for a single job.) OpenBLAS kernels differ in the same way,
    so workers are told which to use, independent of the environment in which a job is resumed.
    """
    count = cpu_count() if processes == -1 else processes
    environment = dict.fromkeys(_THREADS, "1") | kernel_environment()
    pool = get_reusable_executor(count, env=environment)
    queue, running = iter(tasks), set[Future[Any]]()
    try:
        while True:
            submitted = islice(queue, 2 * count - len(running))  # enough that no worker is idle
            running |= {pool.submit(function, *arguments) for function, arguments in submitted}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BaseException:
        _kill_workers(pool)
        raise


def _kill_workers(pool: Any) -> None:
    """End a pool with its workers; loky's own thread may then miss a task, which is no news."""
    before = threading.excepthook
    threading.excepthook = lambda _: None
    try:
        pool.shutdown(kill_workers=True)
    finally:
        threading.excepthook = before


def _bar(
    results: Iterator[Any], what: str, total: int, initial: int, progress: bool
) -> Iterator[Any]:
    return iter(tqdm(results, what, total=total, initial=initial, disable=not progress))
