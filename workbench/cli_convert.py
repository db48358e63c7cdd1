"""The commands ``import`` and ``export``: datasets from and for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import workbench as wb

importing = typer.Typer(no_args_is_help=True, help="Make a dataset of another program's files.")
exporting = typer.Typer(no_args_is_help=True, help="Write a dataset in another program's format.")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@importing.command("deeph")
def import_deeph(
    root: Annotated[Path, typer.Argument(help="Folder with one folder per structure below it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset to write, .h5.")],
    train: Annotated[float, typer.Option(help="Share of the structures to train on.")] = 0.6,
    valid: Annotated[float, typer.Option(help="Share to validate on.")] = 0.2,
    test: Annotated[float, typer.Option(help="Share to test on.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the drawing of splits.")] = 0,
    basis: Annotated[str, typer.Option(help="What to call the basis.")] = "deeph",
    as_json: _Json = False,
) -> None:
    """Read folders of DeepH-pack and DeepH-E3; each is proved to be in order as it comes in."""
    from workbench.conversion import import_deeph as convert

    shares = {"train": train, "valid": valid, "test": test}
    path = convert(root, out, shares=shares, seed=seed, basis_name=basis, progress=not as_json)
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
    typer.echo(json.dumps(result, indent=1) if as_json else "\n".join(lines))


@exporting.command("deeph")
def export_deeph(
    dataset: Annotated[str, typer.Argument(help="Bundled name or .h5 path.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.")],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    as_json: _Json = False,
) -> None:
    """Write each sample as a folder that DeepH-pack and DeepH-E3 read."""
    from workbench.bundled import dataset_path
    from workbench.conversion import export_deeph as convert

    with wb.Dataset(dataset_path(dataset)) as data:
        root = convert(data, out, split=split, progress=not as_json)
        written = len(data) if split is None else len(data.split(split))
    result = {"path": str(root), "structures": written}
    typer.echo(json.dumps(result) if as_json else f"{root}: {written} structures")
