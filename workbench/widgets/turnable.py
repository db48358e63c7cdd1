"""Base class of pictures rotated by hand: the orientation and the messages of the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from workbench.hamiltonians.rotations import rotation_from_quaternion
from workbench.widgets.page import ClosedOnRerun

TurnCallback = Callable[[NDArray[np.float64], bool], None]


class Turnable(ClosedOnRerun, anywidget.AnyWidget):
    """A picture that is rotated by mouse, touch or arrow keys and reports each orientation.

    The kernel stores the orientation as an active rotation matrix: a point x appears at R x, with x
    to the right, y up and z towards the viewer. While the user drags, the browser sends one
    orientation at a time and waits until all `on_turn` callbacks have returned (they repaint the
    dependent views), so messages never queue up.
    """

    announcement = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    hint = traitlets.Unicode("drag or arrow keys").tag(sync=True)
    height = traitlets.Int(280).tag(sync=True)

    def __init__(self, **settings: Any):
        self.tick = 0  # number of the browser's latest message, for views that repaint
        self._rotation: NDArray[np.float64] = np.eye(3)
        self._callbacks: list[TurnCallback] = []
        super().__init__(**settings)
        self.on_msg(self._receive)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present orientation R (3, 3)."""
        return self._rotation

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate the picture to a matrix R (3, 3), without calling the `on_turn` callbacks."""
        self._rotation = np.asarray(R, dtype=float)
        self.send({"kind": "set", "quaternion": self._quaternion()})

    def on_turn(self, callback: TurnCallback) -> None:
        """Call `callback(R, moving)` when the user rotates the picture; moving is False at the end.

        The browser sends the next orientation only after all callbacks have returned.
        """
        self._callbacks.append(callback)

    def close(self) -> None:
        """Remove the widget from the page and remove all callbacks."""
        self._callbacks.clear()
        self.on_msg(self._receive, remove=True)
        super().close()

    def _quaternion(self) -> list[float]:
        return Rotation.from_matrix(self._rotation).as_quat().tolist()

    def _receive(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Handle a message of the browser; a rotation is acknowledged even after an error."""
        if content.get("kind") == "hello":
            self.send({"kind": "set", "quaternion": self._quaternion()})
        elif content.get("kind") == "turn":
            try:
                self.tick = int(content["tick"])
                self._rotation = rotation_from_quaternion(content["quaternion"])
                for callback in list(self._callbacks):
                    callback(self._rotation, bool(content.get("moving")))
            finally:
                answer = {"kind": "ack", "view": content.get("view"), "tick": content.get("tick")}
                self.send(answer)
