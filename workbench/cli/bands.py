"""The command ``bands``: the bands that ``predict --bands`` writes, under their own name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import (
    BandPath,
    BandPoints,
    Electrons,
    Index,
    Json,
    ModelName,
    OverlapFile,
    Overwrite,
    Structure,
)
from workbench.cli.predict import predict

__all__ = ["bands"]


def bands(
    source: Structure,
    model: ModelName,
    out: Annotated[
        list[Path],
        typer.Option("--out", "-o", help=".png, .svg, .pdf, .csv or .json to write; repeatable."),
    ],
    path: BandPath = None,
    points: BandPoints = 120,
    overlap: OverlapFile = None,
    electrons: Electrons = None,
    index: Index = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Predict the bands of a crystal, as predict --bands does.

    Examples:
        python -m workbench bands sheet.extxyz --model mg-mini --out bands.png
        python -m workbench bands sheet.extxyz --model mg-mini --out bands.csv --path GMKG
    """
    predict(
        source,
        model,
        bands=out,
        path=path,
        points=points,
        overlap=overlap,
        electrons=electrons,
        index=None if index is None else str(index),
        overwrite=overwrite,
        as_json=as_json,
    )
