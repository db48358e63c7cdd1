"""A rotated spinor as inline SVG: its components as arrows, and two curves over the angle."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.views.style import COLOURS, GRID, INK, MUTED, number

BEFORE = "#9aa4b2"
NOW, OVERLAP, CHANGE = COLOURS[1], COLOURS[0], COLOURS[2]

_CELL = 56  # px, size of a component
_MARGIN = 30
_WIDTH, _HEIGHT = 480, 118  # px of the plotting area of a curve
_LEFT, _TOP, _GAP = 60, 26, 52


def phasors(
    labels: Sequence[tuple[str, str]],
    before: NDArray[np.complex128],
    now: NDArray[np.complex128],
) -> str:
    """Each component of a state as an arrow in the complex plane, spin up above spin down.

    Args:
        labels: (atom, orbital) of each column.
        before: (2, columns) components before the rotation, in grey.
        now: (2, columns) components after the rotation. The radius of the circles is the modulus
            of the largest component.

    Returns:
        An SVG element as text.
    """
    largest = float(max(np.abs(before).max(), np.abs(now).max(), 1e-12))
    width, height = _MARGIN + _CELL * len(labels), 2 * _CELL + 58
    parts = []
    for column, (atom, orbital) in enumerate(labels):
        x = _MARGIN + (column + 0.5) * _CELL
        parts += [_text(x, 14, atom, strong=True), _text(x, 31, orbital)]
        for row, spin in enumerate("↑↓"):
            y = 38 + (row + 0.5) * _CELL
            parts.append(_circle(x, y, 0.44 * _CELL))
            for value, colour, thick in (
                (before[row, column], BEFORE, 5.0),
                (now[row, column], NOW, 2.2),
            ):
                parts.append(_arrow(x, y, 0.44 * _CELL * value / largest, colour, thick))
            if column == 0:
                parts.append(_text(12, y + 5, spin, strong=True))
    note = f"circle: modulus {number(largest)}; real part to the right, imaginary part up"
    parts.append(_text(0, height - 4, note, anchor="start"))
    return _svg("wb-phasors", width, height, "Components of the spinor as arrows", parts)


def curves(
    angles: NDArray[np.float64],
    overlap: NDArray[np.complex128],
    change_ev: NDArray[np.float64],
    now: tuple[float, complex, float],
) -> str:
    """Overlap of the state and change of the Hamiltonian against the rotation angle.

    Args:
        angles: (A,) degrees, ascending.
        overlap: (A,) overlap of the state with the rotated state.
        change_ev: (A,) mean modulus of the change of the Hamiltonian, eV.
        now: present angle, overlap and change, drawn as points.

    Returns:
        An SVG element as text.
    """
    angle, here, changed = now
    top = max(float(change_ev.max()), 1e-12)
    last = float(angles[-1])
    state = _Frame(_TOP, -1.0, 1.0, last)
    matrix = _Frame(_TOP + _HEIGHT + _GAP, 0.0, top, last)
    parts = [*state.axes((-1, 0, 1)), *matrix.axes((0, top))]
    parts.append(_text(0, 14, "state: real part of ⟨ψ|U(θ)ψ⟩", anchor="start", strong=True))
    title = "Hamiltonian: mean |H(θ) − H|, eV"
    parts.append(_text(0, matrix.top - 12, title, anchor="start", strong=True))
    for frame, values, value, colour in (
        (state, overlap.real, here.real, OVERLAP),
        (matrix, change_ev, changed, CHANGE),
    ):
        parts.append(frame.curve(angles, values, colour))
        x, y = frame.at(angle, value)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{frame.bottom}" ')
        parts.append(f'stroke="{INK}" stroke-dasharray="3 3"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    below = matrix.bottom + 36
    parts.append(_text(_LEFT + _WIDTH / 2, below, "rotation angle θ, degrees"))
    label = "Overlap of the state and change of the Hamiltonian over the angle"
    return _svg("wb-curves", _LEFT + _WIDTH + 20, below + 8, label, parts)


class _Frame:
    """The plotting area of one curve."""

    def __init__(self, top: float, low: float, high: float, last: float):
        self.top, self.bottom = top, top + _HEIGHT
        self.low, self.high, self.last = low, high, last

    def at(self, angle: float, value: float) -> tuple[float, float]:
        share = (value - self.low) / (self.high - self.low)
        return _LEFT + _WIDTH * angle / self.last, self.bottom - _HEIGHT * share

    def axes(self, values: Sequence[float]) -> list[str]:
        parts = []
        for value in values:
            _, y = self.at(0, value)
            parts.append(_line(_LEFT, y, _LEFT + _WIDTH, y))
            parts.append(_text(_LEFT - 8, y + 5, number(value), anchor="end"))
        for angle in np.arange(0, self.last + 1, 90):
            x, _ = self.at(angle, self.low)
            parts.append(_line(x, self.top, x, self.bottom))
            parts.append(_text(x, self.bottom + 17, f"{angle:.0f}"))
        return parts

    def curve(self, angles: NDArray[np.float64], values: NDArray[np.float64], colour: str) -> str:
        points = [self.at(a, v) for a, v in zip(angles, values, strict=True)]
        path = "".join(f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" for (x, y), (u, v) in pairwise(points))
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.2"/>'


def _svg(name: str, width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{name}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'style="max-width: {width:.0f}px" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", strong: bool = False) -> str:
    style = "wb-strong" if strong else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _line(x: float, y: float, u: float, v: float) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}" stroke="{GRID}"/>'


def _circle(x: float, y: float, radius: float) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none" stroke="{GRID}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.2" fill="{MUTED}"/>'
    )


def _arrow(x: float, y: float, value: complex, colour: str, thick: float) -> str:
    """An arrow from (x, y) by a complex number of pixels; none if it is shorter than 1 px."""
    if abs(value) < 1:
        return ""
    tip = np.array([x + value.real, y - value.imag])
    along = np.array([value.real, -value.imag]) / abs(value)
    aside = np.array([-along[1], along[0]])
    head = min(7.0, abs(value))
    wings = [tip - head * along + s * 0.5 * head * aside for s in (1, -1)]
    corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in (tip, *wings))
    end = tip - 0.8 * head * along
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="{thick}"/><polygon points="{corners}" fill="{colour}"/>'
    )
