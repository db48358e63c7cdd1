"""The sources of an import: the files that each one consists of, and the molecule it belongs to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import Format

__all__ = ["file_of", "molecule_numbers", "state"]


def file_of(source: Path) -> Path:
    """The folder or file that a source is, or of which it is a row."""
    return source if source.exists() else source.parent


def molecule_numbers(sources: list[Path], form: Format) -> NDArray[np.intp]:
    """(n,) number of each structure's molecule, in the order in which they come."""
    if form.molecules is None:
        return np.arange(len(sources))
    numbers: dict[str, int] = {}
    names = form.molecules(sources)
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)


def state(source: Path) -> str:
    """A hash of the name, size and times of each file of a source; hidden files are not its own.

    The newest time alone would miss a file that was exchanged for an older one.
    """
    file = file_of(source)
    folder = source if source.is_dir() else file.parent
    beside = folder.iterdir() if file == source else [file]  # a row has only its database
    files = sorted(path for path in beside if path.is_file())
    states = [(path.name, path.stat()) for path in files if not path.name.startswith(".")]
    rows = [[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns] for name, s in states]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
