"""Hamiltonian Workbench: electronic Hamiltonians predicted in two stages, live in a notebook.

``workbench/__init__.pyi`` lists the public names, each once, with the module that defines it. A
module is imported when its name is first used. ``import workbench`` therefore takes no time and
needs neither PyTorch nor PySCF, plotly or ipywidgets.

>>> import workbench as wb
>>> atoms = wb.load("water")
>>> H = wb.load_model("water").predict(atoms).refined  # a BlockMatrix in eV
>>> H.dense().shape
(24, 24)
"""

from __future__ import annotations

from typing import Any

import lazy_loader

__version__ = "0.1.0"

# The optional package that a module needs -> the extra that installs it.
_EXTRA = {
    "anywidget": "notebooks",
    "ipywidgets": "notebooks",
    "py3Dmol": "notebooks",
    "rdkit": "smiles",
    "tblite": "sampling",
}

_import, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, once."""
    try:
        value = _import(name)
    except ModuleNotFoundError as error:
        extra = _EXTRA.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise ModuleNotFoundError(
            f"workbench.{name} needs {error.name}, which is not installed: "
            f"run `pip install 'hamiltonian-workbench[{extra}]'`.",
            name=error.name,
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted([*__all__, "__version__"])
