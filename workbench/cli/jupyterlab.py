"""Open the start page in JupyterLab: the command ``python -m workbench lab``.

JupyterLab runs in the interpreter that runs the workbench, so that the notebooks' kernel can import
it, and without the network requests that JupyterLab makes by default.
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

    In a checkout it is `notebooks/`. A wheel contains a copy, which is copied once to
    `workbench-notebooks` in the current folder, because users should not edit site-packages.

    Raises:
        FileNotFoundError: if there are no notebooks.
    """
    checkout = _PACKAGE.parent / "notebooks"
    if (checkout / START_PAGE).is_file():
        return checkout
    if not (_PACKAGE / "notebooks" / START_PAGE).is_file():
        raise FileNotFoundError(
            f"There are no notebooks beside {_PACKAGE}: reinstall hamiltonian-workbench, or run "
            "`make lab` in a checkout."
        )
    copy = Path.cwd() / "workbench-notebooks"
    if not copy.exists():
        shutil.copytree(_PACKAGE / "notebooks", copy)
    return copy


def require(extra: str) -> None:
    """Check that the packages of an extra of `pyproject.toml` are installed.

    Raises:
        ModuleNotFoundError: if a package is missing; the message names it and the pip command.
    """
    missing = [name for name in _NEEDED[extra] if find_spec(name) is None]
    if missing:
        extras = ",".join(dict.fromkeys(["notebooks", extra]))
        raise ModuleNotFoundError(
            f"The notebooks need {', '.join(missing)}: "
            f"run `pip install 'hamiltonian-workbench[{extras}]'`."
        )


def lab_command(extra: Sequence[str] = ()) -> list[str]:
    """The command that opens the start page, with JupyterLab's own options after it.

    Raises:
        ModuleNotFoundError: if a package of the extra `notebooks` is missing.
    """
    require("notebooks")
    page = notebooks() / START_PAGE
    command = [sys.executable, "-m", "jupyterlab", str(page)]
    # The root is the parent folder, since the notebooks' pictures lie beside their folder. The
    # default URL makes the printed address open the page where no browser opens by itself.
    command.append(f"--ServerApp.root_dir={page.parents[1]}")
    command.append(f"--LabApp.default_url=/lab/tree/{page.parent.name}/{START_PAGE}")
    # Containers often run as root, and JupyterLab then refuses to start without this option.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return [*command, *extra]


def lab_environment() -> dict[str, str]:
    """Environment of JupyterLab: one thread for live widgets, no news, no update checks."""
    paths = [
        os.environ.get("JUPYTER_CONFIG_PATH"),
        str(Path(__file__).resolve().parent / "jupyter"),
    ]
    return {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(p for p in paths if p),
    }
