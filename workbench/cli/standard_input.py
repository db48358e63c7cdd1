"""A structure from standard input, named ``-`` where a command expects a file."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import typer

__all__ = ["as_file", "of_standard_input"]

_MOST_BYTES = 200_000_000


def of_standard_input(context: typer.Context, source: Any) -> Any:
    """The source of a command, where ``-`` becomes a file that lasts as long as the command.

    Args:
        context: of the command.
        source: a name, or a list of names.

    Raises:
        ValueError: as `as_file`, or for ``-`` twice.
    """
    names = source if isinstance(source, list) else [source]
    if "-" not in names or context.resilient_parsing:
        return source
    if names.count("-") > 1:
        raise ValueError("Standard input can be read once: give - once.")
    folder = context.with_resource(TemporaryDirectory(prefix="workbench-"))
    path = as_file(sys.stdin.buffer, Path(folder, "standard-input.xyz"), _MOST_BYTES)
    names = [str(path) if name == "-" else name for name in names]
    return names if isinstance(source, list) else names[0]


def as_file(stream: BinaryIO, path: Path, most: int) -> Path:
    """Write a stream to a file.

    Args:
        stream: text of an xyz or extxyz file.
        path: the file.
        most: largest number of bytes.

    Raises:
        ValueError: for a stream that is empty or longer.

    >>> from io import BytesIO
    >>> from workbench.cli.standard_input import as_file
    >>> as_file(BytesIO(b""), Path("a.xyz"), 100)
    Traceback (most recent call last):
    ValueError: Standard input is empty: write a structure in xyz or extxyz format into it.
    """
    content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(
            f"Standard input has more than {most / 1e6:.0f} MB: give the name of the file instead "
            "of -."
        )
    if not content.strip():
        raise ValueError(
            "Standard input is empty: write a structure in xyz or extxyz format into it."
        )
    path.write_bytes(content)
    return path
