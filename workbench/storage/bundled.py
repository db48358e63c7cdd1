"""Where the data that come with the workbench lie: structures, datasets, checkpoints.

In a checkout they are `data/` at the repository root; in an installed wheel they are
`workbench/data`. The environment variable `WORKBENCH_DATA` names another folder of the same
shape and then nothing else is looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["data_path", "data_root", "dataset_path"]

_PACKAGE = Path(__file__).resolve().parents[1]


def data_root() -> Path:
    """The folder that holds `structures/`, `datasets/` and `checkpoints/`.

    Returns: an existing folder, absolute.
    Raises: FileNotFoundError when `WORKBENCH_DATA` names no folder, or when neither the package nor
        the checkout around it has a `data` folder.
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
    # "structures" tells a checkout from site-packages, where a neighbour "data" may be anyone's.
    if (checkout / "data" / "structures").is_dir():
        return checkout / "data"
    raise FileNotFoundError(
        f"No bundled data beside {_PACKAGE}: reinstall hamiltonian-workbench, or set "
        "WORKBENCH_DATA to the folder that holds structures/, datasets/ and checkpoints/."
    )


def data_path(*parts: str | os.PathLike[str]) -> Path:
    """A path below the data folder, e.g. `data_path("datasets", "water.h5")`.

    The path need not exist: writers use this too, and a reader says itself what it misses.

    Raises: FileNotFoundError as `data_root`.
    """
    return data_root().joinpath(*parts)


def dataset_path(name: str) -> Path:
    """A dataset by its path, or by its name among the bundled ones."""
    if name.endswith(".h5") or os.sep in name:
        return Path(name)
    return data_path("datasets", f"{name}.h5")
