"""Mutants of a file: what a broken disk, a wrong program or an attacker may hand to a parser.

The same seed gives the same mutants, so a failure can be repeated. `count` reads how many to try.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator

NUMBERS = (
    *(b"nan", b"inf", b"-inf", b"1e400", b"1e308", b"1e20", b"1e-320", b"-1", b"0", b"-0.0"),
    *(b"99999999999999999999", b"2147483648", b"1.5", b"1e5", b"two", b"true", b"None", b""),
)
"""What takes the place of a number."""

LINES = (b"", b"\x00", b"0", b"nan nan nan", b"1e20", b"H 0 0 0", b"\xff\xfe", b"# comment", b"]}")
"""Lines that are inserted into texts."""

_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def count(usual: int) -> int:
    """How many mutants to try: `usual`, or the environment variable WORKBENCH_MUTANTS."""
    return int(os.environ.get("WORKBENCH_MUTANTS", usual))


def mutants(data: bytes, seed: int) -> Iterator[bytes]:
    """Mutants of a text or binary file, without end; each differs from the file by 1 to 3 changes.

    >>> from itertools import islice
    >>> len(list(islice(mutants(b"3 1.0", seed=0), 5)))
    5
    """
    rng = random.Random(seed)
    changes = (_flipped, _changed, _cut, _deleted, _repeated, _with_number, _with_line, _swapped)
    while True:
        mutant = data
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            mutant = rng.choice(changes)(mutant, rng)
        yield mutant


def _span(data: bytes, rng: random.Random, longest: int = 40) -> slice:
    """A random stretch of the file."""
    start = rng.randrange(len(data) + 1)
    return slice(start, start + rng.randint(1, longest))


def _flipped(data: bytes, rng: random.Random) -> bytes:
    """One bit is flipped."""
    if not data:
        return b"\x01"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _changed(data: bytes, rng: random.Random) -> bytes:
    """One byte is replaced by any byte."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    """The file ends early."""
    return data[: rng.randrange(len(data) + 1)]


def _deleted(data: bytes, rng: random.Random) -> bytes:
    """A stretch is missing."""
    span = _span(data, rng)
    return data[: span.start] + data[span.stop :]


def _repeated(data: bytes, rng: random.Random) -> bytes:
    """A stretch is there several times."""
    span = _span(data, rng)
    return data[: span.start] + data[span] * rng.choice((2, 2, 3, 50)) + data[span.stop :]


def _with_number(data: bytes, rng: random.Random) -> bytes:
    """A number is replaced by a huge one, none, or a word."""
    numbers = list(_NUMBER.finditer(data))
    if not numbers:
        return data + rng.choice(NUMBERS)
    number = rng.choice(numbers)
    return data[: number.start()] + rng.choice(NUMBERS) + data[number.end() :]


def _with_line(data: bytes, rng: random.Random) -> bytes:
    """A line is inserted."""
    lines = data.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(LINES))
    return b"\n".join(lines)


def _swapped(data: bytes, rng: random.Random) -> bytes:
    """Two lines change places."""
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)
