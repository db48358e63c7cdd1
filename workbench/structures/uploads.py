"""Structures from uploaded files: a name and bytes, as a browser sends them."""

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
"""Accepted file name endings, and the names POSCAR and CONTCAR, which have no ending.

ASE's readers of these formats execute nothing from the file.
"""

MOST_BYTES = 5_000_000
"""Size limit of an upload, bytes; a structure that can be displayed is far smaller."""

_LONGEST_NAME = 80  # characters of a file name in a sentence


def read_upload(
    name: str, content: bytes, charge: int | None = None, spin: int | None = None
) -> Atoms:
    r"""The structure in an uploaded file; the last one if there are several.

    Args:
        name: of the file; its ending determines the format.
        content: bytes of the file.
        charge: in e; None for the charge in the file, or 0 if it gives none.
        spin: unpaired electrons; None for the number in the file, or 0 if it gives none.

    Raises:
        StructureError: one sentence, which contains the name of the file but no folder.

    >>> from workbench.structures.uploads import read_upload
    >>> read_upload("nitrogen.xyz", b"2\n\nN 0 0 0\nN 0 0 1.1").get_chemical_formula()
    'N2'
    """
    file_name = PurePath(name.replace("\\", "/").replace("\0", " "))
    plain = " ".join(file_name.name.split())[:_LONGEST_NAME] or "The file"
    ending = file_name.suffix.lower()
    if ending not in ACCEPTED and file_name.stem.lower() not in ACCEPTED:
        raise StructureError(
            f"{plain} is of no kind that can be read here: save it as "
            f"{', '.join(ACCEPTED[:4])} or POSCAR."
        )
    if len(content) > MOST_BYTES:
        raise StructureError(
            f"{plain} has {len(content) / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f} MB: "
            "upload a file with a single structure."
        )
    with TemporaryDirectory(prefix="workbench-") as folder:
        # The name of an upload may be too long, or none that this system can have.
        path = PurePath(folder) / (f"structure{ending}" if ending in ACCEPTED else "POSCAR")
        with open(path, "wb") as file:
            file.write(content)
        try:
            return load(path, charge=charge, spin=spin)
        except StructureError as error:
            raise type(error)(str(error).replace(str(path), plain)) from error
