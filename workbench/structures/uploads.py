"""Structures that arrive as the bytes of a file, as a browser sends them."""

from __future__ import annotations

from pathlib import PurePath
from tempfile import TemporaryDirectory

from ase import Atoms

from workbench.structures.loading import StructureError, load

__all__ = ["ACCEPTED", "MOST_BYTES", "read_upload"]

ACCEPTED = (
    *(".xyz", ".extxyz", ".cif", ".pdb", ".mol", ".sdf", ".vasp", ".gen", ".xsf", ".traj"),
    *("poscar", "contcar"),
)
"""Endings of names that are read, and POSCAR and CONTCAR, which have none: ASE's readers of these
run nothing that a file says."""

MOST_BYTES = 5_000_000
"""A structure that can be looked at takes far less."""


def read_upload(
    name: str, content: bytes, charge: int | None = None, spin: int | None = None
) -> Atoms:
    """The structure in an uploaded file; of several the last.

    Args:
        name: of the file, whose ending tells the format.
        content: its bytes.
        charge: in e; None for the file's own, else 0.
        spin: unpaired electrons; None for the file's own, else 0.

    Raises: StructureError, one sentence that speaks of the file by its name alone.
    """
    plain = PurePath(name.replace("\\", "/")).name
    ending = PurePath(plain).suffix.lower()
    if ending not in ACCEPTED and PurePath(plain).stem.lower() not in ACCEPTED:
        raise StructureError(
            f"{plain or 'The file'} is of no kind that is read here: save it as "
            f"{', '.join(ACCEPTED[:4])} or POSCAR."
        )
    if len(content) > MOST_BYTES:
        raise StructureError(
            f"{plain} has {len(content) / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f} MB: "
            "save a single structure."
        )
    with TemporaryDirectory(prefix="workbench-") as folder:
        path = PurePath(folder) / plain
        with open(path, "wb") as file:
            file.write(content)
        try:
            return load(path, charge=charge, spin=spin)
        except StructureError as error:
            raise type(error)(str(error).replace(str(path), plain)) from error
