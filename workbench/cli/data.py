"""The commands that make datasets: ``label``, ``part``, ``import`` and ``export``."""

from __future__ import annotations

from contextlib import ExitStack
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
    Overwrite,
    Seed,
    Spin,
    show,
)
from workbench.cli.settings import assignments

if TYPE_CHECKING:
    from ase import Atoms

importing = typer.Typer(no_args_is_help=True, help="Convert another program's files to a dataset.")
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
    result = _contents(path)
    show(result, f"{path}: {result['samples']} samples, sha256 {result['sha256']}", as_json)


def part(
    source: DatasetSource,
    out: DatasetFile,
    train: Annotated[int, typer.Option(help="Copy this many training samples.")] = 0,
    valid: Annotated[int, typer.Option(help="Copy this many validation samples.")] = 0,
    test: Annotated[int, typer.Option(help="Copy this many test samples.")] = 0,
    twisted: Annotated[
        int, typer.Option(help="Copy this many test samples of --twisted-from.")
    ] = 0,
    twisted_from: Annotated[
        str | None,
        typer.Option(help="Dataset of twisted cells, for a separate split named twisted."),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(help="Resolution of H, eV; a coarser one gives a smaller file."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Copy the first samples of each split to a new dataset, which records its source."""
    from workbench.datasets.dataset import Dataset
    from workbench.datasets.writing import write_part
    from workbench.storage.lock import locked_file

    if (twisted_from is None) != (not twisted):
        raise ValueError("Twisted cells need both options: --twisted 3 --twisted-from FILE.")
    sizes = {"train": train, "valid": valid, "test": test}
    with ExitStack() as files:
        dataset = files.enter_context(Dataset(source))
        more = {}
        if twisted_from is not None:
            more["twisted"] = files.enter_context(Dataset(twisted_from)), twisted
        with locked_file(out, sources=[dataset.path], overwrite=overwrite):
            kept = {name: n for name, n in sizes.items() if n}
            digest = write_part(dataset, out, kept, step, more)
    result = {"path": str(out), "bytes": out.stat().st_size, "sha256": digest}
    show(result, f"{out}: {result['bytes']} bytes, sha256 {digest}", as_json)


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


def _contents(path: Path) -> dict[str, Any]:
    """Number of samples, split sizes and hash of a dataset."""
    from workbench.datasets.dataset import Dataset

    with Dataset(path) as dataset:
        return {
            "path": str(path),
            "samples": len(dataset),
            "splits": {name: len(dataset.split(name)) for name in dataset.splits},
            "sha256": dataset.hash,
        }


_TrainShare = Annotated[float, typer.Option("--train", help="Fraction of structures to train on.")]
_ValidShare = Annotated[float, typer.Option("--valid", help="Fraction to validate on.")]
_TestShare = Annotated[float, typer.Option("--test", help="Fraction to test on.")]
_SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out broken structures, and list them.")
]
_SplitSeed = Annotated[int, typer.Option("--seed", help="Seed of the random split.")]
_BasisName = Annotated[str, typer.Option("--basis", help="Name to give to the basis.")]


@importing.command("deeph")
def import_deeph(
    root: Annotated[Path, typer.Argument(help="Folder that contains one folder per structure.")],
    out: DatasetFile,
    train: _TrainShare = 0.6,
    valid: _ValidShare = 0.2,
    test: _TestShare = 0.2,
    seed: _SplitSeed = 0,
    basis: _BasisName = "deeph",
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert folders of DeepH in either layout; every structure is validated as it is read."""
    shares = train, valid, test
    convert("deeph", [root], out, shares, seed, basis, as_json, overwrite, skip_bad)


@importing.command("sisl")
def import_sisl(
    sources: Annotated[
        list[Path],
        typer.Argument(help=".HSX, .nc or .fdf files, or folders with .HSX files at any depth."),
    ],
    out: DatasetFile,
    train: _TrainShare = 0.6,
    valid: _ValidShare = 0.2,
    test: _TestShare = 0.2,
    seed: _SplitSeed = 0,
    basis: _BasisName = "siesta",
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert SIESTA calculations through sisl; every structure is validated as it is read."""
    shares = train, valid, test
    convert("sisl", sources, out, shares, seed, basis, as_json, overwrite, skip_bad)


def convert(
    form: str,
    sources: list[Path],
    out: Path,
    shares: tuple[float, float, float],
    seed: int,
    basis: str,
    as_json: bool,
    overwrite: bool,
    skip_bad: bool,
    limit: int | None = None,
    published: str | None = None,
) -> None:
    """The body of each import: convert, then print what the dataset contains and the residuals."""
    from workbench.datasets.conversion import import_files
    from workbench.datasets.dataset import Dataset
    from workbench.storage.output_check import check_writable

    check_writable(out, overwrite=overwrite)
    path = import_files(
        form,
        sources,
        out,
        shares=dict(zip(("train", "valid", "test"), shares, strict=True)),
        seed=seed,
        basis_name=basis,
        progress=not as_json,
        overwrite=overwrite,
        skip_bad=skip_bad,
        limit=limit,
        published=published,
    )
    result = _contents(path)
    with Dataset(path) as dataset:
        result["largest_residuals"] = dataset.provenance["largest_residuals"]
        skipped = dataset.provenance.get("skipped", {})
    lines = [f"{path}: {result['samples']} structures, sha256 {result['sha256']}"]
    if skip_bad:
        result["skipped"] = skipped
        lines.append(f"  {len(skipped)} structures left out")
        lines += [f"    {name}: {reason}" for name, reason in skipped.items()]
    lines += [f"  {name:<20} {value:.3g}" for name, value in result["largest_residuals"].items()]
    show(result, "\n".join(lines), as_json)


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
