"""The commands ``label`` and ``export``."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from workbench.cli.help_pages import Command, Group
from workbench.cli.options import (
    Charge,
    DatasetFile,
    DatasetSource,
    Functional,
    Grid,
    Indices,
    Json,
    Layout,
    Seed,
    Spin,
    Structures,
    number,
    show,
)
from workbench.cli.settings import assignments
from workbench.cli.words import shows_progress

if TYPE_CHECKING:
    from ase import Atoms

exporting = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Write a dataset in another program's format.\n\n"
    "Examples:\n  python -m workbench export deeph graphene --out deeph",
)


_SAMPLES = "{} samples per structure (default {}; 3 for each molecule of a collection)."


def label(
    sources: Structures,
    out: DatasetFile,
    train: Annotated[int | None, typer.Option(help=_SAMPLES.format("Training", 500))] = None,
    valid: Annotated[int | None, typer.Option(help=_SAMPLES.format("Validation", 100))] = None,
    test: Annotated[int | None, typer.Option(help=_SAMPLES.format("Test", 1000))] = None,
    largest: Annotated[
        int | None,
        typer.Option(help="Collections: use only molecules with at most this many heavy atoms."),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="Temperature of the GFN2 dynamics, K.")
    ] = 500.0,
    sigma: Annotated[
        float | None,
        typer.Option(help="Standard deviation of random displacements, A, instead of dynamics."),
    ] = None,
    strain: Annotated[float, typer.Option(help="Crystals: largest random strain.")] = 0.0,
    slide: Annotated[bool, typer.Option(help="Bilayers: shift the upper layer at random.")] = False,
    supercell: Annotated[
        str, typer.Option(help="Crystals: number of cells along each vector, e.g. 3,3,1.")
    ] = "1,1,1",
    twist: Annotated[
        str | None,
        typer.Option(help="Bilayers: rotate one layer by the twist indices m,n, e.g. 1,2."),
    ] = None,
    engine: Annotated[str, typer.Option(help="pyscf, or gpaw for crystals.")] = "pyscf",
    basis: Annotated[str | None, typer.Option(help="Any basis that the engine knows.")] = None,
    xc: Functional = "pbe",
    spin_orbit: Annotated[
        bool,
        typer.Option(
            "--spin-orbit", help="Include spin-orbit coupling (spinors); crystals need gpaw."
        ),
    ] = False,
    grid: Grid = 4,
    gradient: Annotated[
        float, typer.Option(help="Molecules: convergence threshold of the gradient, Hartree.")
    ] = 1e-8,
    density_fitting: Annotated[
        bool,
        typer.Option(
            "--density-fitting", help="Molecules: density fitting, half the time for large ones."
        ),
    ] = False,
    max_cycle: Annotated[
        int, typer.Option(help="SCF cycles after which a geometry counts as failed.")
    ] = 100,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value for the engine, e.g. mesh=[3,3,1]; repeatable."),
    ] = None,
    charge: Charge = None,
    spin: Spin = None,
    index: Indices = None,
    seed: Seed = 0,
    processes: Annotated[int, typer.Option(help="Parallel processes; -1 is one per core.")] = -1,
    cluster: Annotated[
        str | None,
        typer.Option(help="Label on the workers of a dask.distributed scheduler: tcp://HOST:PORT."),
    ] = None,
    allow_failures: Annotated[int, typer.Option(help="Number of geometries that may fail.")] = 0,
    as_json: Json = False,
) -> None:
    """Compute a dataset of reference Hamiltonians; the same command resumes a stopped job.

    With --index and a slice the structures of the file are labelled as they are: --train, --valid
    and --test are then numbers of structures, by default 60, 20 and 20 per cent in their order.

    Examples:
        python -m workbench label water --out water.h5 --train 500 --valid 100 --test 1000
        python -m workbench label trajectory.xyz --index : --out mine.h5
        python -m workbench label graphene --out graphene.h5 --engine gpaw --supercell 3,3,1
    """
    from workbench.datasets.labelling import label as run_job
    from workbench.structures.loading import collection_names, load

    of_splits = {"train": train, "valid": valid, "test": test}
    requested = {split: n for split, n in of_splits.items() if n is not None}
    engine_settings = {"max_cycle": max_cycle, **assignments(settings or [])}
    engine_settings |= {"spin_orbit": True} if spin_orbit else {}
    if sources[0] in collection_names() and len(sources) == 1:
        if (charge, spin, index) != (None, None, None):
            raise ValueError("--charge, --spin and --index are for structures, not collections.")
        start = _of_collection(sources[0], largest, temperature, sigma, requested)
    elif largest is not None:
        raise ValueError("--largest selects from a collection: name a collection, or omit it.")
    elif index is not None and ":" in index:
        if (sigma, strain, slide, supercell, twist) != (None, 0.0, False, "1,1,1", None):
            raise ValueError(
                "The structures of a slice are labelled as they are: omit --sigma, --strain, "
                "--slide, --supercell and --twist, or choose one structure by its number."
            )
        start = _as_given(sources, index, charge, spin, requested, seed)
    else:
        one = number(index)
        structures = [load(source, charge=charge, spin=spin, index=one) for source in sources]
        structures, is_crystal = _of_one_kind(structures, twist, supercell)
        sampling = _sampling(is_crystal, temperature, sigma, strain, slide)
        sizes = {"train": 500, "valid": 100, "test": 1000} | requested
        start = _Start(structures, sizes, sampling, is_crystal)
    if not start.is_crystal:
        engine_settings = {"grid": grid, "conv_tol_grad": gradient, **engine_settings}
        engine_settings |= {"density_fitting": True} if density_fitting else {}
    path = run_job(
        start.structures,
        out,
        start.sizes,
        sampling=start.sampling,
        oriented=start.oriented,
        engine=engine,
        basis=basis,
        xc=xc,
        seed=seed,
        processes=processes,
        cluster=cluster,
        allow_failures=allow_failures,
        progress=shows_progress(as_json),
        **engine_settings,
    )
    result = contents(path)
    show(result, f"{path}: {result['samples']} samples, sha256 {result['sha256']}", as_json)


def _sampling(
    is_crystal: bool, temperature: float, sigma: float | None, strain: float, slide: bool
) -> Any:
    """How the geometries of some structures are made; all numbers are checked, also unused ones."""
    from workbench.structures.sampling import Displaced, Langevin

    thermal = Langevin(temperature)
    if is_crystal:
        return Displaced(0.05 if sigma is None else sigma, strain=strain, slide=slide)
    return thermal if sigma is None else Displaced(sigma=sigma)


class _Start(NamedTuple):
    """What a label job starts from: arguments of `workbench.label`."""

    structures: Any
    sizes: dict[str, int]
    sampling: Any
    is_crystal: bool
    oriented: bool | None = None


def _of_collection(
    name: str,
    largest: int | None,
    temperature: float,
    sigma: float | None,
    requested: dict[str, int],
) -> _Start:
    """The molecules of a collection by split, relaxed and in motion, or displaced at random."""
    from workbench.structures.loading import collection
    from workbench.structures.sampling import Displaced, RelaxedAndThermal

    structures = collection(name, largest)
    motion = replace(RelaxedAndThermal().motion, temperature_K=temperature)
    sizes = dict.fromkeys(structures, 3) | requested
    sampling = RelaxedAndThermal(motion) if sigma is None else Displaced(sigma=sigma)
    return _Start(structures, sizes, sampling, is_crystal=False)


def _as_given(
    sources: list[str],
    index: str,
    charge: int | None,
    spin: int | None,
    requested: dict[str, int],
    seed: int,
) -> _Start:
    """The structures of a slice of each file, in splits and as they are."""
    import numpy as np

    from workbench.datasets.splits import split_in_order
    from workbench.structures.sampling import AsGiven
    from workbench.structures.trajectories import load_all

    structures = [
        atoms for source in sources for atoms in load_all(source, index, charge=charge, spin=spin)
    ]
    numbers = requested or {"train": 60, "valid": 20, "test": 20}
    total = sum(numbers.values())
    if min(numbers.values()) < 0 or (requested and total != len(structures)):
        raise ValueError(
            f"--index {index} chooses {len(structures)} structures, and --train, --valid and "
            f"--test add up to {total}: choose other numbers, or another slice."
        )
    shares = {split: n / total for split, n in numbers.items()}
    of_split = split_in_order(structures, shares, np.random.default_rng(seed))
    of_split = {split: some for split, some in of_split.items() if some}
    is_crystal = any(atoms.pbc.any() for atoms in structures)
    return _Start(of_split, dict.fromkeys(of_split, 1), AsGiven(), is_crystal, oriented=False)


def _of_one_kind(
    structures: list[Atoms], twist: str | None, supercell: str
) -> tuple[list[Atoms], bool]:
    """The structures, twisted and repeated if any is periodic, and whether any is."""
    from workbench.structures.bilayers import twisted
    from workbench.structures.validation import check_atom_count

    if not any(atoms.pbc.any() for atoms in structures):
        return structures, False
    if twist is not None:
        structures = [twisted(atoms, *_numbers("twist", twist, 2)) for atoms in structures]
    cells = _numbers("supercell", supercell, 3)
    check_atom_count(prod(cells) * max(len(atoms) for atoms in structures))
    return [atoms.repeat(cells) for atoms in structures], True


def _numbers(what: str, text: str, count: int) -> tuple[int, ...]:
    """Parse ``3,3,1`` as ``count`` positive integers."""
    try:
        numbers = tuple(int(n) for n in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or min(numbers) < 1:
        example = ",".join(str(n + 1) for n in range(count))
        raise ValueError(
            f"'{text}' is not a valid {what}: give {count} positive integers such as {example}."
        )
    return numbers


def contents(path: Path) -> dict[str, Any]:
    """Number of samples, split sizes and hash of a dataset."""
    from workbench.datasets.dataset import Dataset

    with Dataset(path) as dataset:
        return {
            "path": str(path),
            "samples": len(dataset),
            "splits": {name: len(dataset.split(name)) for name in dataset.splits},
            "sha256": dataset.hash,
        }


@exporting.command("deeph", cls=Command)
def export_deeph(
    dataset: DatasetSource,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    split: Annotated[str | None, typer.Option(help="Write only this split.")] = None,
    layout: Annotated[
        Layout, typer.Option(help="DeepH-pack's and DeepH-E3's folders, or DeepH's present ones.")
    ] = Layout.older,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove an earlier export from the folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write each sample as a folder that DeepH can read.

    Examples:
        python -m workbench export deeph graphene --out deeph
        python -m workbench export deeph graphene --out deeph --split test --layout present
    """
    from workbench.datasets.conversion import export_files
    from workbench.datasets.dataset import Dataset

    with Dataset(dataset) as data:
        form = "deeph-present" if layout is Layout.present else "deeph"
        root = export_files(
            form, data, out, split=split, progress=shows_progress(as_json), overwrite=overwrite
        )
        written = len(data) if split is None else len(data.split(split))
    result = {"path": str(root), "structures": written}
    show(result, f"{root}: {written} structures", as_json)
