"""One orientation for a picture turned by hand and the controls beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.widgets.parts.controls import TurnControls
from workbench.widgets.parts.guard import Guard
from workbench.widgets.turnable import Turnable

Show = Callable[[NDArray[np.float64], int], None]


class Turning:
    """Keeps a turnable picture and `TurnControls` in step, and tells a lab what to show.

    Args:
        view: the picture.
        guard: of the lab.
        show: called with R (3, 3) and the number of the browser's turn, 0 if it was not its.

    Attributes:
        controls: sliders and presets; `controls.box` goes on the page.
    """

    def __init__(self, view: Turnable, guard: Guard, show: Show):
        self.view, self._show = view, show
        self.controls = TurnControls(guard(self._by_controls))
        view.on_turn(guard(self._by_hand))

    def to(self, R: ArrayLike) -> None:
        """Turn the picture and the controls to a rotation matrix (3, 3), and show it."""
        matrix = np.asarray(R, dtype=float)
        self.controls.follow(matrix)
        self._by_controls(matrix)

    def _by_controls(self, R: NDArray[np.float64]) -> None:
        self.view.turn_to(R)
        self._show(R, 0)

    def _by_hand(self, R: NDArray[np.float64], moving: bool) -> None:
        self._show(R, self.view.tick)
        if not moving:
            self.controls.follow(R)
