"""The commands that import published sets: ``import qh9``, ``nabladft`` and ``schnorb``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.imports import convert
from workbench.cli.options import DatasetFile, Json, Overwrite

__all__ = ["import_nabladft", "import_qh9", "import_schnorb"]

_BASIS = "def2-svp"


class _Split(StrEnum):
    """The splits of QH9's authors; geo has geometries of each molecule in all three."""

    stable_id = "stable-id"
    stable_ood = "stable-ood"
    dynamic_mol = "dynamic-mol"
    dynamic_geo = "dynamic-geo"


_Sources = Annotated[
    list[Path], typer.Argument(help="Databases (.db), or folders with databases at any depth.")
]
_Train = Annotated[float, typer.Option("--train", help="Fraction of molecules to train on.")]
_Valid = Annotated[float, typer.Option("--valid", help="Fraction to validate on.")]
_Test = Annotated[float, typer.Option("--test", help="Fraction to test on.")]
_Seed = Annotated[int, typer.Option("--seed", help="Seed of the random split and of --limit.")]
_Limit = Annotated[
    int | None, typer.Option(help="Import only this many structures, drawn at random.")
]
_Basis = Annotated[str, typer.Option("--basis", help="Any name but def2-svp stores the overlap.")]
_Published = Annotated[
    _Split | None, typer.Option(help="The authors' split of a complete file; not at random.")
]
_SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out broken structures, and list them.")
]


def import_qh9(
    sources: _Sources,
    out: DatasetFile,
    train: _Train = 0.8,
    valid: _Valid = 0.1,
    test: _Test = 0.1,
    seed: _Seed = 0,
    limit: _Limit = None,
    published: _Published = None,
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert QH9Stable.db or QH9Dynamic.db; a molecule's geometries stand in one split.

    Examples:
        python -m workbench import qh9 QH9Stable.db --out qh9.h5 --limit 5000
        python -m workbench import qh9 QH9Stable.db --out qh9.h5 --published stable-id
    """
    split = None if published is None else published.value
    if split is not None and limit is not None:
        raise ValueError("A published split is that of a complete file: leave out --limit.")
    shares = train, valid, test
    convert("qh9", sources, out, shares, seed, _BASIS, as_json, overwrite, skip_bad, limit, split)


def import_nabladft(
    sources: _Sources,
    out: DatasetFile,
    train: _Train = 0.8,
    valid: _Valid = 0.1,
    test: _Test = 0.1,
    seed: _Seed = 0,
    limit: _Limit = None,
    basis: _Basis = _BASIS,
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert nablaDFT's Hamiltonian databases; a molecule's conformers stand in one split.

    Examples:
        python -m workbench import nabladft train_2k.db --out nabla.h5 --limit 1000
    """
    shares = train, valid, test
    convert("nabladft", sources, out, shares, seed, basis, as_json, overwrite, skip_bad, limit)


def import_schnorb(
    sources: _Sources,
    out: DatasetFile,
    train: _Train = 0.8,
    valid: _Valid = 0.1,
    test: _Test = 0.1,
    seed: _Seed = 0,
    limit: _Limit = None,
    basis: _Basis = _BASIS,
    skip_bad: _SkipBad = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert SchNOrb's databases of MD17, whose geometries are split at random.

    Examples:
        python -m workbench import schnorb schnorb_hamiltonian_water.db --out water.h5
    """
    shares = train, valid, test
    convert("schnorb", sources, out, shares, seed, basis, as_json, overwrite, skip_bad, limit)
