"""Structures from files, through ASE's readers: each error is one sentence, and reading ends."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ase import Atoms
from ase.io import read
from ase.io.formats import UnknownFileTypeError

from workbench.storage.value_checks import brief
from workbench.structures.declared_electrons import declared, without_flags
from workbench.structures.foreign_sites import check_drawing, check_sites, read_v3000
from workbench.structures.plain_text import Text, read_text, xyz_frames
from workbench.structures.time_limit import time_limit
from workbench.structures.validation import StructureError, StructureWarning

__all__ = ["READ_SECONDS", "read_frame"]

READ_SECONDS = 30.0
"""ASE's reader of a file is stopped after this time, s."""

_MOST_BYTES = 2_000_000_000
_HEAD = 5_000_000  # bytes; as many are examined, which takes some 0.01 s

# Each pattern has one repetition that can fail, so that the time stays linear in the file.
_INTEGERS = re.compile(rb"^([\d \t\r]+)$", re.MULTILINE)
_LEADING_INTEGERS = re.compile(rb"^([\d \t]+)", re.MULTILINE)
_COLUMNS = re.compile(rb"Properties\s*=\s*(\S+)")
_ANNOUNCED: Mapping[str, re.Pattern[bytes]] = {
    ".xyz": _COLUMNS,
    ".extxyz": _COLUMNS,
    ".vasp": _LEADING_INTEGERS,
    "poscar": _LEADING_INTEGERS,
    ".gen": re.compile(rb"\A\s*(\d+)"),
    ".xsf": _INTEGERS,
}
"""Ending of a file -> where it announces how many atoms, columns or grid points follow."""


def read_frame(path: Path, index: int | None) -> Atoms:
    """One frame of a file; each exception of ASE becomes a StructureError.

    Args:
        path: of any format that ASE reads.
        index: number of the frame, counted as ASE does; None for the last.

    Raises:
        StructureError: one sentence that names the file.

    Warns:
        StructureWarning: for None, if the file has several frames.
    """
    _check_size(path)
    last = index is None
    index = -1 if index is None else index
    text = read_text(path, index)
    if last and text is not None and (text.frames or 0) > 1:
        warnings.warn(
            f"{path.name} holds {text.frames} structures, and the last one is used: choose another "
            "by its number (index, on the command line --index).",
            StructureWarning,
            stacklevel=4,
        )
    if text is None:
        frame = _read(path, index)
    else:
        check_drawing(path, text.content)
        frame = _of_text(path, text, index)
    if not isinstance(frame, Atoms):
        raise StructureError(f"{path} has no structure that ASE can read: save it as xyz or cif.")
    # Energies and forces in the file come from another calculation.
    frame.calc = None
    check_sites(path, frame, text)
    if text is not None:
        kind = path.suffix.lower()
        frame.info = without_flags(frame.info) | declared(kind, text.content, frame, index)
    return frame


def _of_text(path: Path, text: Text, index: int) -> object:
    """What ASE reads of a text, or RDKit of the newer layout of mol files."""
    kind = path.suffix.lower()
    if kind in (".mol", ".sdf") and re.search(r"^.*V3000\s*$", text.content, re.MULTILINE):
        return read_v3000(path, text.content)
    with _as_file(path, text) as readable:
        return _read(readable, 0 if kind == ".sdf" else index, shown=path)


@contextmanager
def _as_file(path: Path, text: Text) -> Iterator[Path]:
    """A path from which ASE reads the text: that of the file, or of a temporary copy."""
    if not text.changed:
        yield path
        return
    with TemporaryDirectory(prefix="workbench-") as folder:
        copy = Path(folder, path.name)
        copy.write_text(text.content, encoding="utf-8")
        yield copy


def _read(path: Path, index: int, shown: Path | None = None) -> object:
    """What ASE reads of a file; errors name the path that is shown."""
    shown = shown or path
    try:
        with time_limit(READ_SECONDS):
            return read(str(path), index=index, do_not_split_by_at_sign=True)
    except TimeoutError:
        raise StructureError(
            f"{shown} was not read in {READ_SECONDS:.0f} s: save the one structure as xyz, extxyz, "
            "cif or POSCAR."
        ) from None
    except UnknownFileTypeError:
        raise StructureError(
            f"{shown} is in no format that ASE knows: save it as xyz, extxyz, cif or POSCAR."
        ) from None
    except KeyError as error:  # ASE looks symbols up in a dict
        name = str(error)[:60]
        raise StructureError(
            f"{shown} names {name}, which is no element or field that ASE knows: correct it."
        ) from error
    except (IndexError, StopIteration) as error:
        raise StructureError(
            f"{shown} has no complete frame number {index}: check the file."
        ) from error
    except Exception as error:  # each ASE reader raises other exceptions
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise StructureError(f"{shown} cannot be read ({reason}): correct the file.") from error


def _check_size(path: Path) -> None:
    """Refuse files that are empty, far too large, or shorter than they say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_HEAD)
    if not start.strip():
        raise StructureError(f"{path} is empty: write a structure into it.")
    if size > _MOST_BYTES:
        raise StructureError(
            f"{path} has {size / 1e9:.1f} GB, more than {_MOST_BYTES / 1e9:.0f} GB: save the one "
            "structure as a file."
        )
    for count in _counts(path, start):
        if count > size:
            raise StructureError(
                f"{path} announces {brief(count)} atoms or columns, more than its {size} bytes can "
                "hold: correct the number."
            )


def _counts(path: Path, start: bytes) -> Iterator[int]:
    """The numbers of atoms, columns or grid points that a file announces at its start.

    ASE's readers reserve memory for them, or count up to them, before they look at what follows.
    """
    kind = path.suffix.lower()
    if kind not in _ANNOUNCED:
        kind = "poscar" if path.stem.lower() in ("poscar", "contcar") else ""
    if kind in (".xyz", ".extxyz"):
        yield from (count for _, count in xyz_frames(start.split(b"\n")))
    if kind in (".vasp", "poscar"):  # the numbers of atoms, or before them the elements
        start = b"\n".join(start.split(b"\n", 7)[5:7])
    if kind:
        for match in _ANNOUNCED[kind].finditer(start):
            # No file has a number of atoms with more than 20 digits.
            yield from (int(number[:20]) for number in re.findall(rb"\d+", match[1]))
