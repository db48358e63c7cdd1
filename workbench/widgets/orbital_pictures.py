"""Isosurfaces of functions around one molecule, side by side, rotated together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets
from ase import Atoms
from numpy.typing import ArrayLike

from workbench.engines.orbital_grid import Grid
from workbench.views.drawn_structure import drawn_structure
from workbench.widgets.molecule_script import MoleculeScript, molecule_script
from workbench.widgets.turnable import Turnable

_STATIC = Path(__file__).parent / "static"


class OrbitalPictures(Turnable):
    """Real functions in space, each as its isosurfaces at plus and minus a level.

    All pictures show the same atoms from the same direction: when the user rotates, zooms or moves
    one of them by mouse, touch or arrow keys, the others follow. Red is positive, blue negative.

    Args:
        atoms: the molecule, A.
        settings: any other trait: height in pixels, label, hint.
    """

    _esm = _STATIC / "orbitals.js"
    _css = _STATIC / "orbitals.css"

    script = traitlets.Instance(MoleculeScript).tag(sync=True, **widgets.widget_serialization)
    structure = traitlets.Dict().tag(sync=True)
    titles = traitlets.List(traitlets.Unicode(), default_value=[]).tag(sync=True)
    grid = traitlets.Dict().tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    level = traitlets.Float(1.0).tag(sync=True)
    sequence = traitlets.Int(0).tag(sync=True)

    def __init__(self, atoms: Atoms, **settings: Any):
        drawn = drawn_structure(atoms)
        super().__init__(script=molecule_script(), structure=drawn, **settings)

    def show(self, titles: Sequence[str], grid: Grid, values: ArrayLike, level: float) -> None:
        """Draw other functions in the present orientation.

        Args:
            titles: one per picture.
            grid: points of the values, A.
            values: (pictures, P) in the order of `grid.points()`.
            level: positive isovalue of the surfaces, in the unit of the values.

        Raises:
            ValueError: if the shape of the values does not fit the pictures and the grid.
        """
        numbers = np.asarray(values, dtype=np.float32)
        expected = (len(titles), int(np.prod(grid.shape)))
        if numbers.shape != expected:
            raise ValueError(
                f"{len(titles)} pictures on this grid need values of shape {expected}; "
                f"got {numbers.shape}."
            )
        with self.hold_sync():
            self.grid = {"origin": list(grid.origin), "step": grid.step, "shape": list(grid.shape)}
            self.values = numbers.tobytes()
            self.titles = list(titles)
            self.level, self.sequence = float(level), self.sequence + 1

    def cut_at(self, level: float) -> None:
        """Draw the same functions at another isovalue."""
        with self.hold_sync():
            self.level, self.sequence = float(level), self.sequence + 1
