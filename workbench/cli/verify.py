"""The command ``verify``: is a dataset, a model or a run still what was written, and right?"""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.exit_codes import ExitCode
from workbench.cli.options import Json, show

__all__ = ["verify"]

_WORDS = {True: "ok", False: "FAULT", None: "not tested"}


def verify(
    source: Annotated[
        str, typer.Argument(help="Dataset or model (bundled name or file), or folder of a run.")
    ],
    labels: Annotated[int, typer.Option(help="So many labels are computed again; 0 for none.")] = 3,
    as_json: Json = False,
) -> None:
    """Test the checksums, the conventions and a sample of labels of a dataset, a model or a run.

    A line for each test; the exit code is 2 if there is a fault.

    Examples:
        python -m workbench verify water.h5
        python -m workbench verify runs/water --labels 0
        python -m workbench verify model.safetensors --json
    """
    from workbench.evaluation.verification import verified

    findings = []
    for found in verified(source, labels):
        findings.append(found)
        if not as_json:
            typer.echo(f"{_WORDS[found.ok]:<10}  {found.file}: {found.test}: {found.sentence}")
    ok = all(found.ok is not False for found in findings)
    if as_json:
        show({"ok": ok, "findings": [found.to_json() for found in findings]}, "", as_json)
    raise typer.Exit(ExitCode.DONE if ok else ExitCode.WRONG_INPUT)
