"""What labs that show an `Experiment` at one orientation have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.orientation_comparison import Experiment, Snapshot
from workbench.widgets.page import Lab
from workbench.widgets.parts.turning import Turning

__all__ = ["ExperimentLab"]


class ExperimentLab(Lab):
    """A lab with one orientation and one chosen block of the matrices.

    A subclass sets the attributes before `Lab.__init__` and implements the two methods that
    repaint.

    Attributes:
        experiment: evaluates reference and predictors at any orientation.
        snapshot: the matrices at the present orientation.
        turning: the picture that the user turns, and its controls.
    """

    experiment: Experiment
    snapshot: Snapshot
    turning: Turning
    _pair: list[int]

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present orientation R (3, 3)."""
        return self.snapshot.R

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate the structure and all matrices to a rotation matrix R (3, 3)."""
        self.turning.to(R)

    def pick(self, i: int, j: int) -> None:
        """Choose the block of row atom i and column atom j, counted from 0."""
        if [i, j] == self._pair:
            return
        self._pair = [i, j]
        self._pair_changed()

    def _show(self, R: NDArray[np.float64], tick: int = 0) -> None:
        """Evaluate the experiment at R and repaint; `tick` answers the browser's message."""
        self.snapshot = self.experiment.at(R)
        self._repaint(tick)

    def _repaint(self, tick: int = 0) -> None:
        raise NotImplementedError

    def _pair_changed(self) -> None:
        raise NotImplementedError
