"""SpinorTurn: a rotation by 360 degrees restores the Hamiltonian and flips the spinors' sign."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import occupied_count
from workbench.hamiltonians.spinors import (
    SpinorStates,
    leading_orbitals,
    turn,
    turn_matrix,
    turn_state,
)
from workbench.views.spin_panels import PARTS, parts_of, shown
from workbench.views.spinor_picture import curves, phasors
from workbench.views.style import number
from workbench.widgets.page import Lab, lab_style
from workbench.widgets.parts.choices import button
from workbench.widgets.parts.guard import Guard

AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "(1,1,1)": (1, 1, 1)}
"""Button -> rotation axis."""

STOPS = (0, 90, 180, 360, 540, 720)
"""Angles with a button, degrees."""

_COLUMNS = 9  # number of orbitals whose components are drawn
_ANGLES = np.arange(0.0, 721.0, 10.0)  # degrees, at which the curves are evaluated
_SAME = 1e-6  # distance of an overlap from +-1, or eV: below it only rounding errors remain


class SpinorTurn(Lab):
    """A spinor state, rotated by 0 to 720 degrees about an axis.

    The lab shows the components of the state before and after the rotation as arrows in the complex
    plane, the overlap of the state with itself before the rotation, and the change of each part of
    the Hamiltonian ``D H D^+``. After 360 degrees the Hamiltonian is unchanged and the state has
    the opposite sign; after 720 degrees the state is unchanged, too. Everything is computed at the
    angle that is shown.

    Args:
        H: Hamiltonian with spin, eV; for a crystal the states at k = 0 are shown.
        S: its overlap matrix.
        n_electrons: number of electrons, to start at the highest occupied level; by default the
            lab starts at the lowest level.

    Raises:
        ValueError: if the matrices have no spin or do not belong to each other.

    >>> from ase import Atoms
    >>> neon = wb.reference(Atoms("Ne"), "sto-3g", "hf", spin_orbit=True, relativity="x2c")
    >>> spinor = wb.SpinorTurn(neon.H, neon.S, neon.n_electrons)
    >>> spinor.turn_to(360)
    >>> round(spinor.overlap.real, 6), spinor.change_ev < 1e-6
    (-1.0, True)
    """

    def __init__(self, H: BlockMatrix, S: BlockMatrix, n_electrons: int | None = None):
        self.states = SpinorStates.of(H, S)
        self.guard = Guard()
        self.overlap, self.change_ev = 1.0 + 0j, 0.0
        self._first = occupied_count(H, n_electrons) - 1 if n_electrons else 0
        self._build()
        self._change_curve()
        super().__init__(self._layout())
        self._repaint()

    @property
    def degrees(self) -> float:
        """The present rotation angle, 0 to 720 degrees."""
        return float(self.angle.value)

    def turn_to(self, degrees: float) -> None:
        """Rotate to an angle from 0 to 720 degrees."""
        self.angle.value = degrees

    def reset(self) -> None:
        """Restore angle 0, axis z and the initial state."""
        self.axis.value, self.level.value = "z", self._first
        self.turn_to(0)

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        self._style = lab_style()  # first, see `lab_style`
        self.axis = widgets.ToggleButtons(
            options=list(AXES),
            value="z",
            tooltips=["Rotation axis"] * len(AXES),
            style={"button_width": "auto"},
        )
        energies = self.states.energies
        name = {self._first: ", highest occupied"} if self._first else {}
        self.level = widgets.Dropdown(
            options=[
                (f"{k + 1} of {len(energies)}: {e:.3f} eV{name.get(k, '')}".replace("-", "−"), k)
                for k, e in enumerate(energies)
            ],
            value=self._first,
            description="state",
            tooltip="Each state holds one electron; two make a Kramers pair",
            layout=widgets.Layout(width="330px"),
            style={"description_width": "46px"},
        )
        self.angle = widgets.FloatSlider(
            min=0,
            max=720,
            step=5,
            description="angle θ, °",
            tooltip="Rotation angle, degrees; arrow keys change it by 5",
            readout_format=".0f",
            style={"description_width": "80px"},
            layout=widgets.Layout(width="auto", flex="1 1 300px"),
        )
        self.stops = {a: button(f"{a}°", f"Rotate to {a} degrees") for a in STOPS}
        self.reset_button = button("Reset", "Restore the initial state")
        self.arrows, self.plot, self.text = widgets.HTML(), widgets.HTML(), widgets.HTML()
        guard = self.guard
        self.axis.observe(guard(lambda _: self._axis_chosen()), "value")
        for control in (self.level, self.angle):
            control.observe(guard(lambda _: self._repaint()), "value")
        for stop, pressed in self.stops.items():
            pressed.on_click(guard(lambda _, stop=stop: self.turn_to(stop)))
        self.reset_button.on_click(guard(lambda _: self.reset()))

    def _layout(self) -> list[widgets.Widget]:
        title = widgets.HTML("<b>Rotating a spinor</b> <span>grey before, orange after</span>")
        rows = {
            "wb-head": [title, widgets.Label("axis"), self.axis, self.level, self.reset_button],
            "wb-stops": [self.angle, *self.stops.values()],
            "wb-body": [widgets.VBox([self.arrows, self.text]), self.plot],
        }
        boxes = [widgets.Box(children) for children in rows.values()]
        for name, box in zip(rows, boxes, strict=True):
            box.add_class(name)
        boxes[2].add_class("wb-turn")
        return [self._style, boxes[0], self.guard.panel, *boxes[1:]]

    # ---- reacting ---------------------------------------------------------------------------

    def _turns(self, degrees: Any) -> Any:
        return turn(self.states.H.basis, AXES[str(self.axis.value)], degrees)

    def _axis_chosen(self) -> None:
        self._change_curve()
        self._repaint()

    def _change_curve(self) -> None:
        """Compute the curve of the Hamiltonian, which does not depend on the chosen state."""
        self._turned = self._turns(_ANGLES)
        H = self.states.H
        self._changes = np.array([(turn_matrix(H, D) - H).mae() for D in self._turned])

    def _repaint(self) -> None:
        states, level = self.states, int(self.level.value or 0)
        H, state = states.H, states.vectors[:, level]
        D = self._turns(self.degrees)
        change = turn_matrix(H, D) - H
        self.overlap, self.change_ev = complex(states.overlaps(level, D)), change.mae()
        columns = leading_orbitals(H, state, _COLUMNS)
        labels = [name.split(" ")[:2] for name in np.array(H.orbital_labels())[columns]]
        before, now = (c.reshape(2, -1)[:, columns] for c in (state, turn_state(H, state, D)))
        self.arrows.value = phasors([(a, o) for a, o in labels], before, now)
        self.plot.value = curves(
            _ANGLES,
            states.overlaps(level, self._turned),
            self._changes,
            (self.degrees, self.overlap, self.change_ev),
        )
        self.text.value = self._words(change)

    def _words(self, change: BlockMatrix) -> str:
        """Text equivalent of the pictures, and the change of each part of H, as HTML."""
        value = self.overlap
        imaginary = f"{round(value.imag, 4) + 0.0:+.4f} i".replace("+", "+ ").replace("-", "− ")
        overlap = f"⟨ψ|U(θ)ψ⟩ = {value.real:.4f} {imaginary}".replace("-", "−")
        verdict = f"{_fate(value)}; {_matrix_fate(change.max_abs())}"
        rows = "".join(_row(name, shown(change, name)) for name in parts_of(self.states.H))
        return (
            f'<p aria-live="polite"><b>{escape(overlap)}</b><br>'
            f"Rotated by {self.degrees:.0f}° about {escape(str(self.axis.value))}: {verdict}.</p>"
            '<table class="wb-errors"><thead><tr><th>part of H</th><th>largest change, eV</th>'
            f"<th>between</th></tr></thead><tbody>{rows}</tbody></table>"
            '<p class="wb-note">Components in Löwdin orbitals, which move with their atoms and '
            "keep the directions of the fixed axes.</p>"
        )


def _fate(overlap: complex) -> str:
    if abs(overlap - 1) < _SAME:
        return "the state is unchanged"
    if abs(overlap + 1) < _SAME:
        return "the state has the opposite sign"
    return "the state has changed"


def _matrix_fate(change_ev: float) -> str:
    return "the Hamiltonian is unchanged" if change_ev < _SAME else "the Hamiltonian has changed"


def _row(name: str, change: BlockMatrix) -> str:
    """The largest change of one part, and the two orbitals of that element."""
    dense = change.at_gamma()
    row, column = np.unravel_index(np.abs(dense).argmax(), dense.shape)
    value, labels = abs(float(dense[row, column])), change.orbital_labels()
    changed = value > _SAME
    where = f"{labels[row]} | {labels[column]}" if changed else "no change"
    cells = f"<td>{number(value) if changed else '0'}</td><td>{escape(where)}</td>"
    return f'<tr><th scope="row">{escape(PARTS[name].title)}</th>{cells}</tr>'
