"""Commands that measure a trained model: ``evaluate``, ``calibrate`` and ``rotate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import (
    Charge,
    Functional,
    Grid,
    Index,
    Json,
    ModelName,
    Overwrite,
    Seed,
    Spin,
    Structure,
    lines,
    show,
)
from workbench.cli.words import shows_progress


def evaluate(
    model: ModelName = "water",
    dataset: Annotated[str, typer.Option(help="Bundled dataset or .h5 file.")] = "water",
    split: Annotated[str, typer.Option(help="Split to use, e.g. train, valid or test.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Use at most this many samples.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the errors of both stages on a dataset: matrix, energy levels and orbitals.

    Examples:
        python -m workbench evaluate --model water --dataset water --limit 100
        python -m workbench evaluate --model runs/water/model.safetensors --dataset water.h5 --json
    """
    from workbench.datasets.dataset import Dataset
    from workbench.evaluation.model_errors import evaluate as evaluated
    from workbench.models.checkpoint import load_model

    with Dataset(dataset) as data:
        errors = evaluated(
            load_model(model), data, split=split, limit=limit, progress=shows_progress(as_json)
        )
    show(errors, lines(errors), as_json)


def calibrate(
    model: Annotated[str, typer.Argument(help="Bundled model or .safetensors file.")],
    dataset: Annotated[str, typer.Option(help="Bundled dataset or .h5 file of molecules.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model to write, .safetensors.")],
    split: Annotated[str, typer.Option(help="Split that the model was not trained on.")] = "valid",
    grid: Annotated[
        int, typer.Option(help="PySCF grid level of the Fock matrices of `predict --check`.")
    ] = 1,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Measure on labelled molecules how a model's error can be estimated without labels.

    Examples:
        python -m workbench calibrate ethanol --dataset ethanol --out calibrated.safetensors
    """
    from workbench.datasets.dataset import Dataset
    from workbench.evaluation.ghost_levels import with_fitted_kappa
    from workbench.evaluation.self_consistency import calibrate as measured
    from workbench.models.checkpoint import load_model, save_model
    from workbench.storage.output_check import check_writable

    trained = load_model(model)
    with Dataset(dataset) as data:
        check_writable(out, sources=[data.path], overwrite=overwrite)
        samples = data.split(split).tolist()
        kappa = with_fitted_kappa(trained, data, samples, progress=shows_progress(as_json))
        calibration = measured(trained, data, samples, grid=grid, progress=shows_progress(as_json))
    save_model(trained, out, {**trained.info, "calibration": calibration})
    result = {"kappa": kappa, **calibration, "written": str(out)}
    show(result, lines(result), as_json)


def rotate(
    source: Structure,
    axis: Annotated[tuple[float, float, float], typer.Option(help="Rotation axis x y z.")] = (
        1.0,
        1.0,
        0.0,
    ),
    degrees: Annotated[float, typer.Option(help="Rotation angle, degrees.")] = 40.0,
    samples: Annotated[
        int | None, typer.Option(help="Use this many random rotations instead.")
    ] = None,
    model: ModelName = "water",
    xc: Functional = "pbe",
    grid: Grid = 4,
    relativity: Annotated[
        str,
        typer.Option(help="Spin-orbit coupling in PySCF for a model with spin: ecp or x2c."),
    ] = "ecp",
    charge: Charge = None,
    spin: Spin = None,
    index: Index = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Report the equivariance errors of PySCF and both stages under rotations and inversion.

    Examples:
        python -m workbench rotate water
        python -m workbench rotate water --samples 20 --seed 1 --json
    """
    from workbench.engines.dispatch import pyscf
    from workbench.evaluation.equivariance import equivariance
    from workbench.hamiltonians.rotations import rotation
    from workbench.models.checkpoint import load_model
    from workbench.structures.loading import load

    trained = load_model(model)
    basis = trained.basis
    report = equivariance(
        {
            "PySCF": pyscf(basis.name, xc, grid, spin_orbit=basis.spinor, relativity=relativity),
            "stage 1": trained.stage1,
            "stages 1+2": trained,
        },
        load(source, charge=charge, spin=spin, index=index),
        rotation(axis, degrees) if samples is None else None,
        samples=1 if samples is None else samples,
        seed=seed,
    )
    show(report.to_json(), report.table(), as_json)
