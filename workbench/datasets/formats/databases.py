"""Rows of SQLite databases of unknown origin, and the published set to which a database belongs.

A database is opened for reading only, and every step of SQLite is bounded in time and memory.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError
from workbench.storage.value_checks import brief

__all__ = ["SETS", "PublishedSet", "array", "columns", "find", "opened", "published_set", "rows"]

SECONDS = 60.0
"""A step of SQLite is stopped after this time, s, and a second more for each 10 MB of the file."""
_BYTES_PER_SECOND = 1e7
_LARGEST_VALUE = 1 << 28  # bytes; a matrix of 5,000 orbitals has 200 MB
_LEAST_ROW = 24  # bytes; fewer than any row of a structure takes in a file
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class PublishedSet:
    """How the databases of a published set are recognised.

    Attributes:
        title: its name.
        table: of its structures.
        columns: that this table has, others apart.
    """

    title: str
    table: str
    columns: frozenset[str]


SETS: Mapping[str, PublishedSet] = {
    "qh9": PublishedSet("QH9", "data", frozenset({"id", "N", "Z", "pos", "Ham"})),
    "nabladft": PublishedSet("nablaDFT", "data", frozenset({"id", "Z", "R", "H", "S"})),
    "schnorb": PublishedSet(
        "SchNOrb", "systems", frozenset({"id", "numbers", "positions", "data"})
    ),
}
"""All sets, by the name of the command that imports them."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database, open for reading; every error of SQLite becomes one sentence.

    Raises:
        FormatError: for a file that is missing, no database, damaged, or still being written.
    """
    if not path.is_file():
        raise FormatError(f"There is no file {path}.")
    for ending in ("-wal", "-journal"):
        unsaved = path.with_name(path.name + ending)
        if unsaved.is_file() and unsaved.stat().st_size:
            raise FormatError(
                f"{path} has unsaved changes in {unsaved.name}: end the program that writes it, "
                "or copy the database again."
            )
    allowed = SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    end = time.monotonic() + allowed
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            yield connection
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            if time.monotonic() < end:  # Ctrl-C while SQLite asked for the time
                raise KeyboardInterrupt from error
            raise FormatError(
                f"{path} was not read in {allowed:.0f} s: it is damaged, or its disk is too slow."
            ) from error
        raise FormatError(
            f"{path} is truncated, damaged or no SQLite database ({brief(str(error))}): copy it "
            "again."
        ) from error


def columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Names of the columns of a table; empty if there is no plain table of this name."""
    known = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchone()
    if known is None or not str(known[0]).upper().startswith("CREATE TABLE"):
        return frozenset()
    return frozenset(str(row[1]) for row in connection.execute(f"PRAGMA table_info('{table}')"))


def published_set(path: Path) -> str | None:
    """The key in `SETS` of the set whose columns a database has; None for any other file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
    with opened(path) as connection:
        for name, known in SETS.items():
            if known.columns <= columns(connection, known.table):
                return name
    return None


def find(name: str, sources: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    """All rows of a set's databases among some paths and below the folders among them.

    Args:
        name: a key of `SETS`.
        sources: files and folders.

    Returns:
        For each row the path `file/row`, and this name without the folder.

    Raises:
        FormatError: for a file that is no database of this set, or a folder without one.
    """
    found: list[tuple[Path, str]] = []
    for path in _databases(name, sources):
        with opened(path) as connection:
            numbers = rows(path, connection, SETS[name].table)
        found += [(path / str(number), f"{path.name}/{number}") for number in numbers]
    return found


def _databases(name: str, sources: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """The databases of a set among some paths."""
    title = SETS[name].title
    for source in map(Path, sources):
        if source.is_dir():
            inside = sorted(p for p in source.rglob("*.db") if published_set(p) == name)
            if not inside:
                raise FormatError(f"No database of {title} (*.db) is below {source}.")
            yield from inside
            continue
        if not source.is_file():
            raise FormatError(f"There is no file or folder {source}.")
        if published_set(source) != name:
            wanted = ", ".join(sorted(SETS[name].columns))
            raise FormatError(
                f"{source} is no database of {title}, which has a table {SETS[name].table} with "
                f"the columns {wanted}: check the file."
            )
        yield source


def rows(path: Path, connection: sqlite3.Connection, table: str) -> list[int]:
    """The numbers of a table's rows, ascending.

    Raises:
        FormatError: for an empty or damaged table.
    """
    most, numbers, last = path.stat().st_size // _LEAST_ROW, [], -(1 << 63) - 1
    for (number,) in connection.execute(f"SELECT rowid FROM {table}"):
        if number <= last or len(numbers) > most:
            raise FormatError(f"{path} is damaged, since its rows are in no order: copy it again.")
        numbers.append(number)
        last = number
    if not numbers:
        raise FormatError(f"{path} has no rows in its table {table}.")
    return numbers


def row(
    path: Path, connection: sqlite3.Connection, table: str, number: str, names: Iterable[str]
) -> dict[str, Any]:
    """Some values of one row, by column.

    Raises:
        FormatError: if there is no such row.
    """
    names = list(names)
    found = None
    if number.lstrip("-").isdecimal() and len(number) < len(str(1 << 62)):
        chosen = ", ".join(f'"{name}"' for name in names)
        found = connection.execute(
            f"SELECT {chosen} FROM {table} WHERE rowid = ?", (int(number),)
        ).fetchone()
    if found is None:
        raise FormatError(f"{path} has no row {number[:20]} in its table {table}.")
    return dict(zip(names, found, strict=True))


def array(
    source: Path, values: Mapping[str, Any], name: str, kind: str, count: int | None = None
) -> NDArray[Any]:
    """The array in a blob.

    Args:
        source: `file/row`, for errors.
        values: of the row, by column.
        name: of the column.
        kind: dtype of the numbers, little-endian, e.g. "<f8".
        count: how many numbers there must be; None for any number but zero.

    Raises:
        FormatError: for a value that is no blob, or one of another size.
    """
    blob, size = values[name], np.dtype(kind).itemsize
    if not isinstance(blob, bytes):
        raise FormatError(f"{source}: {name} is no array of bytes: copy the database again.")
    right = count * size if count is not None else max(size, len(blob) // size * size)
    if len(blob) != right:
        raise FormatError(
            f"{source}: {name} has {len(blob)} bytes where {right} are needed: the numbers are of "
            "another kind, or the file is damaged."
        )
    return np.frombuffer(blob, kind)
