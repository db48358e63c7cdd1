"""The command line: ``python -m workbench`` or ``workbench``.

Each command calls one function of the library and prints the result as text or, with ``--json``, as
one JSON object whose keys contain the units. An error is printed as one sentence on stderr, with an
exit code of `workbench.cli.exit_codes`; ``--debug`` before the command shows the traceback as well.

A command imports the library when it runs: a help page should not wait for PyTorch.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from workbench.cli import data as data_commands
from workbench.cli import imports as import_commands
from workbench.cli import models as model_commands
from workbench.cli import parts as part_commands
from workbench.cli import published_sets as published_commands
from workbench.cli.exit_codes import ExitCode, explain
from workbench.cli.options import DatasetSource, Json, Settings, Stage1, Stage2, show
from workbench.cli.predict import predict
from workbench.cli.settings import budget, configured, second_budget

if TYPE_CHECKING:
    from workbench.training.loop import StepRecord

_EPILOG = (
    "Exit codes: 0 done; 1 doctor found a fault; 2 wrong input or usage; 3 the system refused (a "
    "file, memory); 4 a fault of the program; 130 interrupted."
)


class _OneSentence(TyperGroup):
    """Commands that print an error as one sentence instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.Abort:
            raise
        except KeyboardInterrupt:
            typer.echo("Stopped.", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own: the end of a command, wrong usage
                raise
            if ctx.params.get("debug"):
                traceback.print_exc()
            code, sentence = explain(error)
            if code == ExitCode.CLOSED_PIPE:
                _write_no_more()
            else:
                typer.echo(f"Error: {sentence}", err=True)
            raise typer.Exit(code) from error


def _write_no_more() -> None:
    """Discard what is still in the buffer: the reader, e.g. `head`, has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=_OneSentence,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=_EPILOG,
)
app.command()(data_commands.label)
app.command()(part_commands.part)
app.command()(part_commands.merge)
import_commands.importing.command("qh9")(published_commands.import_qh9)
import_commands.importing.command("nabladft")(published_commands.import_nabladft)
import_commands.importing.command("schnorb")(published_commands.import_schnorb)
app.add_typer(import_commands.importing, name="import")
app.add_typer(data_commands.exporting, name="export")
app.command()(model_commands.evaluate)
app.command()(model_commands.calibrate)
app.command()(predict)
app.command()(model_commands.rotate)


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
    raise typer.Exit(ExitCode.DONE if diagnosis["ok"] else ExitCode.FAULT_FOUND)


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


@contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """Turn Ctrl-C into exit code 130 and a sentence that says how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {out} holds the state: the same command resumes the run.", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


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
