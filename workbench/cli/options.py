"""Arguments and options that several commands share, and how a command prints its result."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.standard_input import of_standard_input
from workbench.cli.words import heard_warnings

__all__ = [
    "BandFiles",
    "BandPath",
    "BandPoints",
    "Charge",
    "DatasetFile",
    "DatasetSource",
    "Devices",
    "Electrons",
    "Functional",
    "Grid",
    "Index",
    "Indices",
    "Json",
    "Layout",
    "ModelName",
    "OverlapFile",
    "Overwrite",
    "Seed",
    "Settings",
    "Spin",
    "Stage1",
    "Stage2",
    "Structure",
    "Structures",
    "lines",
    "number",
    "show",
]


class Layout(StrEnum):
    """Layouts of DeepH's folders."""

    older = "older"
    present = "present"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ModelName = Annotated[
    str, typer.Option("--model", "-m", help="Bundled model or .safetensors file.")
]
Structure = Annotated[
    str,
    typer.Argument(
        help="Bundled structure, file, smiles:..., or - for xyz from standard input.",
        callback=of_standard_input,
    ),
]
Structures = Annotated[
    list[str],
    typer.Argument(
        help="Structures (as of predict), or the name of one collection.",
        callback=of_standard_input,
    ),
]
DatasetSource = Annotated[str, typer.Argument(help="Bundled dataset or .h5 file.")]
DatasetFile = Annotated[Path, typer.Option("--out", "-o", help="Dataset to write, .h5.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]
Charge = Annotated[int | None, typer.Option("--charge", help="Charge, e (default: the file's).")]
Spin = Annotated[
    int | None, typer.Option("--spin", help="Unpaired electrons (default: the file's).")
]
Index = Annotated[
    int | None,
    typer.Option("--index", help="Structure of a file with several, from 0 (default: the last)."),
]
Indices = Annotated[
    str | None,
    typer.Option(
        "--index",
        help="Structures of a file with several, from 0: 5, 0:10, ::5, or : for all (default: the "
        "last one).",
    ),
]
OverlapFile = Annotated[
    Path | None,
    typer.Option(
        "--overlap",
        help="S of this structure: .npz of --out, a dataset .h5, a folder of DeepH, or .HSX.",
    ),
]
Electrons = Annotated[
    int | None,
    typer.Option(
        "--electrons",
        help="Electrons that H describes (per cell, without pseudopotential cores), where the data "
        "do not say.",
    ),
]
BandFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--bands",
        help="Crystals: write the bands: .png, .svg, .pdf, .csv or .json; repeatable.",
    ),
]
BandPath = Annotated[
    str | None, typer.Option("--path", help="Special points of the bands (default: ASE's path).")
]
BandPoints = Annotated[
    int, typer.Option("--points", min=2, help="Number of k-points along that path.")
]
Functional = Annotated[str, typer.Option("--xc", help="Exchange-correlation functional, or hf.")]
Grid = Annotated[
    int, typer.Option("--grid", help="PySCF integration grid level of molecules, 0 to 9.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")]
Stage1 = Annotated[
    str,
    typer.Option(
        "--stage1", help="Training budget of stage 1: CPU seconds (600s) or steps (5000)."
    ),
]
Stage2 = Annotated[
    str, typer.Option("--stage2", help="Training budget of stage 2, or none to train stage 1 only.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="name=value, one of the settings listed below; repeatable."),
]

Devices = Annotated[
    int | None,
    typer.Option(
        "--devices",
        help="Number of processes, each with one GPU or CPU core, which are started (default 1).",
    ),
]


def number(index: str | None) -> int | None:
    """The number of one structure."""
    try:
        return None if index is None else int(index)
    except ValueError:
        raise ValueError(
            f"--index is {index!r}: give a number from 0, or a slice such as 0:10."
        ) from None


def show(numbers: dict[str, Any], text: str, as_json: bool) -> None:
    """Print a result on stdout as text, or as one JSON object that has the warnings as well."""
    if heard := heard_warnings():
        numbers = numbers | {"warnings": heard}
    typer.echo(json.dumps(numbers, indent=1) if as_json else text)


def lines(numbers: dict[str, Any], indent: str = "") -> str:
    """Nested numbers as aligned text."""
    width = max((len(key) for key in numbers), default=0)
    rows = []
    for key, value in numbers.items():
        if isinstance(value, dict):
            rows += [f"{indent}{key}", lines(value, indent + "  ")]
        else:
            rows.append(f"{indent}{key:<{width}}  {_text(value)}")
    return "\n".join(rows)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_text(v) for v in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
