"""The command line: ``python -m workbench`` or ``workbench``.

Thin on purpose: each command calls one function of the library and prints what it returns, as text
or, with ``--json``, as one JSON object whose keys carry the units. Errors that the library foresees
are one sentence on stderr and exit code 2; ``--debug`` before the command shows the traceback.
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

import workbench as wb
from workbench.cli import data as data_commands
from workbench.cli.settings import budget, configured, second_budget

if TYPE_CHECKING:
    from ase import Atoms

_MEV = 1000.0  # meV in an eV
_FORESEEN = (ValueError, RuntimeError, FileNotFoundError, ImportError)


class _OneSentence(TyperGroup):
    """Commands whose foreseen errors are a sentence instead of a traceback."""

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

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="Bundled name or .safetensors path.")]
Source = Annotated[str, typer.Argument(help="Bundled name, file, or smiles:...")]
Out = Annotated[Path, typer.Option("--out", "-o", help="What to write.")]
BasisName = Annotated[str, typer.Option("--basis", help="Any basis that PySCF knows.")]
Functional = Annotated[str, typer.Option("--xc", help="Functional, or hf.")]
Grid = Annotated[int, typer.Option("--grid", help="Integration grid, 0 to 9.")]
Seed = Annotated[int, typer.Option("--seed", help="Of everything random.")]


def main() -> None:
    """Run the command line; being told to end is as good as Ctrl-C, so nothing is lost or left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="workbench")


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback.")] = False,
) -> None:
    """Predict electronic Hamiltonians in two stages, and check that they turn as they must."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open the start page in JupyterLab; options after it go to JupyterLab."""
    from workbench.cli.jupyterlab import lab_command, lab_environment

    command = lab_command(context.args)
    sys.stdout.flush()
    os.execvpe(command[0], command, lab_environment())


@app.command("class", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def class_(
    context: typer.Context,
    pages: Annotated[
        int | None, typer.Option(min=1, help="Open at once; what the free memory holds.")
    ] = None,
) -> None:
    """Serve the pages without code for a class (Voila); options after it go to Voila."""
    from workbench.cli.jupyterlab import require

    require("class")
    from workbench.cli.classroom import serve

    serve(context.args, pages)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Report versions, and prove every convention by rotating and recomputing."""
    from workbench.cli.doctor import describe, diagnose

    diagnosis = diagnose()
    data_commands.show(diagnosis, describe(diagnosis), as_json)
    raise typer.Exit(0 if diagnosis["ok"] else 1)


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="Bundled name or .h5 path.")],
    out: Out,
    stage1: Annotated[str, typer.Option(help="CPU seconds (600s) or steps (5000).")] = "600s",
    stage2: Annotated[str, typer.Option(help="The same; none leaves it out.")] = "300s",
    start: Annotated[
        str | None, typer.Option(help="A trained model (name or file) to go on from.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value of ModelConfig or TrainConfig; repeat."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train both stages; stop with Ctrl-C and go on with the same command."""
    asked = wb.TrainConfig(stage1=budget(stage1), stage2=second_budget(stage2))
    first = wb.load_model(start) if start is not None else None
    config, how = configured(settings or [], first.config if first else wb.ModelConfig(), asked)
    last = None
    with (
        _stoppable(out),
        wb.Dataset(dataset) as data,
        # Closing the generator is what writes the state.
        closing(wb.train(config, data, how, out, start=first)) as records,
    ):
        for record in _with_progress(records, silent=as_json):
            last = record
    checkpoint = out / "model.safetensors"
    result = {"checkpoint": str(checkpoint), "phase": getattr(last, "label", None)}
    keys = ("step", "loss_ev", "valid_mae_ev", "cpu_seconds")
    result |= {key: getattr(last, key, None) for key in keys}
    data_commands.show(result, f"Trained: {checkpoint}", as_json)


@app.command()
def reproduce(
    code: Annotated[str, typer.Argument(help="MG, MM, BG, BB, BT or BS.")],
    data: Annotated[Path, typer.Option(help="The download: DeepH's folders, at any depth.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; runs/CODE unless given.")
    ] = None,
    twisted: Annotated[
        Path | None, typer.Option(help="Folders of twisted cells, for a test of their own.")
    ] = None,
    stage1: Annotated[str, typer.Option(help="CPU seconds (3600s) or steps.")] = "3600s",
    stage2: Annotated[str, typer.Option(help="The same; none leaves it out.")] = "3600s",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value of ModelConfig or TrainConfig; repeat."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawing of the published split.")] = 0,
    as_json: Json = False,
) -> None:
    """From a published download to the literature's table; the same command again goes on."""
    from workbench.datasets.published_sets import benchmark_system
    from workbench.evaluation.reproduction import BATCH, Reproduction, default_config, table

    system = benchmark_system(code)
    asked = wb.TrainConfig(stage1=budget(stage1), stage2=second_budget(stage2), batch_size=BATCH)
    configured(settings or [], wb.ModelConfig(), asked)  # refused before hours of reading
    run = Reproduction(system, Path("runs", system.code.lower()) if out is None else out)
    with _stoppable(run.folder):
        with wb.Dataset(run.prepare(data, twisted, seed, progress=not as_json)) as dataset:
            config, how = configured(settings or [], default_config(dataset, system), asked)
            with closing(wb.train(config, dataset, how, run.folder)) as records:
                for _ in _with_progress(records, silent=as_json):
                    pass
        report = run.report(progress=not as_json)
    splits = ", ".join(f"{count} {name}" for name, count in report["splits"].items())
    text = f"{table(system, report['measured'])}\n{run.checkpoint}: {splits}"
    text += f" structures (published: {system.structures})"
    data_commands.show(report | {"checkpoint": str(run.checkpoint)}, text, as_json)


