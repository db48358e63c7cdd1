"""Orbital energies as inline SVG: a rotation of the structure must not change them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.spinors import splitting
from workbench.views.numbers import milli
from workbench.views.style import OCCUPIED, VIRTUAL

BEFORE = "#c3cad4"

_LEFT, _TOP, _BOTTOM, _LINE = 40, 44, 44, 18

Levels = NDArray[np.float64]


def level_picture(
    now: Mapping[str, Levels],
    before: Mapping[str, Levels],
    n_occupied: int | None,
    drift_mev: Mapping[str, float],
    height: int = 320,
    spinor: bool = False,
) -> str:
    """Levels of each column around the gap, on top of grey bars for the levels at R = 1.

    Levels of spinors contain one electron each. Two levels form a line, since time reversal pairs
    them (Kramers): the line has no step as long as the pair is degenerate.

    Args:
        now: column -> eigenvalues in eV, ascending.
        before: the levels at R = 1; the grey bars are hidden if the levels do not change.
        n_occupied: number of occupied orbitals; None if unknown: then without gap and colours.
        drift_mev: column -> largest shift of a level since R = 1, meV.
        height: height of the picture, pixels.
        spinor: whether the levels are those of spinors.

    Returns:
        An SVG element as text. The browser's side of a page (`workbench.views.page`) moves its
        bars: they are named by column and index, and the element has the scale.
    """
    width = max(260, _LEFT + max(83, 21 + 7 * max(map(len, now))) * len(now))
    low, high = window(next(iter(before.values())), n_occupied)
    bottom = _BOTTOM + (2 * _LINE if spinor else 0)
    scale = (height - _TOP - bottom) / (high - low)
    column = (width - _LEFT) / len(now)
    parts = [_axis(low, high, scale, width)]
    for k, (name, energies) in enumerate(now.items()):
        x = _LEFT + (k + 0.5) * column
        half = min(0.36 * column, 46)
        parts.append(_heading(name, energies, n_occupied, x, k))
        drift = height - bottom + _LINE * 2
        parts.append(_centred(milli(drift_mev[name]), x, drift, "wb-drift", column=k))
        if spinor:
            parts.append(_centred(milli(MEV * splitting(energies)), x, height - 8))
        for index, y in _heights(before[name], low, high, scale):
            parts.append(_bar(*_ends(x, half + 5, index, spinor), y, BEFORE, 5.5))
        for index, y in _heights(energies, low, high, scale):
            filled = n_occupied is not None and index < n_occupied
            colour = OCCUPIED if filled else VIRTUAL
            live = f' class="wb-level" data-column="{k}" data-index="{index}"'
            parts.append(_bar(*_ends(x, half, index, spinor), y, colour, 2.5, live))
    parts.append(_left("largest shift since R = 1, meV", height - bottom + _LINE))
    if spinor:
        parts.append(_left("largest splitting of a Kramers pair, meV", height - 8 - _LINE))
    label = "Orbital energies in eV of " + ", ".join(now)
    return (
        f'<svg class="wb-levels" viewBox="0 0 {width} {height}" role="img" '
        f'data-top="{_TOP}" data-high="{high}" data-scale="{scale}" '
        f'style="max-width: {1.1 * width:.0f}px" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def window(energies: Levels, n_occupied: int | None) -> tuple[float, float]:
    """The energy range of the picture, eV: valence levels and some empty levels, no core."""
    if not n_occupied:
        return float(energies[0]) - 1, float(energies[-1]) + 1
    homo = energies[n_occupied - 1]
    valence = energies[:n_occupied][energies[:n_occupied] > homo - 35]
    empty = energies[n_occupied:][energies[n_occupied:] < homo + 35]
    low, high = float(valence[0]), float(empty[-1] if len(empty) else homo)
    margin = 0.04 * (high - low) + 0.5
    return low - margin, high + margin


def tick_values(low: float, high: float) -> list[float]:
    """About five round energies in a range."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if (high - low) / s <= 7)
    return [float(v) for v in np.arange(np.ceil(low / step) * step, high, step)]


def _axis(low: float, high: float, scale: float, width: int) -> str:
    lines = []
    for value in tick_values(low, high):
        y = _TOP + (high - value) * scale
        text = f"{value:.0f}".replace("-", "−")
        lines.append(
            f'<line x1="{_LEFT - 4}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e7ec"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4.5:.1f}" text-anchor="end">{text}</text>'
        )
    return "".join(lines) + '<text x="0" y="31">gap</text><text x="0" y="14">eV</text>'


def _heading(name: str, energies: Levels, n_occupied: int | None, x: float, column: int) -> str:
    text = _centred(name, x, 14, "wb-strong")
    if n_occupied and n_occupied < len(energies):
        gap = f"{energies[n_occupied] - energies[n_occupied - 1]:.4f}"
        text += _centred(gap, x, 31, "wb-gap", column)
    return text


def _centred(text: str, x: float, y: float, style: str = "", column: int | None = None) -> str:
    """A text; a page without Python finds the texts of a column by its number."""
    place = "" if column is None else f' data-column="{column}"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{style}"{place} text-anchor="middle">'
        f"{escape(text)}</text>"
    )


def _left(text: str, y: float) -> str:
    return f'<text x="0" y="{y}">{text}</text>'


def _heights(
    energies: Levels, low: float, high: float, scale: float
) -> Iterator[tuple[int, float]]:
    """Index and y of the visible levels."""
    for index in np.flatnonzero((energies >= low) & (energies <= high)):
        yield int(index), _TOP + (high - energies[index]) * scale


def _ends(x: float, half: float, index: int, spinor: bool) -> tuple[float, float]:
    """Both ends of a level's bar; each level of a Kramers pair has one half of a line."""
    if not spinor:
        return x - half, x + half
    return (x - half, x - 1.5) if index % 2 == 0 else (x + 1.5, x + half)


def _bar(
    start: float, end: float, y: float, colour: str, thickness: float, attributes: str = ""
) -> str:
    return (
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y:.2f}" y2="{y:.2f}" '
        f'stroke="{colour}"{attributes} stroke-width="{thickness}"/>'
    )
