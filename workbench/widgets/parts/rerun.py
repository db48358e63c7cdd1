"""Close the widgets that a cell created when the cell runs again.

ipywidgets keeps every widget, in the kernel and in the browser, until it is closed. It does not
close the widgets of a cell that is run a second time, so their number would grow for as long as the
notebook is open.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import ipywidgets as widgets

from workbench.widgets.page import ClosedOnRerun, close_inside

__all__ = ["watch"]

# Cell -> its last run, and the widgets that this run created.
_created: dict[str, tuple[str, list[weakref.ref[widgets.Widget]]]] = {}


def watch() -> None:
    """From now on, close `ClosedOnRerun` widgets when the cell that created them runs again.

    All other widgets stay open. So do widgets created outside of a cell, e.g. in a callback, where
    the front end does not say which cell is running.
    """
    widgets.Widget.on_widget_constructed(_constructed)


def _constructed(widget: widgets.Widget) -> None:
    if not isinstance(widget, ClosedOnRerun):
        return
    cell, run = _running_cell()
    if not cell:
        return
    last_run, references = _created.get(cell, ("", []))
    if last_run != run:
        _created[cell] = run, []
        # A lab is created after the widgets inside it, and closes them: begin at the end.
        for old in (reference() for reference in reversed(references)):
            if old is not None and old.comm is not None:
                close_inside(old)
                old.close()
    _created[cell][1].append(weakref.ref(widget))


def _running_cell() -> tuple[str, str]:
    """Identifiers of the running cell and of this run; both are empty outside of a cell."""
    interactive = sys.modules.get("IPython")
    shell: Any = interactive.get_ipython() if interactive else None
    if not hasattr(shell, "get_parent"):
        return "", ""
    message = shell.get_parent() or {}
    cell = message.get("metadata", {}).get("cellId", "")
    return cell, message.get("header", {}).get("msg_id", "")
