"""A cell that runs again lets go of the widgets that it made before.

ipywidgets keeps every widget until it is closed, in the kernel and in the browser, and nobody
closes those of a cell that is run a second time: they would grow in number as long as the notebook
is open.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import ipywidgets as widgets

from workbench.widgets.molecule_script import MoleculeScript
from workbench.widgets.page import close_inside

__all__ = ["watch"]

_PACKAGE = __name__.partition(".")[0]
_made: dict[str, tuple[str, list[weakref.ref[widgets.Widget]]]] = {}


def watch() -> None:
    """From now on, close this project's widgets when the cell that made them runs again.

    Widgets of others are left alone, as are those made outside of a cell, e.g. in a callback, where
    the front end does not say which cell is running, and the script that all cells share.
    """
    widgets.Widget.on_widget_constructed(_constructed)


def _constructed(widget: widgets.Widget) -> None:
    if not any(kind.__module__.startswith(f"{_PACKAGE}.") for kind in type(widget).__mro__):
        return
    cell, run = _running_cell()
    if not cell or isinstance(widget, MoleculeScript):
        return
    last_run, before = _made.get(cell, ("", []))
    if last_run != run:
        _made[cell] = run, []
        # Labs were made after what is inside them, and close it.
        for old in (made() for made in reversed(before)):
            if old is not None and old.comm is not None:
                close_inside(old)
                old.close()
    _made[cell][1].append(weakref.ref(widget))


def _running_cell() -> tuple[str, str]:
    """Which cell runs, and a name for this run of it; both empty outside of a cell."""
    interactive = sys.modules.get("IPython")
    shell: Any = interactive.get_ipython() if interactive else None
    if not hasattr(shell, "get_parent"):
        return "", ""
    message = shell.get_parent() or {}
    cell = message.get("metadata", {}).get("cellId", "")
    return cell, message.get("header", {}).get("msg_id", "")
