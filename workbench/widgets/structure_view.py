"""A structure that is rotated by mouse, touch or arrow keys and reports each orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets
from ase import Atoms

from workbench.views.drawn_structure import drawn_structure
from workbench.widgets.molecule_script import MoleculeScript, molecule_script
from workbench.widgets.turnable import Turnable

_STATIC = Path(__file__).parent / "static"


class StructureView(Turnable):
    """A ball-and-stick picture of `ase.Atoms` that the user can rotate.

    A point x of the structure appears at R x; see `Turnable`.

    Args:
        atoms: the structure, in its orientation at R = 1.
        height: height of the picture, pixels.
        label: name for screen readers; by default the formula.

    >>> view = wb.StructureView(wb.load("water"))
    >>> view.on_turn(lambda R, moving: print(R))  # called when the user drags the picture
    >>> view.turn_to(wb.rotation((0, 0, 1), 90))
    >>> view.rotation @ [1, 0, 0]  # the x axis of water now points up
    array([0., 1., 0.])
    """

    _esm = _STATIC / "structure.js"
    _css = _STATIC / "structure.css"

    script = traitlets.Instance(MoleculeScript).tag(sync=True, **widgets.widget_serialization)
    structure = traitlets.Dict().tag(sync=True)
    pair = traitlets.List(traitlets.Int(), default_value=[]).tag(sync=True)
    label = traitlets.Unicode("structure").tag(sync=True)

    def __init__(self, atoms: Atoms, *, height: int = 280, label: str = "", **settings: Any):
        described = label or atoms.get_chemical_formula()
        super().__init__(script=molecule_script(), height=height, label=described, **settings)
        self.show(atoms)

    def show(self, atoms: Atoms) -> None:
        """Draw another structure in the present orientation."""
        self.structure = drawn_structure(atoms)
