"""The commands that make datasets: ``label``, ``part``, ``import`` and ``export``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import workbench as wb
from workbench.cli.settings import assignments

importing = typer.Typer(no_args_is_help=True, help="Make a dataset of another program's files.")
exporting = typer.Typer(no_args_is_help=True, help="Write a dataset in another program's format.")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_SAMPLES = "{} samples per structure: {}, or 3 of a collection."


def label(
    sources: Annotated[list[str], typer.Argument(help="Structures, or one collection.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write.")],
    train: Annotated[int | None, typer.Option(help=_SAMPLES.format("Training", 500))] = None,
    valid: Annotated[int | None, typer.Option(help=_SAMPLES.format("Validation", 100))] = None,
    test: Annotated[int | None, typer.Option(help=_SAMPLES.format("Test", 1000))] = None,
    largest: Annotated[
        int | None, typer.Option(help="Of a collection, no molecules of more heavy atoms.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of the GFN2 dynamics, K.")] = 500.0,
    sigma: Annotated[
        float | None, typer.Option(help="Displace atoms by this, A, instead of dynamics.")
    ] = None,
    strain: Annotated[float, typer.Option(help="Of crystals, largest random strain.")] = 0.0,
    slide: Annotated[bool, typer.Option(help="Of bilayers: slide the upper one.")] = False,
    supercell: Annotated[str, typer.Option(help="Of crystals, repeat like 3,3,1.")] = "1,1,1",
    twist: Annotated[
        str | None, typer.Option(help="Of bilayers, turn one by the indices m,n, like 1,2.")
    ] = None,
    engine: Annotated[str, typer.Option(help="pyscf, or for crystals gpaw.")] = "pyscf",
    basis: Annotated[str | None, typer.Option(help="Any that the engine knows.")] = None,
    xc: Annotated[str, typer.Option(help="Functional, or hf.")] = "pbe",
    spin_orbit: Annotated[
        bool, typer.Option("--spin-orbit", help="Spinors; of crystals with gpaw.")
    ] = False,
    grid: Annotated[int, typer.Option(help="Of molecules, integration grid, 0 to 9.")] = 4,
    gradient: Annotated[
        float, typer.Option(help="Of molecules, orbital gradient to converge to, Hartree.")
    ] = 1e-8,
    density_fitting: Annotated[
        bool, typer.Option("--density-fitting", help="Of molecules: large ones in half the time.")
    ] = False,
    max_cycle: Annotated[
        int, typer.Option(help="Cycles before a geometry counts as failed.")
    ] = 100,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Of the engine, name=value: mesh=[3,3,1]; repeat."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    processes: Annotated[int, typer.Option(help="-1: one per core.")] = -1,
    allow_failures: Annotated[int, typer.Option(help="Geometries that may fail.")] = 0,
    as_json: _Json = False,
) -> None:
    """Make a dataset; the same command again goes on where it was stopped."""
    from workbench.structures.bilayers import twisted
    from workbench.structures.loading import collection_names
    from workbench.structures.sampling import Displaced, Langevin, RelaxedAndThermal

    structures: Any = sources
    sizes = {"train": 500, "valid": 100, "test": 1000}
    sampling: Any = Langevin(temperature)
    how = {"max_cycle": max_cycle, **assignments(settings or [])}
    how |= {"spin_orbit": True} if spin_orbit else {}
    if sources[0] in collection_names() and len(sources) == 1:
        structures = wb.collection(sources[0], largest)
        sizes = dict.fromkeys(structures, 3)
        sampling = RelaxedAndThermal(replace(RelaxedAndThermal().motion, temperature_K=temperature))
    elif largest is not None:
        raise ValueError("--largest chooses from a collection: name one, or leave it out.")
    else:
        structures = [wb.load(source) for source in sources]
    if not isinstance(structures, dict) and any(atoms.pbc.any() for atoms in structures):
        if twist is not None:
            structures = [twisted(atoms, *_numbers("twist", twist, 2)) for atoms in structures]
        cells = _numbers("supercell", supercell, 3)
        structures = [atoms.repeat(cells) for atoms in structures]
        sampling = Displaced(0.05 if sigma is None else sigma, strain=strain, slide=slide)
    else:
        how = {"grid": grid, "conv_tol_grad": gradient, **how}
        how |= {"density_fitting": True} if density_fitting else {}
        sampling = sampling if sigma is None else Displaced(sigma=sigma)
    asked = {"train": train, "valid": valid, "test": test}
    path = wb.label(
        structures,
        out,
        sizes | {split: n for split, n in asked.items() if n is not None},
        sampling=sampling,
        engine=engine,
        basis=basis,
        xc=xc,
        seed=seed,
        processes=processes,
        allow_failures=allow_failures,
        **how,
    )
    with wb.Dataset(path) as made:
        sizes = {name: len(made.split(name)) for name in made.splits}
        result = {"path": str(path), "samples": len(made), "splits": sizes, "sha256": made.hash}
    show(result, f"{path}: {result['samples']} samples, sha256 {result['sha256']}", as_json)


def part(
    source: Annotated[str, typer.Argument(help="Bundled name or .h5 path.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write.")],
    train: Annotated[int, typer.Option(help="Its first so many training samples.")] = 0,
    valid: Annotated[int, typer.Option(help="The same for validation.")] = 0,
    test: Annotated[int, typer.Option(help="The same for testing.")] = 0,
    twisted: Annotated[int, typer.Option(help="The first so many tests of --twisted-from.")] = 0,
    twisted_from: Annotated[
        str | None, typer.Option(help="A dataset of twisted cells, for a test of their own.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Resolution of H, eV: a coarser one makes a smaller file.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Write a part of a dataset as a dataset of its own, which says what it is a part of."""
    from workbench.datasets.writing import write_part

    if (twisted_from is None) != (not twisted):
        raise ValueError("Twisted cells take both, --twisted 3 --twisted-from FILE.")
    sizes = {"train": train, "valid": valid, "test": test}
    with ExitStack() as files:
        whole = files.enter_context(wb.Dataset(source))
        more = {}
        if twisted_from is not None:
            more["twisted"] = files.enter_context(wb.Dataset(twisted_from)), twisted
        digest = write_part(whole, out, {name: n for name, n in sizes.items() if n}, step, more)
    result = {"path": str(out), "bytes": out.stat().st_size, "sha256": digest}
    show(result, f"{out}: {result['bytes']} bytes, sha256 {digest}", as_json)


