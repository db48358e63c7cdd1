"""HarmonicsLab: rotate a function on the sphere and see its components mix by D(R)."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.wigner import Rule, wigner_d
from workbench.views.numbers import orientation
from workbench.widgets.harmonics_state import (
    MIX,
    Shells,
    check_table,
    checks,
    component_table,
    matrix_of,
    sentence,
)
from workbench.widgets.heat import Heat
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.choices import dropdown
from workbench.widgets.parts.controls import inversion_button
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.turning import Turning
from workbench.widgets.surface_view import SurfaceView

CHOICES = ("s", "p", "d", "f", "sp", "spd")
"""Shells that the user can choose."""


class HarmonicsLab(Lab):
    """A function of direction, the sum of c_m Y_m, that the user rotates by hand.

    The left picture is rotated by the browser. The picture beside it is drawn from the components
    ``D(R) c`` on fixed harmonics: if D is correct, both look the same. The lab also shows D as a
    heat map, the components and the norm of each l, and the laws that D must obey.

    Args:
        shells: letters of the initial shells, e.g. "p" or "spd".
        rules: name -> callable (l, R) -> D (2l+1, 2l+1); the user chooses one of them. By default
            only the correct rule.

    Raises:
        ValueError: for letters that are not shells, or an empty `rules`.

    >>> lab = wb.HarmonicsLab("p")
    >>> lab.turn_to(wb.rotation((0, 0, 1), 90))  # x -> y, y -> -x
    >>> lab.matrix.round(6) + 0.0  # components in the order y, z, x
    array([[ 0.,  0.,  1.],
           [ 0.,  1.,  0.],
           [-1.,  0.,  0.]])
    """

    def __init__(self, shells: str = "p", rules: Mapping[str, Rule] | None = None):
        self.rules = {"D": wigner_d} if rules is None else dict(rules)
        if not self.rules:
            raise ValueError(
                "rules is empty: give at least one rule for D, or omit it for the correct one."
            )
        self.shells, self._first = Shells(shells), shells
        self.components = self.shells.start(MIX)
        self.guard = Guard()
        self._build()
        self._connect()
        super().__init__(self._layout(), "wb-harmonics")
        self._new_function()

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present operation (3, 3): the rotation, times -1 with inversion."""
        return self._sign * self.turned.rotation

    @property
    def matrix(self) -> NDArray[np.float64]:
        """D of the present operation from the chosen rule, block diagonal in the shells."""
        return matrix_of(self.rules[str(self.rule.value)], self.shells.ls, self.rotation)

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate the function to a proper rotation matrix R (3, 3)."""
        self.turning.to(R)

    def reset(self) -> None:
        """Restore the initial shells, their mix, the first rule and R = 1."""
        self.choice.value, self.rule.value = self._first, next(iter(self.rules))
        self.function.value, self.inversion.value = MIX, False
        self.controls.reset()
        self.turn_to(np.eye(3))

    # ---- building ---------------------------------------------------------------------------

    @property
    def _sign(self) -> int:
        return -1 if self.inversion.value else 1

    def _build(self) -> None:
        self._style = lab_style()  # first, see `lab_style`
        options = list(dict.fromkeys([*CHOICES, self._first]))
        self.choice = dropdown(
            options, "shells", "Values of l in the function", "125px", self._first
        )
        self.function = dropdown(
            self._functions(),
            "function",
            "One orbital, or a mix of all orbitals with norm 1 for each l",
            "165px",
            MIX,
        )
        rules = list(self.rules)
        self.rule = dropdown(rules, "rule", "Rule that computes D from R", "180px", rules[0])
        self.rule.layout.display = None if len(rules) > 1 else "none"
        self.inversion = inversion_button()
        self.reset_button = widgets.Button(description="Reset", tooltip="Restore the initial state")
        start = self.shells.on_grid @ self.components
        self.turned = SurfaceView(start, height=204, label="function rotated by hand")
        self.turned.hint = "drag, or arrow keys"
        self.built = SurfaceView(start, height=204, fixed=True, label="function built from D c")
        self.built.hint = "red +, blue −"
        self.turning = Turning(self.turned, self.guard, lambda _, tick: self._repaint(tick))
        self.controls = self.turning.controls
        self.table, self.laws = widgets.HTML(), widgets.HTML()
        axes = (self.shells.axis, self.shells.axis)
        self.heat = Heat(np.eye(len(self.components)), ["D(R)"], limit=1.0, unit="", max_size=400)
        self.heat.show_values, self.heat.digits = True, 2
        self.heat.show(np.eye(len(self.components)), axes=axes)

    def _connect(self) -> None:
        guard = self.guard
        self.choice.observe(guard(lambda _: self._choose_shells()), "value")
        for control in (self.function, self.inversion):
            control.observe(guard(lambda _: self._new_function()), "value")
        self.rule.observe(guard(lambda _: self._repaint()), "value")
        self.reset_button.on_click(guard(lambda _: self.reset()))

    def _layout(self) -> list[widgets.Widget]:
        title = widgets.HTML("<b>Rotating a function</b>")
        head = [title, self.choice, self.function, self.rule, self.inversion, self.reset_button]
        left = [_caption("the picture, rotated"), self.turned, self.controls.box, self.laws]
        middle = [_caption("the picture of the components D c"), self.built, self.table]
        columns = [
            group(widgets.VBox, "wb-left", left),
            group(widgets.VBox, "wb-left", middle),
            group(widgets.VBox, "wb-right", [self.heat]),
        ]
        body = group(widgets.Box, "wb-body", columns)
        return [self._style, group(widgets.Box, "wb-head", head), self.guard.panel, body]

    # ---- reacting ---------------------------------------------------------------------------

    def _functions(self) -> list[tuple[str, int | str]]:
        names = zip(self._long_names(), range(len(self.components)), strict=True)
        return [(MIX, MIX), *names]

    def _long_names(self) -> list[str]:
        letters = [
            x
            for x, l in zip(self.shells.letters, self.shells.ls, strict=True)
            for _ in range(2 * l + 1)
        ]
        pairs = zip(letters, self.shells.orbitals, strict=True)
        return [a if a == b else f"{a} {b}" for a, b in pairs]

    def _choose_shells(self) -> None:
        self.shells = Shells(str(self.choice.value))
        self.components = self.shells.start(MIX)
        self.function.options = self._functions()
        self._new_function()

    def _new_function(self) -> None:
        choice = self.function.value
        self.components = self.shells.start(MIX if choice is None else choice)
        parity = np.repeat([self._sign**l for l in self.shells.ls], np.diff(self.shells.borders))
        values = self.shells.on_grid @ self.components
        reach = float(np.abs(values).max())
        self.turned.show(self.shells.on_grid @ (parity * self.components), reach)
        self.built.reach = reach
        self._repaint()

    def _repaint(self, tick: int = 0) -> None:
        """Send everything that depends on the operation to the browser."""
        D = self.matrix
        after = D @ self.components
        axes = (self.shells.axis, self.shells.axis)
        self.heat.show(D, tick=tick, axes=axes)
        self.built.show(self.shells.on_grid @ after)
        self.table.value = component_table(self.shells, self.components, after)
        rule = self.rules[str(self.rule.value)]
        errors = checks(rule, self.shells, self.rotation, self.components)
        self.laws.value = check_table(errors)
        where = orientation(self.turned.rotation) + (", then inverted" if self._sign < 0 else "")
        self.turned.announcement = sentence(self.shells, where, after, errors)


def _caption(text: str) -> widgets.HTML:
    return widgets.HTML(f'<p class="wb-note">{text}</p>')
