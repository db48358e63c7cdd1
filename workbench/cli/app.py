"""The command line: ``python -m workbench`` or ``workbench``.

Each command calls one function of the library and prints the result as text or, with ``--json``, as
one JSON object whose keys contain the units. Errors that the library foresees are printed as one
sentence on stderr, with exit code 2; ``--debug`` before the command shows the traceback.

A command imports the library when it runs: a help page should not wait for PyTorch.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from workbench.cli import data as data_commands
from workbench.cli.options import (
    DatasetSource,
    Functional,
    Grid,
    Json,
    ModelName,
    Seed,
    Settings,
    Stage1,
    Stage2,
    Structure,
    show,
)
from workbench.cli.settings import budget, configured, second_budget

if TYPE_CHECKING:
    from ase import Atoms

    from workbench.hamiltonians.block_matrix import BlockMatrix
    from workbench.models.prediction import Prediction
    from workbench.training.loop import StepRecord

_FORESEEN = (ValueError, RuntimeError, FileNotFoundError, ImportError)


class _OneSentence(TyperGroup):
    """Commands that print a foreseen error as one sentence instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except _FORESEEN as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_OneSentence, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)
app.command()(data_commands.label)
app.command()(data_commands.part)
app.add_typer(data_commands.importing, name="import")
app.add_typer(data_commands.exporting, name="export")


def main() -> None:
    """Run the command line; SIGTERM acts as Ctrl-C, so that a stopped command saves its state."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="workbench")


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Predict electronic Hamiltonians in two stages and test their rotation equivariance."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open the start page in JupyterLab; further options are passed to JupyterLab."""
    from workbench.cli.jupyterlab import lab_command, lab_environment

    command = lab_command(context.args)
    sys.stdout.flush()
    os.execvpe(command[0], command, lab_environment())


