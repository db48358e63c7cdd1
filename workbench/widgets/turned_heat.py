"""TurnedHeat: heat maps of matrices that depend on a rotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets
import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.views.matrix_axes import Axis
from workbench.views.numbers import orientation
from workbench.widgets.heat import Heat
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.controls import TurnControls, inversion_button
from workbench.widgets.parts.guard import Guard

_ZERO = 1e-9  # elements below it count as zeros

Matrices = Callable[[NDArray[np.float64]], Sequence[ArrayLike]]


class TurnedHeat(Lab):
    """Heat maps of matrices that are functions of R, beside controls that set R.

    Args:
        matrices: callable R (3, 3), proper or improper -> matrices of one shape.
        titles: one title per matrix.
        axis: names and borders of rows and columns (see `Heat.show`); by default numbers.
        limit: largest value on the colour scale.

    Raises:
        ValueError: if the numbers of titles and matrices differ.

    >>> heat = wb.TurnedHeat(lambda R: [R, R @ R.T], ["R", "R Rᵀ"])
    >>> heat.turn_to(wb.rotation((0, 0, 1), 90))
    >>> heat.heat.painted()[1].round(6)  # R is orthogonal
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """

    def __init__(
        self,
        matrices: Matrices,
        titles: Sequence[str],
        axis: Axis | None = None,
        limit: float = 1.0,
    ):
        style = lab_style()  # first, see `lab_style`
        self.guard = Guard()
        self._matrices, self._axis = matrices, axis
        self._turn = np.eye(3)
        self.controls = TurnControls(self.guard(self._turned))
        self.inversion = inversion_button()
        self.inversion.observe(self.guard(lambda _: self._repaint()), "value")
        self.heat = Heat(list(matrices(self._turn)), titles, limit=limit, unit="", max_size=370)
        self.words = widgets.HTML()
        side = [self.controls.box, self.inversion, self.words]
        columns = [
            group(widgets.VBox, "wb-left", side),
            group(widgets.VBox, "wb-right", [self.heat]),
        ]
        body = group(widgets.Box, "wb-body", columns)
        super().__init__([style, self.guard.panel, body])
        self._repaint()

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present operation (3, 3): the rotation, times -1 with inversion."""
        return -self._turn if self.inversion.value else self._turn

    def turn_to(self, R: ArrayLike) -> None:
        """Set R to a proper rotation matrix (3, 3)."""
        matrix = np.asarray(R, dtype=float)
        self.controls.follow(matrix)
        self._turned(matrix)

    def _turned(self, R: NDArray[np.float64]) -> None:
        self._turn = R
        self._repaint()

    def _repaint(self) -> None:
        matrices = [np.asarray(matrix, dtype=float) for matrix in self._matrices(self.rotation)]
        axes = (self._axis, self._axis) if self._axis else None
        self.heat.show(matrices, axes=axes)
        where = orientation(self._turn) + (", then inverted" if self.inversion.value else "")
        zeros = "; ".join(
            f"{title}: {np.mean(np.abs(matrix) < _ZERO):.0%} zeros"
            for title, matrix in zip(self.heat.titles, matrices, strict=True)
        )
        self.words.value = f'<p class="wb-note" role="status">R: {where}.<br>{zeros}.</p>'
