"""The commands ``import ...``: other programs' files become datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.data import contents
from workbench.cli.help_pages import Command, Group
from workbench.cli.options import DatasetFile, Json, Overwrite, show
from workbench.cli.words import shows_progress

importing = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Convert another program's files to a dataset.\n\n"
    "Examples:\n  python -m workbench import deeph FOLDER --out mine.h5",
)

_TrainShare = Annotated[float, typer.Option("--train", help="Fraction of structures to train on.")]
_ValidShare = Annotated[float, typer.Option("--valid", help="Fraction to validate on.")]
_TestShare = Annotated[float, typer.Option("--test", help="Fraction to test on.")]
_SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out broken structures, and list them.")
]
_SplitSeed = Annotated[int, typer.Option("--seed", help="Seed of the random split.")]
_BasisName = Annotated[str, typer.Option("--basis", help="Name to give to the basis.")]


@importing.command("deeph", cls=Command)
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
    """Convert folders of DeepH in either layout; every structure is validated as it is read.

    Examples:
        python -m workbench import deeph FOLDER --out mine.h5
        python -m workbench import deeph FOLDER --out mine.h5 --seed 1 --skip-bad
    """
    shares = train, valid, test
    convert("deeph", [root], out, shares, seed, basis, as_json, overwrite, skip_bad)


@importing.command("sisl", cls=Command)
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
    """Convert SIESTA calculations through sisl; every structure is validated as it is read.

    Examples:
        python -m workbench import sisl run1/siesta.HSX run2/siesta.HSX --out mine.h5
    """
    shares = train, valid, test
    convert("sisl", sources, out, shares, seed, basis, as_json, overwrite, skip_bad)


@importing.command("abacus", cls=Command)
def import_abacus(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Folders that contain OUT folders of ABACUS, or files of H(R)."),
    ],
    out: DatasetFile,
    train: _TrainShare = 0.6,
    valid: _ValidShare = 0.2,
    test: _TestShare = 0.2,
    seed: _SplitSeed = 0,
    basis: _BasisName = "abacus",
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert ABACUS calculations; every structure is validated as it is read.

    Examples:
        python -m workbench import abacus FOLDER --out mine.h5
    """
    shares = train, valid, test
    convert("abacus", sources, out, shares, seed, basis, as_json, overwrite, skip_bad)


@importing.command("openmx", cls=Command)
def import_openmx(
    sources: Annotated[
        list[Path],
        typer.Argument(help=".scfout files, or folders with such files at any depth."),
    ],
    out: DatasetFile,
    train: _TrainShare = 0.6,
    valid: _ValidShare = 0.2,
    test: _TestShare = 0.2,
    seed: _SplitSeed = 0,
    basis: _BasisName = "openmx",
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert OpenMX calculations; every structure is validated as it is read.

    Examples:
        python -m workbench import openmx FOLDER --out mine.h5
    """
    shares = train, valid, test
    convert("openmx", sources, out, shares, seed, basis, as_json, overwrite, skip_bad)


_FOUND = ("time_reversal", "lowered_symmetry")
"""What a validation may have found, as the provenance says it."""


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
        progress=shows_progress(as_json),
        overwrite=overwrite,
        skip_bad=skip_bad,
        limit=limit,
        published=published,
    )
    result = contents(path)
    with Dataset(path) as dataset:
        result["largest_residuals"] = dataset.provenance["largest_residuals"]
        skipped = dataset.provenance.get("skipped", {})
        result["kind"] = kind = "crystals" if dataset.periodic else "molecules"
        found = {k: dataset.provenance[k] for k in _FOUND if k in dataset.provenance}
    lines = [f"{path}: {result['samples']} {kind}, sha256 {result['sha256']}"]
    if skip_bad:
        result["skipped"] = skipped
        lines.append(f"  {len(skipped)} structures left out")
        lines += [f"    {name}: {reason}" for name, reason in skipped.items()]
    lines += [f"  {name:<20} {value:.3g}" for name, value in result["largest_residuals"].items()]
    result |= found
    if not found.get("time_reversal", True):
        lines.append("  time_reversal=false: train with `--set time_reversal=false`")
    if number := found.get("lowered_symmetry"):
        lines.append(f"  {number} of a lower symmetry than the atoms, as in an external field")
    show(result, "\n".join(lines), as_json)
