"""Structures from files, through ASE's readers: each error is one sentence, and reading ends."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ase import Atoms
from ase.io import iread, read
from ase.io.formats import UnknownFileTypeError

from workbench.storage.value_checks import brief
from workbench.structures.declared_electrons import declared, without_flags
from workbench.structures.foreign_sites import check_drawing, check_sites, read_v3000
from workbench.structures.plain_text import Text, read_text, rewritten, split_text, xyz_frames
from workbench.structures.time_limit import time_limit
from workbench.structures.validation import StructureError, StructureWarning

__all__ = ["READ_SECONDS", "frames", "read_frame"]

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
            "by its number (index, or --index in a command), or take all (load_all, --index :).",
            StructureWarning,
            stacklevel=3,
        )
    return _checked(path, _read(path, index) if text is None else None, text, index)


def frames(path: Path) -> Iterator[Callable[[], Atoms]]:
    """Each structure of a file in turn, as a function that reads it.

    A structure that is not wanted costs little, and at any time one of them is in memory. Each
    function raises a StructureError for a bad structure; the next ones may still be sound.

    Args:
        path: of any format that ASE reads.

    Raises:
        StructureError: for an empty file.
    """
    size = _check_head(path)[0]
    parts = split_text(path)
    if parts is None:
        return _of_ase(path)
    return (partial(_of_part, path, part, size) for part in parts)


def _of_part(path: Path, part: str, size: int) -> Atoms:
    """One structure of a file of so many bytes, from its part of the text."""
    _check_counts(path, part.encode(), size)
    return _checked(path, None, Text(rewritten(path, part)[0], changed=True, frames=1), None)


def _of_ase(path: Path) -> Iterator[Callable[[], Atoms]]:
    """The structures that ASE reads; the first that it cannot read is the last one."""
    _check_size(path)
    text = read_text(path, -1)
    with _as_file(path, text) as readable:
        images = iread(str(readable), index=":", do_not_split_by_at_sign=True)
        while True:
            try:
                with _in_one_sentence(path):
                    frame = next(images, None)
            except StructureError as error:
                yield partial(_raise, error)
                return
            if frame is None:
                return
            yield partial(_checked, path, frame, None, None)


def _raise(error: StructureError) -> Atoms:
    raise error


def _checked(path: Path, frame: object, text: Text | None, index: int | None) -> Atoms:
    """A structure of ASE, or else of a text, after the checks of its sites.

    The index is None for a text with one structure.
    """
    if text is not None:
        check_drawing(path, text.content)
        frame = _of_text(path, text, index)
    if not isinstance(frame, Atoms):
        raise StructureError(f"{path} has no structure that ASE can read: save it as xyz or cif.")
    # Energies and forces in the file come from another calculation.
    frame.calc = None
    check_sites(path, frame, text)
    if text is not None:
        kind = path.suffix.lower()
        frame.info = without_flags(frame.info) | declared(kind, text.content, frame, index or 0)
    return frame


def _of_text(path: Path, text: Text, index: int | None) -> object:
    """What ASE reads of a text, or RDKit of the newer layout of mol files."""
    kind = path.suffix.lower()
    if kind in (".mol", ".sdf") and re.search(r"^.*V3000\s*$", text.content, re.MULTILINE):
        return read_v3000(path, text.content)
    with _as_file(path, text) as readable:
        return _read(readable, None if kind == ".sdf" else index, shown=path)


@contextmanager
def _as_file(path: Path, text: Text | None) -> Iterator[Path]:
    """A path from which ASE reads the text: that of the file, or of a temporary copy."""
    if text is None or not text.changed:
        yield path
        return
    with TemporaryDirectory(prefix="workbench-") as folder:
        copy = Path(folder, path.name)
        copy.write_text(text.content, encoding="utf-8")
        yield copy


def _read(path: Path, index: int | None, shown: Path | None = None) -> object:
    """What ASE reads of a file; errors name the path that is shown."""
    with _in_one_sentence(shown or path, index):
        return read(str(path), index=index or 0, do_not_split_by_at_sign=True)


@contextmanager
def _in_one_sentence(shown: Path, index: int | None = None) -> Iterator[None]:
    """Stop ASE's readers in time, and make each of their exceptions a StructureError."""
    try:
        with time_limit(READ_SECONDS):
            yield
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
        missing = "structure there" if index is None else f"frame number {index}"
        raise StructureError(f"{shown} has no complete {missing}: check the file.") from error
    except Exception as error:  # each ASE reader raises other exceptions
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise StructureError(f"{shown} cannot be read ({reason}): correct the file.") from error


def _check_head(path: Path) -> tuple[int, bytes]:
    """Size and first bytes of a file that is not empty."""
    with path.open("rb") as file:
        start = file.read(_HEAD)
    if not start.strip():
        raise StructureError(f"{path} is empty: write a structure into it.")
    return path.stat().st_size, start


def _check_size(path: Path) -> None:
    """Refuse files that are empty, far too large, or shorter than they say."""
    size, start = _check_head(path)
    if size > _MOST_BYTES:
        raise StructureError(
            f"{path} has {size / 1e9:.1f} GB, more than {_MOST_BYTES / 1e9:.0f} GB: save the one "
            "structure as a file."
        )
    _check_counts(path, start, size)


def _check_counts(path: Path, start: bytes, size: int) -> None:
    """Refuse a file that announces more than its bytes can hold."""
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
