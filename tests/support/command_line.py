"""Run the command line in this process: its result, or the JSON that it prints."""

import json

from typer.testing import CliRunner

from workbench.cli.app import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def numbers_of(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