@app.command("class", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def class_(
    context: typer.Context,
    pages: Annotated[
        int | None,
        typer.Option(min=1, help="Largest number of open pages (default: as memory allows)."),
    ] = None,
) -> None:
    """Serve the notebooks to a class, without code (Voila); further options go to Voila."""
    from workbench.cli.jupyterlab import require

    require("class")
    from workbench.cli.classroom import serve

    serve(context.args, pages)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Report versions and data, and test every convention by rotating and recomputing."""
    from workbench.cli.doctor import describe, diagnose

    diagnosis = diagnose()
    show(diagnosis, describe(diagnosis), as_json)
    raise typer.Exit(0 if diagnosis["ok"] else 1)


@app.command()
def train(
    dataset: DatasetSource,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    stage1: Stage1 = "600s",
    stage2: Stage2 = "300s",
    start: Annotated[
        str | None, typer.Option(help="Trained model (name or file) to continue from.")
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Train both stages; after Ctrl-C the same command resumes the training."""
    from workbench.datasets.dataset import Dataset
    from workbench.models.checkpoint import load_model
    from workbench.models.config import ModelConfig
    from workbench.training.config import TrainConfig
    from workbench.training.loop import train as training

    budgets = TrainConfig(stage1=budget(stage1), stage2=second_budget(stage2))
    first = load_model(start) if start is not None else None
    config, train_config = configured(
        settings or [], first.config if first else ModelConfig(), budgets
    )
    last = None
    with (
        _resumable(out),
        Dataset(dataset) as data,
        # Closing the generator writes the state of the run.
        closing(
            training(config, data, train_config, out, start=first, announce=_announce)
        ) as records,
    ):
        for record in _with_progress(records, silent=as_json):
            last = record
    checkpoint = out / "model.safetensors"
    result = {"checkpoint": str(checkpoint), "phase": getattr(last, "label", None)}
    keys = ("step", "loss_ev", "valid_mae_ev", "cpu_seconds")
    result |= {key: getattr(last, key, None) for key in keys}
    show(result, f"Trained: {checkpoint}", as_json)


@app.command()
def reproduce(
    code: Annotated[str, typer.Argument(help="Published set: MG, MM, BG, BB, BT or BS.")],
    data: Annotated[Path, typer.Option(help="The downloaded data: DeepH folders at any depth.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run (default runs/CODE).")
    ] = None,
    twisted: Annotated[
        Path | None, typer.Option(help="Folders of twisted cells, for a separate test split.")
    ] = None,
    stage1: Stage1 = "3600s",
    stage2: Stage2 = "3600s",
    settings: Settings = None,
    seed: Annotated[int, typer.Option(help="Seed that draws the published split sizes.")] = 0,
    as_json: Json = False,
) -> None:
    """Reproduce a published benchmark, from the download to the table; repeat it to resume."""
    from workbench.datasets.dataset import Dataset
    from workbench.datasets.published_sets import benchmark_system
    from workbench.evaluation.reproduction import BATCH, Reproduction, default_config, table
    from workbench.models.config import ModelConfig
    from workbench.training.config import TrainConfig
    from workbench.training.loop import train as training

    system = benchmark_system(code)
    budgets = TrainConfig(stage1=budget(stage1), stage2=second_budget(stage2), batch_size=BATCH)
    configured(settings or [], ModelConfig(), budgets)  # report a typo before hours of reading
    run = Reproduction(system, Path("runs", system.code.lower()) if out is None else out)
    with _resumable(run.folder):
        with Dataset(run.prepare(data, twisted, seed, progress=not as_json)) as dataset:
            config, train_config = configured(settings or [], default_config(system), budgets)
            with closing(
                training(config, dataset, train_config, run.folder, announce=_announce)
            ) as records:
                for _ in _with_progress(records, silent=as_json):
                    pass
        report = run.report(progress=not as_json)
    splits = ", ".join(f"{count} {name}" for name, count in report["splits"].items())
    text = f"{table(system, report['measured'])}\n{run.checkpoint}: {splits}"
    text += f" structures (published: {system.structures})"
    show(report | {"checkpoint": str(run.checkpoint)}, text, as_json)


@app.command()
def evaluate(
    model: ModelName = "water",
    dataset: Annotated[str, typer.Option(help="Bundled dataset or .h5 file.")] = "water",
    split: Annotated[str, typer.Option(help="Split to use, e.g. train, valid or test.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Use at most this many samples.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the errors of both stages on a dataset: matrix, energy levels and orbitals."""
    from workbench.datasets.dataset import Dataset
    from workbench.evaluation.model_errors import evaluate as evaluated
    from workbench.models.checkpoint import load_model

    with Dataset(dataset) as data:
        errors = evaluated(load_model(model), data, split=split, limit=limit, progress=not as_json)
    show(errors, _lines(errors), as_json)


@app.command()
def predict(
    source: Structure,
    model: ModelName = "water",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write H of both stages and S, .npz.")
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(help="Write a density matrix for PySCF's kernel(dm0=...), .npy."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict the Hamiltonian of a structure and, for a molecule, its energy levels."""
    import numpy as np

    from workbench.engines.pyscf_molecules import overlap
    from workbench.engines.warm_start import warm_start as density_matrix
    from workbench.hamiltonians.conventions import MEV
    from workbench.models.checkpoint import load_model
    from workbench.structures.loading import load

    atoms = load(source)
    if warm_start is not None and atoms.pbc.any():
        raise ValueError("A warm start is for molecules only: omit --warm-start.")
    prediction = load_model(model).predict(atoms)
    result = {
        "formula": atoms.get_chemical_formula(),
        "orbitals": prediction.refined.n_ao,
        "refinement_mae_mev": (prediction.refined - prediction.baseline).mae() * MEV,
    }
    if atoms.pbc.any():
        result["blocks"] = len(prediction.refined.values)
        result["note"] = "bands also need the overlap matrix, which `wb.reference` computes"
        arrays = _blocks(prediction)
    else:
        S = overlap(atoms, prediction.refined.basis)
        result |= _levels(atoms, prediction, S)
        arrays = _dense(baseline=prediction.baseline, refined=prediction.refined, overlap=S)
    if out is not None:
        np.savez(out, allow_pickle=False, **arrays)
        result["written"] = str(out)
    if warm_start is not None:
        np.save(warm_start, density_matrix(atoms, prediction.refined), allow_pickle=False)
        result["warm_start"] = str(warm_start)
    show(result, _lines(result), as_json)


def _levels(atoms: Atoms, prediction: Prediction, S: BlockMatrix) -> dict[str, Any]:
    """HOMO-LUMO gap and energy levels of a molecule, eV."""
    from workbench.engines.pyscf_molecules import electrons
    from workbench.hamiltonians.eigenproblem import gap, levels

    H = prediction.refined
    gap_ev = gap(H, S, electrons(atoms, H.basis.name))
    return {"gap_ev": gap_ev, "levels_ev": levels(H, S).tolist()}


@app.command()
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
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Report the equivariance errors of PySCF and both stages under rotations and inversion."""
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
        load(source),
        rotation(axis, degrees) if samples is None else None,
        samples=samples or 1,
        seed=seed,
    )
    show(report.to_json(), report.table(), as_json)


def _lines(numbers: dict[str, Any], indent: str = "") -> str:
    """Nested numbers as aligned text."""
    width = max((len(key) for key in numbers), default=0)
    lines = []
    for key, value in numbers.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}", _lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key:<{width}}  {_text(value)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_text(v) for v in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """Turn Ctrl-C into exit code 130 and a sentence that says how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {out} holds the state: the same command resumes the run.", err=True)
        raise typer.Exit(130) from None


def _announce(sentence: str) -> None:
    """Print a sentence on stderr, so that standard output stays what was asked for."""
    typer.echo(sentence, err=True)


def _with_progress(records: Iterable[StepRecord], silent: bool) -> Iterator[StepRecord]:
    """The same records, with one progress bar per phase."""
    from tqdm.auto import tqdm

    from workbench.hamiltonians.conventions import MEV

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    errors = {"loss": "-", "validation": "-"}
    with tqdm(total=1.0, bar_format=form, disable=silent) as bar:
        for record in records:
            if record.progress < bar.n:
                bar.reset()
            bar.set_description(record.label, refresh=False)
            for key, error in (("loss", record.loss_ev), ("validation", record.valid_mae_ev)):
                errors[key] = errors[key] if error is None else f"{error * MEV:.3g} meV"
            bar.set_postfix(errors, refresh=False)
            bar.update(record.progress - bar.n)
            yield record


def _dense(**matrices: BlockMatrix) -> dict[str, Any]:
    """Dense matrices by name, H in eV and the dimensionless overlap, and the name of each row."""
    arrays: dict[str, Any] = {name: m.dense() for name, m in matrices.items()}
    return {"labels": next(iter(matrices.values())).orbital_labels(), **arrays}


def _blocks(prediction: Prediction) -> dict[str, Any]:
    """Blocks (E, M, M) of a crystal in eV, with their atom pairs (2, E) and cells (E, 3)."""
    H = prediction.refined
    arrays = {"baseline": prediction.baseline.values, "refined": H.values}
    return {"labels": H.orbital_labels(), "edges": H.edges, "shifts": H.shifts, **arrays}