def show(numbers: dict[str, Any], text: str, as_json: bool) -> None:
    """Print a result as text or as one JSON object."""
    typer.echo(json.dumps(numbers, indent=1) if as_json else text)


def _numbers(what: str, text: str, count: int) -> tuple[int, ...]:
    """``3,3,1`` as so many numbers."""
    try:
        numbers = tuple(int(n) for n in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or min(numbers) < 1:
        example = ",".join(str(n + 1) for n in range(count))
        raise ValueError(f"'{text}' is no {what}: give {count} whole numbers like {example}.")
    return numbers


_TrainShare = Annotated[float, typer.Option("--train", help="Share of the structures to train on.")]
_ValidShare = Annotated[float, typer.Option("--valid", help="Share to validate on.")]
_TestShare = Annotated[float, typer.Option("--test", help="Share to test on.")]
_Drawing = Annotated[int, typer.Option("--seed", help="Of the drawing of splits.")]
_Called = Annotated[str, typer.Option("--basis", help="What to call the basis.")]
_Out = Annotated[Path, typer.Option("--out", "-o", help="The dataset to write, .h5.")]


@importing.command("deeph")
def import_deeph(
    root: Annotated[Path, typer.Argument(help="Folder with one folder per structure below it.")],
    out: _Out,
    train: _TrainShare = 0.6,
    valid: _ValidShare = 0.2,
    test: _TestShare = 0.2,
    seed: _Drawing = 0,
    basis: _Called = "deeph",
    as_json: _Json = False,
) -> None:
    """Read folders of DeepH-pack and DeepH-E3; each structure is validated as it is read."""
    _import("deeph", [root], out, (train, valid, test), seed, basis, as_json)


@importing.command("sisl")
def import_sisl(
    sources: Annotated[
        list[Path], typer.Argument(help=".HSX, .nc or .fdf files; folders of .HSX, at any depth.")
    ],
    out: _Out,
    train: _TrainShare = 0.6,
    valid: _ValidShare = 0.2,
    test: _TestShare = 0.2,
    seed: _Drawing = 0,
    basis: _Called = "siesta",
    as_json: _Json = False,
) -> None:
    """Read runs of SIESTA through sisl; each structure is validated as it is read."""
    _import("sisl", sources, out, (train, valid, test), seed, basis, as_json)


def _import(
    form: str,
    sources: list[Path],
    out: Path,
    shares: tuple[float, float, float],
    seed: int,
    basis: str,
    as_json: bool,
) -> None:
    """Make the dataset and print a summary."""
    from workbench.datasets.conversion import import_files

    path = import_files(
        form,
        sources,
        out,
        shares=dict(zip(("train", "valid", "test"), shares, strict=True)),
        seed=seed,
        basis_name=basis,
        progress=not as_json,
    )
    with wb.Dataset(path) as made:
        result: dict[str, Any] = {
            "path": str(path),
            "samples": len(made),
            "splits": {name: len(made.split(name)) for name in made.splits},
            "sha256": made.hash,
            "largest_residuals": made.provenance["largest_residuals"],
        }
    lines = [f"{path}: {result['samples']} structures, sha256 {result['sha256']}"]
    lines += [f"  {name:<20} {value:.3g}" for name, value in result["largest_residuals"].items()]
    show(result, "\n".join(lines), as_json)


@exporting.command("deeph")
def export_deeph(
    dataset: Annotated[str, typer.Argument(help="Bundled name or .h5 path.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.")],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    as_json: _Json = False,
) -> None:
    """Write each sample as a folder that DeepH-pack and DeepH-E3 read."""
    from workbench.datasets.conversion import export_files

    with wb.Dataset(dataset) as data:
        root = export_files("deeph", data, out, split=split, progress=not as_json)
        written = len(data) if split is None else len(data.split(split))
    result = {"path": str(root), "structures": written}
    show(result, f"{root}: {written} structures", as_json)
