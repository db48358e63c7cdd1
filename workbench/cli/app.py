"""The command line: ``python -m workbench`` or ``workbench``.

Each command calls one function of the library and prints the result as text or, with ``--json``, as
one JSON object whose keys contain the units. An error is printed as one sentence on stderr, with an
exit code of `workbench.cli.exit_codes`; ``--debug`` before the command shows the traceback as well.

A command imports the library when it runs: a help page should not wait for PyTorch.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer

from workbench.cli import data as data_commands
from workbench.cli import imports as import_commands
from workbench.cli import models as model_commands
from workbench.cli import parts as part_commands
from workbench.cli import published_sets as published_commands
from workbench.cli.bands import bands
from workbench.cli.exit_codes import ExitCode, explain
from workbench.cli.help_pages import Command, Group, TrainingCommand
from workbench.cli.options import Json, show
from workbench.cli.page import page
from workbench.cli.predict import predict
from workbench.cli.processes import receive_signals
from workbench.cli.training import reproduce, train
from workbench.cli.verify import verify
from workbench.cli.words import spoken
from workbench.training.launch import is_first

_EPILOG = (
    "Exit codes: 0 done; 1 doctor found a fault; 2 wrong input or usage, or verify found a fault; "
    "3 the system refused (a file, memory); 4 a fault of the program; 130 interrupted."
)


class _OneSentence(Group):
    """Commands that print an error as one sentence instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with spoken(quiet=ctx.params.get("quiet", False) or not is_first()):
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
    epilog=_EPILOG,
)
app.command(cls=Command)(data_commands.label)
app.command(cls=Command)(part_commands.part)
app.command(cls=Command)(part_commands.merge)
import_commands.importing.command("qh9", cls=Command)(published_commands.import_qh9)
import_commands.importing.command("nabladft", cls=Command)(published_commands.import_nabladft)
import_commands.importing.command("schnorb", cls=Command)(published_commands.import_schnorb)
app.add_typer(import_commands.importing, name="import")
app.add_typer(data_commands.exporting, name="export")
app.command(cls=TrainingCommand)(train)
app.command(cls=Command)(model_commands.evaluate)
app.command(cls=Command)(model_commands.calibrate)
app.command(cls=Command)(predict)
app.command(cls=Command)(bands)
app.command(cls=Command)(model_commands.rotate)
app.command(cls=Command)(page)
app.command(cls=TrainingCommand)(reproduce)
app.command(cls=Command)(verify)


def main() -> None:
    """Run the command line; SIGTERM acts as Ctrl-C, so that a stopped command saves its state."""
    receive_signals()
    app(prog_name="workbench")


def _show_version(wanted: bool) -> None:
    """Print the version, and end."""
    if wanted:
        from workbench import __version__

        typer.echo(f"workbench {__version__}")
        raise typer.Exit(ExitCode.DONE)


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print results and errors, no other words.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Predict electronic Hamiltonians in two stages and test their rotation equivariance.

    Examples:
        python -m workbench predict water
        python -m workbench train --help
        python -m workbench --quiet predict smiles:CCO --model organic --json
    """


@app.command(
    cls=Command, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def lab(context: typer.Context) -> None:
    """Open the start page in JupyterLab; further options are passed to JupyterLab.

    Examples:
        python -m workbench lab
        python -m workbench lab --no-browser --port 8889
    """
    from workbench.cli.jupyterlab import lab_command, lab_environment

    command = lab_command(context.args)
    sys.stdout.flush()
    os.execvpe(command[0], command, lab_environment())


@app.command(
    "class",
    cls=Command,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def class_(
    context: typer.Context,
    pages: Annotated[
        int | None,
        typer.Option(min=1, help="Largest number of open pages (default: as memory allows)."),
    ] = None,
) -> None:
    """Serve the notebooks to a class, without code (Voila); further options go to Voila.

    Examples:
        python -m workbench class
        python -m workbench class --pages 20 --port 8866
    """
    from workbench.cli.jupyterlab import require

    require("class")
    from workbench.cli.classroom import serve

    serve(context.args, pages)


@app.command(cls=Command)
def doctor(as_json: Json = False) -> None:
    """Report versions and data, and test every convention by rotating and recomputing.

    Examples:
        python -m workbench doctor
        python -m workbench doctor --json
    """
    from workbench.cli.doctor import describe, diagnose

    diagnosis = diagnose()
    show(diagnosis, describe(diagnosis), as_json)
    raise typer.Exit(ExitCode.DONE if diagnosis["ok"] else ExitCode.FAULT_FOUND)
