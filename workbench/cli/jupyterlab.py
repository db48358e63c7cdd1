"""Open the start page in JupyterLab: what ``python -m workbench lab`` does.

JupyterLab runs in the same interpreter that runs the workbench, so that the notebooks' kernel
finds it, and without the requests to the outside that it makes by default.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["START_PAGE", "lab_command", "lab_environment", "notebooks", "require"]

START_PAGE = "00_start_here.ipynb"

_PACKAGE = Path(__file__).resolve().parents[1]
_NOTEBOOKS = ("ipykernel", "ipywidgets", "anywidget", "py3Dmol")
_NEEDED = {"notebooks": ("jupyterlab", *_NOTEBOOKS), "class": ("voila", *_NOTEBOOKS)}


def notebooks() -> Path:
    """The folder of notebooks to work in.

    In a checkout it is `notebooks/`. A wheel carries a copy, which is laid out once as
    `workbench-notebooks` in the current folder, because site-packages is no place to work.

    Raises:
        FileNotFoundError: if there are none.
    """
    checkout = _PACKAGE.parent / "notebooks"
    if (checkout / START_PAGE).is_file():
        return checkout
    if not (_PACKAGE / "notebooks" / START_PAGE).is_file():
        raise FileNotFoundError(
            f"No notebooks beside {_PACKAGE}: reinstall hamiltonian-workbench, or run `make lab` "
            "in a checkout."
        )
    own = Path.cwd() / "workbench-notebooks"
    if not own.exists():
        shutil.copytree(_PACKAGE / "notebooks", own)
    return own


def require(extra: str) -> None:
    """Check that the packages of an extra of `pyproject.toml` are there.

    Raises:
        ModuleNotFoundError: if one is missing; says which, and how to install it.
    """
    missing = [name for name in _NEEDED[extra] if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"The notebooks need {', '.join(missing)}: "
            f"run `pip install 'hamiltonian-workbench[notebooks,{extra}]'`.".replace(
                "notebooks,notebooks", "notebooks"
            )
        )


def lab_command(extra: Sequence[str] = ()) -> list[str]:
    """The command that opens the start page, with JupyterLab's own options after it.

    Raises:
        ModuleNotFoundError: if a package of the extra `notebooks` is missing.
    """
    require("notebooks")
    page = notebooks() / START_PAGE
    command = [sys.executable, "-m", "jupyterlab", str(page)]
    # The pages' pictures lie beside their folder. Where no browser opens by itself, the address
    # that is printed leads to the page, too.
    command.append(f"--ServerApp.root_dir={page.parents[1]}")
    command.append(f"--LabApp.default_url=/lab/tree/{page.parent.name}/{START_PAGE}")
    # In containers one is often root, and JupyterLab then refuses to start without this.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return [*command, *extra]


def lab_environment() -> dict[str, str]:
    """JupyterLab's environment: one thread for live work, no news, no update checks."""
    paths = [
        os.environ.get("JUPYTER_CONFIG_PATH"),
        str(Path(__file__).resolve().parent / "jupyter"),
    ]
    return {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(p for p in paths if p),
    }
