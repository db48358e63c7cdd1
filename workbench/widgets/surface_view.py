"""A function of direction as a surface that is rotated by mouse, touch or arrow keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from workbench.views.sphere import COLUMNS, ROWS
from workbench.widgets.turnable import Turnable

_STATIC = Path(__file__).parent / "static"


class SurfaceView(Turnable):
    """The surface |f(n)| n over all directions n: red where f is positive, blue where negative.

    A direction n of the function appears at R n; see `Turnable`.

    Args:
        values: (ROWS * COLUMNS,), f at `views.sphere.directions()`.
        reach: the |f| that fills the picture; by default the largest |f|.
        settings: any other trait: height in pixels, label, hint, fixed (cannot be rotated).

    >>> from workbench.hamiltonians.wigner import harmonics
    >>> from workbench.views.sphere import directions
    >>> from workbench.widgets.surface_view import SurfaceView
    >>> surface = SurfaceView(harmonics(1, directions())[:, 1], label="p y")
    >>> surface.reach  # sqrt(3 / (4 pi))
    0.4886
    """

    _esm = _STATIC / "surface.js"
    _css = _STATIC / "surface.css"

    grid = traitlets.List(traitlets.Int(), default_value=[ROWS, COLUMNS]).tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    reach = traitlets.Float(1.0).tag(sync=True)
    sequence = traitlets.Int(0).tag(sync=True)
    fixed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, values: ArrayLike, reach: float | None = None, **settings: Any):
        super().__init__(**settings)
        self.show(values, reach or float(np.abs(values).max(initial=0.0)))

    def show(self, values: ArrayLike, reach: float | None = None) -> None:
        """Draw another function in the present orientation and on the present scale.

        Args:
            values: (ROWS * COLUMNS,).
            reach: the |f| that fills the picture; by default unchanged.

        Raises:
            ValueError: for a wrong number of values.
        """
        f = np.asarray(values, dtype=np.float32)
        if f.shape != (ROWS * COLUMNS,):
            raise ValueError(f"A surface has {ROWS * COLUMNS} values; got shape {f.shape}.")
        with self.hold_sync():
            self.values = f.tobytes()
            self.reach = reach or self.reach
            self.sequence += 1
