"""3Dmol.js, shared by all live pictures of a kernel: sent to a page once and evaluated once."""

from __future__ import annotations

import anywidget
import traitlets

from workbench.views.structure import SCRIPT

__all__ = ["MoleculeScript", "molecule_script"]


class MoleculeScript(anywidget.AnyWidget):
    """Invisible: holds the script with which `StructureView` and `OrbitalPictures` draw.

    A browser keeps every module that a page has evaluated. If the script were part of each
    picture's module, each picture would cost the page 1.4 MB permanently. It is not
    `ClosedOnRerun`, because all cells share it.
    """

    _esm = "export default {};"

    text = traitlets.Unicode().tag(sync=True)


_shared: list[MoleculeScript] = []


def molecule_script() -> MoleculeScript:
    """The script widget of this kernel; a new one if the last one was closed."""
    if not _shared or _shared[-1].comm is None:
        _shared[:] = [MoleculeScript(text=SCRIPT.read_text())]
    return _shared[-1]
