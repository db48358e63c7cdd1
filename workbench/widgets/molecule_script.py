"""3Dmol.js for all live pictures of a kernel: sent to a page once, and evaluated there once."""

from __future__ import annotations

import anywidget
import traitlets

from workbench.views.structure import SCRIPT

__all__ = ["MoleculeScript", "molecule_script"]


class MoleculeScript(anywidget.AnyWidget):
    """Invisible: holds the script that `StructureView` and `OrbitalPictures` draw with.

    A browser keeps every module that a page has ever evaluated. Were the script a part of each
    picture's own module, as it once was, each picture would cost the page 1.4 MB for good.
    """

    _esm = "export default {};"

    text = traitlets.Unicode().tag(sync=True)


_made: list[MoleculeScript] = []


def molecule_script() -> MoleculeScript:
    """The one of this kernel; a new one if somebody has closed it."""
    if not _made or _made[-1].comm is None:
        _made[:] = [MoleculeScript(text=SCRIPT.read_text())]
    return _made[-1]
