"""Draw geometries, solve each with the reference engine in parallel, write one dataset.

A label job can be killed at any moment and started again with the same arguments: it goes on where
it stood and the dataset it ends with is the same, bit for bit (on the same machine). To that end

- the whole job is a *recipe* (JSON), and everything random follows from its seed;
- each batch of geometries and each label is a file of its own in `<out>.partial/`, written under
  another name and then renamed, so that it is either absent or complete;
- the dataset is written last, likewise, and the folder is then removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

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
from workbench.storage.atomic_write import atomic_path, atomic_write
from workbench.structures.sampling import Displaced, Langevin, Sampling

__all__ = ["LabellingError", "label"]

Task = tuple[Callable[..., tuple[int, Any]], tuple[Any, ...]]

_THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")]


class LabellingError(RuntimeError):
    """A label job that cannot go on; the message says why and what to do."""


def label(
    structures: Source | Sequence[Source] | Mapping[str, Sequence[Source]],
    out: str | os.PathLike[str],
    splits: Mapping[str, int],
    *,
    sampling: Sampling | None = None,
    engine: str = "pyscf",
    basis: str | None = None,
    xc: str = "pbe",
    seed: int = 0,
    oriented: bool | None = None,
    processes: int = 1,
    allow_failures: int = 0,
    progress: bool = True,
    **settings: Any,
) -> Path:
    """Make a dataset of reference Hamiltonians; start it again with the same arguments to resume.

    Args:
        structures: what `workbench.load` takes, one or several: where the sampling starts. Each
            is sampled in every split; to split by structure, give a mapping: name of the split ->
            its structures, no structure twice.
        out: the file to write, `<name>.h5`. Work in progress lies in the folder `<out>.partial`.
        splits: samples per structure in each split, e.g. {"train": 500, "valid": 100, "test":
            1000}, labelled in this order. No two splits share a batch (a trajectory).
        sampling: `Langevin()` (the default for molecules), `RelaxedAndThermal()`, `Displaced()`
            (for crystals) or `AsGiven()`.
        engine, basis, xc: as in `workbench.reference`.
        seed: of everything random.
        oriented: turn each geometry by a random rotation about its centre of mass; by default
            molecules are turned and crystals are not.
        processes: how many to use, each with one thread; -1 for one per core.
        allow_failures: how many geometries may fail to converge and be left out (and named in the
            provenance) before the job counts as failed.
        progress: show progress bars.
        settings: the engine's, as in `workbench.reference`. Of molecules grid (4), conv_tol_grad
            (1e-8 Hartree; for more than a few atoms 1e-6 leaves an error far below that of the
            grid, and saves a third), density_fitting (False) and max_cycle (100), which decides no
            label's value: a job that met failures can be taken up again with more. With
            spin_orbit=True, relativity ("ecp") in place of density_fitting.

    Returns:
        The path of the dataset.

    Raises:
        LabellingError: more failures than allowed, naming each; another job's files in the way;
            the job already running.
        StructureError, ValueError: as `workbench.reference`, before anything is computed; also for
            a mapping in which a structure comes twice, or whose splits are not those of `splits`.
    """
    starts = collect(structures, splits)
    way = LabelSettings.of(starts.atoms, engine, basis, xc, settings)
    if sampling is None:
        sampling = Displaced() if way.periodic else Langevin()
    oriented = not way.periodic if oriented is None else oriented
    record = recipe(starts, splits, sampling, seed, oriented, way)
    job = _Job(Path(out), record, starts.atoms, plan(starts, splits, sampling.batch))
    if job.finished():
        return job.out
    with job.locked():
        job.draw(sampling, seed, oriented, processes, progress)
        failures = job.solve(way, processes, progress)
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
        """Whether the dataset stands already.

        Raises:
            LabellingError: if another dataset has its name.
        """
        if not self.out.exists():
            return False
        with Dataset(self.out) as made:
            if made.provenance.get("recipe") != self.recipe:
                raise LabellingError(
                    f"{self.out} exists and was made otherwise: remove it or choose another name."
                )
        shutil.rmtree(self.work, ignore_errors=True)  # a kill may have come just before this
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the work folder; the system lets go of it even if the process is killed."""
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LabellingError(f"Another process is labelling {self.out}: wait.") from error
            self._claim()
            yield

    def _claim(self) -> None:
        path = self.work / "recipe.json"
        text = json.dumps(self.recipe, indent=1)
        if not path.exists():
            atomic_write(path, text)
        elif json.loads(path.read_text()) != json.loads(text):
            raise LabellingError(
                f"{self.work} holds a job with other arguments or program versions: repeat those "
                "(see its recipe.json), remove the folder, or choose another output name."
            )
        for leftover in self.work.glob("*.part"):
            leftover.unlink()

    def draw(
        self, sampling: Sampling, seed: int, oriented: bool, processes: int, progress: bool
    ) -> None:
        """Draw the batches that are not yet there."""
        missing = [k for k in range(len(self.batches)) if not self._geometry(k).exists()]
        job, how = os.getpid(), (sampling, seed, oriented)
        tasks: Iterator[Task] = (
            (_numbered, (k, job, draw_batch, self.batches[k], self._start(k), *how))
            for k in missing
        )
        done = _parallel(tasks, processes)
        for k, drawn in _bar(done, "geometries", len(missing), 0, progress):
            _write_arrays(self._geometry(k), **drawn)

    def solve(self, way: LabelSettings, processes: int, progress: bool) -> dict[int, str]:
        """Label the samples that are not yet there; returns what failed, by sample number."""
        missing = [i for i in range(self.total) if not self._label(i).exists()]
        np.random.default_rng(0).shuffle(missing)  # small and large mixed: an honest time to go
        geometries = self.geometries()
        job = os.getpid()
        tasks = ((_numbered, (i, job, way.solve, geometries[i])) for i in missing)
        failures: dict[int, str] = {}
        done = _parallel(tasks, processes)
        stood = self.total - len(missing)
        for i, result in _bar(done, "labels", self.total, stood, progress):
            if isinstance(result, str):
                failures[i] = f"sample {i} ({self._origin(i)}): {result}"
            else:
                _write_arrays(self._label(i), **result)
        return failures

    def finish(self, failed: Sequence[int]) -> None:
        """Write the dataset and clear up."""
        kept = [i for i in range(self.total) if i not in set(failed)]
        provenance = {"recipe": self.recipe, "left_out": list(failed)}
        self.write(self.out, kept, provenance)
        shutil.rmtree(self.work)

    def write(self, out: Path, kept: Sequence[int], provenance: dict[str, Any]) -> None:
        """Write the samples `kept`, all of them labelled, as a dataset."""
        place = {i: k for k, i in enumerate(kept)}
        splits: dict[str, list[int]] = {b.split: [] for b in self.batches}
        for b in self.batches:
            splits[b.split] += [place[i] for i in range(b.start, b.start + b.count) if i in place]
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
    shown = "\n".join(f"  {failures[i]}" for i in sorted(failures)[:10])
    more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
    return (
        f"{len(failures)} geometries have no label ({allowed} allowed); all others are kept in "
        f"{work}. Go on with a higher max_cycle, or leave these out with "
        f"allow_failures={len(failures)}:\n{shown}{more}"
    )


