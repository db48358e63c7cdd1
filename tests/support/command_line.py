"""Run the command line in this process: its result, or the JSON that it prints."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import typer
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.cli.exit_codes import ExitCode


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def numbers_of(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def started(*words):
    """The command line as a process that a signal can stop, with one thread; stderr is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", *(str(word) for word in words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with interrupts ignored, and they would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def refusal(*words, code=ExitCode.WRONG_INPUT):
    """The one sentence with which a command is refused."""
    result = run(*words)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def parse(words: list[str]) -> None:
    """Parse a command line as typer does, without running it; raises for what does not exist."""
    command: Any = typer.main.get_command(app)
    context, name = None, "workbench"
    words = ["a.xyz" if word == "-" else word for word in words]  # standard input is not read
    while True:
        context = command.make_context(name, words, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        words = [*context._protected_args, *context.args]
        _, command, words = command.resolve_command(context, words)
        name = command.name