@app.command()
def evaluate(
    model: ModelName = "water",
    dataset: Annotated[str, typer.Option(help="Bundled name or .h5 path.")] = "water",
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Use only so many samples.")] = None,
    as_json: Json = False,
) -> None:
    """Measure both stages against the labels: matrix, levels and orbitals."""
    with wb.Dataset(dataset) as data:
        numbers = wb.evaluate(
            wb.load_model(model), data, split=split, limit=limit, progress=not as_json
        )
    data_commands.show(numbers, _lines(numbers), as_json)


@app.command()
def predict(
    source: Source,
    model: ModelName = "water",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write H of both stages and S, .npz.")
    ] = None,
    warm_start: Annotated[
        Path | None, typer.Option(help="Write a density matrix for PySCF's kernel(dm0=...), .npy.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict the Hamiltonian of a structure and, of a molecule, its levels."""
    import numpy as np

    atoms = wb.load(source)
    if warm_start is not None and atoms.pbc.any():
        raise ValueError("A warm start is for molecules only: leave out --warm-start.")
    prediction = wb.load_model(model).predict(atoms)
    result = {
        "formula": atoms.get_chemical_formula(),
        "orbitals": prediction.refined.n_ao,
        "refinement_mae_mev": (prediction.refined - prediction.baseline).mae() * _MEV,
    }
    if atoms.pbc.any():
        result["blocks"] = len(prediction.refined.values)
        result["note"] = "bands also need the overlap matrix, which `wb.reference` computes"
        arrays = _blocks(prediction)
    else:
        S = wb.overlap(atoms, prediction.refined.basis)
        result |= _levels(atoms, prediction, S)
        arrays = _dense(baseline=prediction.baseline, refined=prediction.refined, overlap=S)
    if out is not None:
        np.savez(out, allow_pickle=False, **arrays)
        result["written"] = str(out)
    if warm_start is not None:
        np.save(warm_start, wb.warm_start(atoms, prediction.refined), allow_pickle=False)
        result["warm_start"] = str(warm_start)
    data_commands.show(result, _lines(result), as_json)


def _levels(atoms: Atoms, prediction: wb.Prediction, S: wb.BlockMatrix) -> dict[str, Any]:
    """Gap and levels of a molecule, eV."""
    from workbench.engines.pyscf_molecules import electrons

    H = prediction.refined
    gap = wb.gap(H, S, electrons(atoms, H.basis.name))
    return {"gap_ev": gap, "levels_ev": wb.levels(H, S).tolist()}


@app.command()
def rotate(
    source: Source,
    axis: Annotated[tuple[float, float, float], typer.Option(help="x y z.")] = (1.0, 1.0, 0.0),
    degrees: Annotated[float, typer.Option(help="Angle about the axis.")] = 40.0,
    samples: Annotated[
        int | None, typer.Option(help="Draw so many random rotations instead.")
    ] = None,
    model: ModelName = "water",
    xc: Functional = "pbe",
    grid: Grid = 4,
    relativity: Annotated[
        str, typer.Option(help="Of a model with spin: how PySCF couples it, ecp or x2c.")
    ] = "ecp",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Turn a structure, and report how far PySCF and both stages are from turning along."""
    trained = wb.load_model(model)
    basis = trained.basis
    report = wb.equivariance(
        {
            "PySCF": wb.pyscf(basis.name, xc, grid, spin_orbit=basis.spinor, relativity=relativity),
            "stage 1": trained.stage1,
            "stages 1+2": trained,
        },
        wb.load(source),
        wb.rotation(axis, degrees) if samples is None else None,
        samples=samples or 1,
        seed=seed,
    )
    data_commands.show(report.to_json(), report.table(), as_json)


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
def _stoppable(out: Path) -> Iterator[None]:
    """Work on a folder that a stop leaves ready to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Stopped; {out} keeps the state: the same command goes on.", err=True)
        raise typer.Exit(130) from None


def _with_progress(records: Iterable[wb.StepRecord], silent: bool) -> Iterator[wb.StepRecord]:
    """The same records, with one bar per phase."""
    from tqdm.auto import tqdm

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    shown = {"loss": "-", "validation": "-"}
    with tqdm(total=1.0, bar_format=form, disable=silent) as bar:
        for record in records:
            if record.progress < bar.n:
                bar.reset()
            bar.set_description(record.label, refresh=False)
            for key, error in (("loss", record.loss_ev), ("validation", record.valid_mae_ev)):
                shown[key] = shown[key] if error is None else f"{error * _MEV:.3g} meV"
            bar.set_postfix(shown, refresh=False)
            bar.update(record.progress - bar.n)
            yield record


def _dense(**matrices: wb.BlockMatrix) -> dict[str, Any]:
    """Dense matrices in eV (overlap: 1), and the name of each row."""
    arrays: dict[str, Any] = {name: m.dense() for name, m in matrices.items()}
    return {"labels": next(iter(matrices.values())).orbital_labels(), **arrays}


def _blocks(prediction: wb.Prediction) -> dict[str, Any]:
    """Blocks (E, M, M) of a crystal in eV, and for each the atoms (2, E) and the cell (E, 3)."""
    H = prediction.refined
    arrays = {"baseline": prediction.baseline.values, "refined": H.values}
    return {"labels": H.orbital_labels(), "edges": H.edges, "shifts": H.shifts, **arrays}
