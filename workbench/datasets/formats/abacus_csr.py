"""The sparse matrices H(R) and S(R) that ABACUS writes as text (`out_mat_hs2`, `out_hsr`).

| version | header |
|---|---|
| older | `STEP: k` (some versions), `Matrix Dimension of H(R): n`, `Matrix number of H(R): m` |
| from 3.9.0.25 | `--- Ionic Step k ---`, the same numbers with comments, and the structure |

For each of m cells R follow a line `R1 R2 R3 nnz`, then the nnz values, their nnz columns, and
n + 1 row pointers. Values are real or, with `nspin 4`, pairs `(re,im)`; then orbital 2a is the up
part and orbital 2a + 1 the down part of function a.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.formats import FormatError
from workbench.datasets.formats.sparse_blocks import FARTHEST_CELL

__all__ = ["Csr", "read_csr"]

_BRACKETS = str.maketrans("(),[]", "     ")
_STEP = re.compile(r"STEP:\s*(\d+)|Ionic Step\s+(\d+)", re.IGNORECASE)
_SEVERAL = "has matrices of several ionic steps: keep one, with the structure of its step."
_NUMBERS = {
    "dimension": r"Matrix Dimension of .*:\s*(\d+)|^\s*(\d+)\s*# number of localized basis",
    "cells": r"Matrix number of .*:\s*(\d+)|^\s*(\d+)\s*# number of Bravais lattice vector",
    "spins": r"^\s*(\d+)\s*# number of spin directions",
}


@dataclass(frozen=True, eq=False)
class Csr:
    """The elements of one matrix.

    Attributes:
        dimension: number of rows, both spins counted.
        step: ionic step as it is written.
        spins: number of spin channels of the run; 1 where it is not written.
        is_folded: whether the header says that the images are summed (`gamma_only`).
        structure: the lines of the header that describe the structure; empty in older versions.
        orbitals: (2, nnz) row and column of each element.
        cells: (nnz, 3) cell R of the column.
        values: (nnz,) in the file's unit, real or complex.
    """

    dimension: int
    step: int
    spins: int
    is_folded: bool
    structure: list[str]
    orbitals: NDArray[np.intp]
    cells: NDArray[np.int64]
    values: NDArray[Any]


class _WrongError(ValueError):
    """Content that is not as the format says."""


def read_csr(path: Path) -> Csr:
    """Read a matrix.

    Raises:
        FormatError: for a file that is truncated, damaged, or has several ionic steps.
    """
    largest = path.stat().st_size
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            header, first = _header(lines)
            numbers = {name: _number(pattern, header) for name, pattern in _NUMBERS.items()}
            n, announced = numbers["dimension"] or 0, numbers["cells"]
            if not 0 < n <= largest:
                raise _WrongError("no number of rows")
            content = _content(first, lines)
            blocks = list(_blocks(path, content, n, largest))
    except (_WrongError, OverflowError) as error:
        raise FormatError(
            f"{path} is truncated or no matrix of ABACUS ({error}): copy it again."
        ) from error
    filled = [block for block in blocks if len(block[1])]
    if announced not in (len(blocks), len(filled)):
        raise FormatError(
            f"{path} is truncated: it announces {announced} cells and has {len(blocks)}."
        )
    if len({cell for cell, *_ in blocks}) < len(blocks):
        raise FormatError(f"{path} {_SEVERAL}")
    if not filled:
        raise FormatError(f"{path} has no element that is not zero.")
    steps = _STEP.findall("\n".join(header))
    return Csr(
        dimension=n,
        step=int("".join(steps[0])) if steps else 0,
        spins=numbers["spins"] or 1,
        is_folded="folded" in "\n".join(header),
        structure=_structure(header),
        orbitals=np.concatenate([orbitals for _, _, orbitals in filled], axis=1),
        cells=np.repeat(
            np.array([cell for cell, *_ in filled]), [len(b[1]) for b in filled], axis=0
        ),
        values=np.concatenate([values for _, values, _ in filled]),
    )


def _header(lines: Iterator[str]) -> tuple[list[str], str]:
    """The lines before the first cell, and the line of the first cell."""
    header: list[str] = []
    is_new = False
    for line in lines:
        is_new = is_new or "Ionic Step" in line
        started = not is_new or any("CSR Format" in earlier for earlier in header[-20:])
        if started and len(_comment_free(line).split()) == 4 and ":" not in line:
            return header, line
        header.append(line)
        if len(header) > 1_000_000:
            break
    raise _WrongError("no cell")


def _number(pattern: str, header: list[str]) -> int | None:
    """The number that a line of the header announces."""
    for line in header:
        if match := re.search(pattern, line):
            return int("".join(filter(None, match.groups()))[:18])
    return None


def _structure(header: list[str]) -> list[str]:
    """The lines of the header that describe the structure."""
    ends = [k for k, line in enumerate(header) if "number of Bravais lattice vector" in line]
    after = header[ends[0] + 1 :] if ends else []
    return [text for line in after if (text := _comment_free(line))]


def _comment_free(line: str) -> str:
    return line.partition("#")[0].partition("//")[0].strip()


def _content(first: str, lines: Iterator[str]) -> Iterator[str]:
    """The lines without comments and empty ones."""
    for line in chain([first], lines):
        if text := _comment_free(line):
            yield text


Block = tuple[tuple[int, ...], NDArray[Any], NDArray[np.intp]]  # cell, values, row and column


def _blocks(path: Path, content: Iterator[str], n: int, largest: int) -> Iterator[Block]:
    """The elements of each cell."""
    was_empty = False
    for line in content:
        words = line.split()
        if was_empty and len(words) == n + 1 and set(words) == {"0"}:  # row pointers, if written
            was_empty = False
            continue
        if _STEP.search(line):
            raise FormatError(f"{path} {_SEVERAL}")
        *cell, count = _integers(words, 4)
        if not 0 <= count <= largest or not all(abs(t) <= FARTHEST_CELL for t in cell):
            raise _WrongError(f"a cell '{line[:60]}'")
        was_empty = count == 0
        values, orbitals = np.empty(0), np.empty((2, 0), np.intp)
        if not was_empty:
            values, orbitals = _elements(content, n, count)
        yield tuple(cell), values, orbitals


def _elements(content: Iterator[str], n: int, count: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Values (count,), and rows and columns (2, count), of one cell."""
    first = next(content, "")
    parts = 2 if "(" in first else 1
    values: NDArray[Any] = _numbers(chain([first], content), parts * count, np.float64)
    if parts == 2:
        values = values[::2] + 1j * values[1::2]
    columns = _numbers(content, count, np.int64)
    pointers = _numbers(content, n + 1, np.int64)
    rows = np.repeat(np.arange(n), np.diff(pointers)) if _is_ascending(pointers, count) else None
    if rows is None or not ((columns >= 0) & (columns < n)).all():
        raise _WrongError("columns and row pointers that do not fit each other")
    if not (np.diff(np.sort(rows * n + columns)) > 0).all():
        raise _WrongError("an element that is there twice")
    return values, np.stack([rows, columns]).astype(np.intp)


