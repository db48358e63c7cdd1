"""Text files of structures as people have them, rewritten to what ASE's readers take.

Rewritten are: other encodings (byte-order marks, UTF-16, Latin-1), the symbols D and T of the
isotopes of hydrogen in xyz files, QM9's own xyz layout, the dummy cell of 1 A in PDB files, and one
of several records of an SDF file. What stays as it is costs nothing but a look.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.structures.validation import StructureError, StructureWarning

__all__ = ["Text", "read_text", "xyz_frames"]

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
    if kind in (".xyz", ".extxyz"):
        content, frames = _of_xyz(text)
    elif kind == ".pdb" and _DUMMY_CELL.search(text):
        content = _DUMMY_CELL.sub("", text)
        warnings.warn(
            f"{path.name} gives a cell of 1 A, which stands for no cell: the structure is read as "
            "a molecule.",
            StructureWarning,
            stacklevel=2,
        )
    elif kind == ".sdf":
        records = [
            record for record in re.split(r"^\$\$\$\$.*\n?", text, flags=re.M) if record.strip()
        ]
        frames = len(records)
        try:
            content = records[index]
        except IndexError:
            raise StructureError(f"{path} has {frames} structures: choose one of them.") from None
    return Text(content, content.encode() != raw, frames)


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
