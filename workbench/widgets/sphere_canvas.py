"""Maps of the sphere that fill as their values arrive; the user selects an axis on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from workbench.views.sphere_map import mollweide
from workbench.widgets.page import ClosedOnRerun

_STATIC = Path(__file__).parent / "static"


class SphereCanvas(ClosedOnRerun, anywidget.AnyWidget):
    """One map per predictor; each point has the colour of the nearest axis with a known value.

    A map shows the whole sphere in a flat projection, or a globe that is rotated by mouse and keys.
    +z is in the middle, towards the viewer of a structure, +x to the right and +y at the top; the
    globe starts in the same orientation.

    Args:
        axes: (n, 3) unit vectors.
        titles: names of the predictors.
        settings: any other trait: shape ("flat" or "globe"), unit, label, hint, globe_hint, scale
            ("linear" or "log"), max_width of a map in pixels.

    Attributes:
        chosen: index of the selected axis.
    """

    _esm = _STATIC / "sphere_map.js"
    _css = _STATIC / "sphere_map.css"

    axes = traitlets.List().tag(sync=True)
    places = traitlets.List().tag(sync=True)
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)
    values = traitlets.List().tag(sync=True)
    limits = traitlets.List(traitlets.Float(), default_value=[1.0]).tag(sync=True)
    sequence = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.Int(0).tag(sync=True)
    scale = traitlets.Enum(["linear", "log"], default_value="linear").tag(sync=True)
    unit = traitlets.Unicode("meV").tag(sync=True)
    label = traitlets.Unicode("errors over the rotation axes").tag(sync=True)
    hint = traitlets.Unicode(
        "Click an axis, or use the arrow keys; Home selects the worst axis of the first map."
    ).tag(sync=True)
    globe_hint = traitlets.Unicode(
        "Drag or arrow keys rotate the globe; a click, or Enter for the axis in front, selects; "
        "Home selects the worst axis of the first globe."
    ).tag(sync=True)
    shape = traitlets.Enum(["flat", "globe"], default_value="flat").tag(sync=True)
    announcement = traitlets.Unicode("").tag(sync=True)
    max_width = traitlets.Int(460).tag(sync=True)

    def __init__(self, axes: ArrayLike, titles: list[str], **settings: Any):
        super().__init__(titles=titles, **settings)
        self.set_axes(axes)

    def set_axes(self, axes: ArrayLike) -> None:
        """Show other axes (n, 3), without values."""
        directions = np.asarray(axes, dtype=float)
        with self.hold_sync():
            self.axes = directions.round(9).tolist()
            self.places = mollweide(directions).round(6).tolist()
            self.values = [[None] * len(directions) for _ in self.titles]
            self.chosen = min(self.chosen, len(directions) - 1)
            self.sequence += 1

    def show(self, values: Mapping[str, NDArray[np.float64]], limits: list[float]) -> None:
        """Paint the known values.

        Args:
            values: predictor -> (n,), NaN where the value is unknown.
            limits: largest value on the colour scale of each predictor.
        """
        with self.hold_sync():
            self.titles = list(values)
            self.values = [[v if np.isfinite(v) else None for v in a] for a in values.values()]
            self.limits = limits
            self.sequence += 1
