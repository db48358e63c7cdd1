"""Paths of the data that come with the workbench: structures, datasets, checkpoints.

In a checkout they are in `data/` at the repository root, in an installed wheel in
`workbench/data`. If the environment variable `WORKBENCH_DATA` is set, only the folder that it names
is used; it has the same subfolders.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["data_path", "data_root", "dataset_path"]

_PACKAGE = Path(__file__).resolve().parents[1]


def data_root() -> Path:
    """The folder that contains `structures/`, `datasets/` and `checkpoints/`.

    Returns:
        The absolute path of an existing folder.

    Raises:
        FileNotFoundError: if `WORKBENCH_DATA` is not a folder, or if neither the package nor the
            checkout around it has a `data` folder.
    """
    override = os.environ.get("WORKBENCH_DATA")
    if override:
        root = Path(override).expanduser().resolve()
        if root.is_dir():
            return root
        raise FileNotFoundError(
            f"WORKBENCH_DATA names {root}, which is not a folder: correct or unset it."
        )
    checkout = _PACKAGE.parent
    if (_PACKAGE / "data").is_dir():
        return _PACKAGE / "data"
    # In site-packages a folder "data" may belong to another package; "structures" identifies ours.
    if (checkout / "data" / "structures").is_dir():
        return checkout / "data"
    raise FileNotFoundError(
        f"There are no bundled data at {_PACKAGE}: reinstall hamiltonian-workbench, or set "
        "WORKBENCH_DATA to the folder that contains structures/, datasets/ and checkpoints/."
    )


def data_path(*parts: str | os.PathLike[str]) -> Path:
    """A path below the data folder.

    The path need not exist: writers use this function too, and readers report a missing file.

    Raises:
        FileNotFoundError: as `data_root`.

    >>> from workbench.storage.bundled import data_path
    >>> data_path("datasets", "water.h5").is_file()
    True
    """
    return data_root().joinpath(*parts)


def dataset_path(name: str) -> Path:
    """The path of a dataset, given by its path or by the name of a bundled dataset.

    A path is a text that ends with ".h5" or contains a path separator.
    """
    if name.endswith(".h5") or os.sep in name:
        return Path(name)
    return data_path("datasets", f"{name}.h5")
