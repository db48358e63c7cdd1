"""The commands ``label`` and ``export``."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import (
    Charge,
    DatasetFile,
    DatasetSource,
    Functional,
    Grid,
    Index,
    Json,
    Layout,
    Seed,
    Spin,
    show,
)
from workbench.cli.settings import assignments

if TYPE_CHECKING:
    from ase import Atoms

exporting = typer.Typer(no_args_is_help=True, help="Write a dataset in another program's format.")


_SAMPLES = "{} samples per structure (default {}; 3 for each molecule of a collection)."


def label(
    sources: Annotated[
        list[str], typer.Argument(help="Structures, or the name of one collection.")
    ],
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
    index: Index = None,
    seed: Seed = 0,
    processes: Annotated[int, typer.Option(help="Parallel processes; -1 is one per core.")] = -1,
    allow_failures: Annotated[int, typer.Option(help="Number of geometries that may fail.")] = 0,
    as_json: Json = False,
) -> None:
    """Compute a dataset of reference Hamiltonians; the same command resumes a stopped job."""
    from workbench.datasets.labelling import label as run_job
    from workbench.structures.loading import collection, collection_names, load
    from workbench.structures.sampling import Displaced, Langevin, RelaxedAndThermal

    structures: Any
    sizes = {"train": 500, "valid": 100, "test": 1000}
    sampling: Any = Langevin(temperature)
    engine_settings = {"max_cycle": max_cycle, **assignments(settings or [])}
    engine_settings |= {"spin_orbit": True} if spin_orbit else {}
    if sources[0] in collection_names() and len(sources) == 1:
        if (charge, spin, index) != (None, None, None):
            raise ValueError("--charge, --spin and --index are for structures, not collections.")
        structures = collection(sources[0], largest)
        sizes = dict.fromkeys(structures, 3)
        sampling = RelaxedAndThermal(replace(RelaxedAndThermal().motion, temperature_K=temperature))
        is_crystal = False
    elif largest is not None:
        raise ValueError("--largest selects from a collection: name a collection, or omit it.")
    else:
        structures = [load(source, charge=charge, spin=spin, index=index) for source in sources]
        structures, is_crystal = _of_one_kind(structures, twist, supercell)
    if is_crystal:
        sampling = Displaced(0.05 if sigma is None else sigma, strain=strain, slide=slide)
    else:
        engine_settings = {"grid": grid, "conv_tol_grad": gradient, **engine_settings}
        engine_settings |= {"density_fitting": True} if density_fitting else {}
        sampling = sampling if sigma is None else Displaced(sigma=sigma)
    requested = {"train": train, "valid": valid, "test": test}
    path = run_job(
        structures,
        out,
        sizes | {split: n for split, n in requested.items() if n is not None},
        sampling=sampling,
        engine=engine,
        basis=basis,
        xc=xc,
        seed=seed,
        processes=processes,
        allow_failures=allow_failures,
        **engine_settings,
    )
    result = contents(path)
    show(result, f"{path}: {result['samples']} samples, sha256 {result['sha256']}", as_json)


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


@exporting.command("deeph")
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
    """Write each sample as a folder that DeepH can read."""
    from workbench.datasets.conversion import export_files
    from workbench.datasets.dataset import Dataset

    with Dataset(dataset) as data:
        form = "deeph-present" if layout is Layout.present else "deeph"
        root = export_files(form, data, out, split=split, progress=not as_json, overwrite=overwrite)
        written = len(data) if split is None else len(data.split(split))
    result = {"path": str(root), "structures": written}
    show(result, f"{root}: {written} structures", as_json)
