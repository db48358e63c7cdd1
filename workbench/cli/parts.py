"""The commands that make datasets of datasets: ``part`` and ``merge``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.data import contents
from workbench.cli.options import DatasetFile, DatasetSource, Json, Overwrite, show

if TYPE_CHECKING:
    from workbench.datasets.dataset import Dataset


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
    split: Annotated[
        list[str] | None, typer.Option(help="Copy this whole split; repeatable.")
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(help="Copy the samples with these numbers, e.g. 0:60,75, in their splits."),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(help="Resolution of H, eV; a coarser one gives a smaller file."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Copy the first samples of each split, or chosen ones, to a dataset that names its source.

    Examples:
        python -m workbench part water --out small.h5 --train 50 --valid 10 --test 10
        python -m workbench part water.h5 --out some.h5 --samples 0:60,75
    """
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
            kept |= {name: len(dataset.split(name)) for name in split or []}
            digest = write_part(dataset, out, kept, step, more, _listed(samples or "", dataset))
    result = {"path": str(out), "bytes": out.stat().st_size, "sha256": digest}
    show(result, f"{out}: {result['bytes']} bytes, sha256 {digest}", as_json)


def _listed(text: str, dataset: Dataset) -> list[int]:
    """Parse ``0:60,75`` as numbers of samples of a dataset."""
    numbers: list[int] = []
    for item in filter(None, text.split(",")):
        first, colon, last = item.partition(":")
        try:
            bounds = int(first or 0), int(last or len(dataset)) if colon else int(first) + 1
        except ValueError as error:
            raise ValueError(
                f"'{item}' is no number of a sample and no range: give e.g. --samples 0:60,75."
            ) from error
        numbers += range(*bounds)
    return numbers


def merge(
    sources: Annotated[list[str], typer.Argument(help="Datasets, two or more.")],
    out: DatasetFile,
    drop_repeats: Annotated[
        bool,
        typer.Option(
            "--drop-repeats",
            help="Leave out training samples whose geometry another dataset has in another split.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write one dataset with the samples of several, each in its split; it records its sources.

    Examples:
        python -m workbench merge water.h5 more.h5 --out both.h5
        python -m workbench merge water.h5 more.h5 --out both.h5 --drop-repeats
    """
    from workbench.datasets.dataset import Dataset
    from workbench.datasets.merging import merge_datasets
    from workbench.storage.bundled import dataset_path
    from workbench.storage.lock import locked_file

    with locked_file(out, sources=map(dataset_path, sources), overwrite=overwrite):
        merge_datasets(out, sources, drop_repeats=drop_repeats)
    result = contents(out)
    with Dataset(out) as dataset:
        counts = [of["repeats_left_out"] for of in dataset.provenance["merged_from"]]
    result["repeats_left_out"] = sum(counts)
    lines = [f"{out}: {result['samples']} samples, sha256 {result['sha256']}"]
    if sum(counts):
        lines.append(f"  {sum(counts)} samples with repeated geometries left out")
    show(result, "\n".join(lines), as_json)