def _numbered(number: int, job: int, function: Any, *args: Any) -> tuple[int, Any]:
    """The result of a task with its number, in a worker of the process ``job``."""
    end_with(job)
    return number, function(*args)


def _parallel(tasks: Iterable[Task], processes: int) -> Iterator[tuple[int, Any]]:
    """Results as they come; the parent alone writes files.

    Tasks always run in worker processes of one thread each, even when only one may run at a time:
    sums over threads end in other last digits, and a trajectory amplifies those. (Of one job
    `joblib.Parallel` makes none in a process of its own.) So do OpenBLAS kernels: workers are told
    which to use, whatever the environment of the process that continues the job says.
    """
    count = cpu_count() if processes == -1 else processes
    environment = dict.fromkeys(_THREADS, "1") | kernel_environment()
    pool = get_reusable_executor(count, env=environment)
    queue, running = iter(tasks), set[Future[Any]]()
    try:
        while True:
            next_ones = islice(queue, 2 * count - len(running))  # none waits for a task
            running |= {pool.submit(function, *given) for function, given in next_ones}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


def _bar(
    results: Iterator[Any], what: str, total: int, initial: int, progress: bool
) -> Iterator[Any]:
    return iter(tqdm(results, what, total=total, initial=initial, disable=not progress))


def _write_arrays(path: Path, **arrays: Any) -> None:
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
