"""Rotation without a mouse: axis, angle and presets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.rotations import axis_angle, random_rotation, rotation
from workbench.widgets.parts.choices import button

PRESETS: dict[str, tuple[tuple[float, float, float], float]] = {
    "90° x": ((1, 0, 0), 90),
    "90° y": ((0, 1, 0), 90),
    "90° z": ((0, 0, 1), 90),
    "180° y": ((0, 1, 0), 180),
    "40° (1,1,0)": ((1, 1, 0), 40),
}
"""Button -> axis and angle in degrees."""

RANDOM_SEED = 0


class TurnControls:
    """Sliders for the axis (polar angles) and the angle of a rotation, and preset buttons.

    Args:
        on_turn: called with R (3, 3) when the user changes these controls.

    Attributes:
        box: the widget to show.
    """

    def __init__(self, on_turn: Callable[[NDArray[np.float64]], None]):
        self._on_turn = on_turn
        self._following = False
        self._exact: dict[widgets.FloatSlider, float] = {}
        self._rng = np.random.default_rng(RANDOM_SEED)
        self.polar = _slider("axis θ", 0, 180, "Polar angle of the axis, from +z", 90)
        self.azimuth = _slider("axis φ", -180, 180, "Azimuth of the axis, from +x towards +y", 0)
        self.angle = _slider("angle", 0, 360, "Rotation angle about the axis", 0)
        for slider in self.sliders:
            slider.observe(self._slid, "value")
        self.buttons = {"identity": button("identity", "Return to R = 1")}
        self.buttons |= {name: button(name, f"Rotate by {name}") for name in PRESETS}
        self.buttons["random"] = button(
            "random", "A uniformly random rotation; the sequence is always the same"
        )
        for name, pressed in self.buttons.items():
            pressed.on_click(lambda _, name=name: self.preset(name))
        presets = widgets.Box(list(self.buttons.values()))
        presets.add_class("wb-presets")
        self.box = widgets.VBox([*self.sliders, presets])
        self.box.add_class("wb-controls")

    @property
    def sliders(self) -> list[widgets.FloatSlider]:
        """The three sliders."""
        return [self.polar, self.azimuth, self.angle]

    def preset(self, name: str) -> None:
        """Rotate to a preset: "identity", "random" or a key of `PRESETS`."""
        if name == "identity":
            R = np.eye(3)
        elif name == "random":
            R = random_rotation(self._rng)
        else:
            R = rotation(*PRESETS[name])
        self.follow(R)
        self._on_turn(R)

    def follow(self, R: NDArray[np.float64]) -> None:
        """Set the sliders to an orientation without a callback; at R = 1 the axis stays."""
        axis, degrees = axis_angle(R)
        self._set(self.angle, degrees)
        if degrees > 1e-6:
            self._set(self.polar, float(np.rad2deg(np.arccos(np.clip(axis[2], -1, 1)))))
            self._set(self.azimuth, float(np.rad2deg(np.arctan2(axis[1], axis[0]))))

    def reset(self) -> None:
        """Restore the initial axis, angle 0, and the start of the random sequence."""
        self._rng = np.random.default_rng(RANDOM_SEED)
        for slider, value in zip(self.sliders, (90, 0, 0), strict=True):
            self._set(slider, value)

    def rotation(self) -> NDArray[np.float64]:
        """The rotation that the sliders describe."""
        theta, phi, angle = (
            self._exact.get(slider, slider.value or 0.0) for slider in self.sliders
        )
        theta, phi = np.deg2rad([theta, phi])
        axis = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
        return rotation(axis, angle)

    def _set(self, slider: widgets.FloatSlider, value: float) -> None:
        """Move a slider without a callback; store the exact value, since sliders round to steps."""
        self._exact[slider] = float(value)
        self._following = True
        try:
            slider.value = value
        finally:
            self._following = False

    def _slid(self, change: dict[str, Any]) -> None:
        slider, value = change["owner"], change["new"]
        # The browser echoes our value rounded to the slider's step; this is not a user action.
        echo = abs(value - self._exact.get(slider, np.inf)) <= 0.51 * slider.step
        if self._following or echo:
            return
        self._exact[slider] = value
        self._on_turn(self.rotation())


def inversion_button() -> widgets.ToggleButton:
    """A button that makes an operation improper: after the rotation every x becomes -x."""
    return widgets.ToggleButton(
        description="invert x → −x",
        tooltip="Rotate, then invert: an improper operation with determinant -1",
        layout=widgets.Layout(width="auto"),
    )


def _slider(name: str, low: float, high: float, tooltip: str, value: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=1,
        description=name,
        tooltip=tooltip,
        readout_format=".0f",
        style={"description_width": "48px"},
        layout=widgets.Layout(width="auto", margin="0"),
    )
