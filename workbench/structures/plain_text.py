"""Text files of structures as people have them, rewritten to what ASE's readers take.

Rewritten are: other encodings (byte-order marks, UTF-16, Latin-1), the symbols D and T of the
isotopes of hydrogen in xyz files, QM9's own xyz layout, the dummy cell of 1 A in PDB files, and one
of several records of an SDF file. What stays as it is costs nothing but a look.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from workbench.structures.validation import StructureError, StructureWarning

__all__ = ["Text", "read_text", "rewritten", "split_text", "xyz_frames"]

_TEXT = (".xyz", ".extxyz", ".mol", ".sdf", ".pdb", ".cif", ".vasp", ".gen", ".xsf")
_LARGEST = 50_000_000  # bytes; larger files are trajectories, which ASE reads as they are
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_ISOTOPE = re.compile(r"^(\s*)[DT](?=\s)")
_DUMMY_CELL = re.compile(r"^CRYST1\s+1\.0*\s+1\.0*\s+1\.0*\s.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Text:
    """One structure of a text file.

    Attributes:
        content: of the whole file, or of the record that was chosen, as ASE can read it.
        changed: whether it differs from the file.
        frames: number of structures in the file, where it is known.
    """

    content: str
    changed: bool
    frames: int | None = None


def read_text(path: Path, index: int) -> Text | None:
    """The text of a file of a known kind; None for other kinds and for large files.

    Args:
        path: of the file.
        index: number of the structure, counted as ASE does; used for SDF files, of which ASE reads
            the first record only.

    Raises:
        StructureError: for an SDF file without such a record.
    """
    kind = path.suffix.lower()
    known = kind in _TEXT or path.stem.lower() in ("poscar", "contcar")
    if not known or path.stat().st_size > _LARGEST:
        return None
    raw = path.read_bytes()
    content = text = _decoded(raw)
    frames = None
    if kind == ".sdf":
        records = list(_records(text.splitlines(keepends=True)))
        frames = len(records)
        try:
            content = records[index]
        except IndexError:
            raise StructureError(f"{path} has {frames} structures: choose one of them.") from None
    else:
        content, frames = rewritten(path, text)
    return Text(content, content.encode() != raw, frames)


def rewritten(path: Path, text: str) -> tuple[str, int | None]:
    """A text as ASE can read it, and its number of structures where that is known."""
    kind = path.suffix.lower()
    if kind in (".xyz", ".extxyz"):
        return _of_xyz(text)
    if kind == ".pdb" and _DUMMY_CELL.search(text):
        warnings.warn(
            f"{path.name} gives a cell of 1 A, which stands for no cell: the structure is read as "
            "a molecule.",
            StructureWarning,
            stacklevel=3,
        )
        return _DUMMY_CELL.sub("", text), None
    return text, None


def split_text(path: Path) -> Iterator[str] | None:
    """The part of each structure of a file, one at a time; None for kinds that are not split.

    The last part may be incomplete: its reader says so.
    """
    split = _SPLIT.get(path.suffix.lower())
    return None if split is None else split(_lines(path))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file of any size, decoded as `_decoded` does."""
    with path.open("rb") as file:
        start = file.read(3)
        file.seek(0)
        mark = next((mark for mark in _MARKS if start.startswith(mark)), None)
        if mark is None:
            yield from map(_decoded, file)
            return
    with path.open(encoding=_MARKS[mark], errors="replace") as text:
        yield from text


def _frames(lines: Iterable[str]) -> Iterator[str]:
    """The frames of an xyz file; blank lines between them are left out."""
    rest = iter(lines)
    line = next(rest, None)
    while line is not None:
        if not line.strip():
            line = next(rest, None)
            continue
        try:
            count = max(int(line), 0)
        except ValueError:
            yield line  # without a number of atoms, the next frame cannot be found either
            return
        frame = [line, *islice(rest, min(count, sys.maxsize - 1) + 1)]
        while (line := next(rest, None)) is not None and line.lstrip().startswith("VEC"):
            frame.append(line)
        yield "".join(frame)


def _records(lines: Iterable[str]) -> Iterator[str]:
    """The records of an SDF file, or the one of a mol file."""
    record: list[str] = []
    for line in lines:
        if not line.startswith("$$$$"):
            record.append(line)
            continue
        if any(map(str.strip, record)):
            yield "".join(record)
        record = []
    if any(map(str.strip, record)):
        yield "".join(record)


def _models(lines: Iterable[str]) -> Iterator[str]:
    """The models of a PDB file, each behind the lines that precede all of them."""
    head: list[str] = []
    model: list[str] = []
    for line in lines:
        if line.startswith("MODEL "):
            head, model = head or model, []
        elif line.startswith("ENDMDL"):
            yield "".join([*head, *model])
            model = []
        else:
            model.append(line)
    if any(line.startswith(("ATOM  ", "HETATM")) for line in model):
        yield "".join([*head, *model])


_SPLIT = {
    ".xyz": _frames,
    ".extxyz": _frames,
    ".sdf": _records,
    ".mol": _records,
    ".pdb": _models,
}
"""Ending of a file -> how its lines are split into structures."""


def _decoded(raw: bytes) -> str:
    """The text; without a mark and in no UTF-8 it is Latin-1, in which every byte is a letter."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return raw.decode(encoding, errors="replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def xyz_frames(lines: Sequence[str] | Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """First line and announced number of atoms of each frame of an xyz file, as ASE finds them.

    >>> from workbench.structures.plain_text import xyz_frames
    >>> list(xyz_frames(["1", "first", "H 0 0 0", "1", "second", "H 0 0 0", ""]))
    [(0, 1), (3, 1)]
    """
    at = 0
    while at < len(lines):
        try:
            count = int(lines[at])
        except ValueError:
            return
        yield at, count
        at += 2 + max(count, 0)
        while at < len(lines) and lines[at].lstrip()[:3] in ("VEC", b"VEC"):
            at += 1


def _of_xyz(text: str) -> tuple[str, int]:
    """The text of an xyz file with hydrogen's isotopes as hydrogen, and its number of frames."""
    lines, frames = text.split("\n"), 0
    for at, count in xyz_frames(lines):
        last = at + 2 + max(count, 0)
        if last > len(lines):
            break
        comment, frames = lines[at + 1], frames + 1
        if re.match(r"gdb\s+\d+\s", comment):
            return _of_qm9(lines[at:last]), 1
        if not re.search(r"Properties\s*=(?!\s*species:S:1)", comment):
            lines[at + 2 : last] = [_ISOTOPE.sub(r"\1H", line) for line in lines[at + 2 : last]]
    return "\n".join(lines), frames


def _of_qm9(lines: list[str]) -> str:
    """A frame of QM9 as plain xyz: its exponents are `*^`, and each atom has a charge behind."""
    rows = [" ".join(line.replace("*^", "e").split()[:4]) for line in lines[2:]]
    return "\n".join([lines[0], "QM9", *rows]) + "\n"
