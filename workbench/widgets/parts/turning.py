"""One orientation for a picture that is rotated by hand and the controls beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.widgets.parts.controls import TurnControls
from workbench.widgets.parts.guard import Guard
from workbench.widgets.turnable import Turnable

Show = Callable[[NDArray[np.float64], int], None]


class Turning:
    """Synchronises a picture and its `TurnControls`, and calls the lab for each orientation.

    Args:
        view: the picture.
        guard: guard of the lab.
        show: called with R (3, 3) and the browser's message number (0 if the change came from
            Python).

    Attributes:
        controls: sliders and presets; `controls.box` goes on the page.
    """

    def __init__(self, view: Turnable, guard: Guard, show: Show):
        self.view, self._show = view, show
        self.controls = TurnControls(guard(self._by_controls))
        view.on_turn(guard(self._by_hand))

    def to(self, R: ArrayLike) -> None:
        """Set picture and controls to a rotation matrix R (3, 3), and call the lab."""
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