def _is_ascending(pointers: NDArray[np.int64], count: int) -> bool:
    """Whether row pointers begin at 0, end at the number of elements, and never descend."""
    return bool(pointers[0] == 0 and pointers[-1] == count and (np.diff(pointers) >= 0).all())


def _numbers(content: Iterator[str], count: int, kind: type[Any]) -> NDArray[Any]:
    """The next numbers, which may stand in several lines."""
    found: list[NDArray[Any]] = []
    while (missing := count - sum(map(len, found))) > 0:
        line = next(content, None)
        if line is None:
            raise _WrongError("its end is missing")
        found.append(_parsed(line.translate(_BRACKETS) if "(" in line else line, kind))
    if missing < 0:
        raise _WrongError(f"{count - missing} numbers instead of {count}")
    return np.concatenate(found)


def _parsed(line: str, kind: type[Any]) -> NDArray[Any]:
    """The numbers of a line; ``fromstring`` is many times as fast as ``float`` for each word."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of content that is no number
        try:
            return np.fromstring(line, kind, sep=" ")
        except (ValueError, DeprecationWarning):
            raise _WrongError(f"'{line[:40]}...' holds a word that is no number") from None


def _integers(words: list[str], count: int) -> list[int]:
    """Words as whole numbers."""
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise _WrongError(f"'{' '.join(words)[:60]}' in place of {count} whole numbers")
    return numbers
