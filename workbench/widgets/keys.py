"""Keys that a list or a slider in a lab understands, kept from JupyterLab's own shortcuts."""

from __future__ import annotations

from pathlib import Path

import anywidget


class OwnKeys(anywidget.AnyWidget):
    """Nothing to see: as a child of a lab it keeps arrow keys for the lists inside it.

    Without it JupyterLab takes an arrow key that is pressed in a list for a move to another cell.
    """

    _esm = Path(__file__).parent / "static" / "keys.js"
