"""Norms of irreps against the distance of their atoms, as inline SVG with one marked pair."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.views.style import COLOURS, GRID, INK
from workbench.views.svg import across, down, picture, text

__all__ = ["distance_plot"]

_WIDTH, _HEIGHT = 470, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 56, 44
_LOW, _DECADES = -3, 6  # from 1 meV to 1 keV


def distance_plot(
    distances: NDArray[np.float64],
    norms: Mapping[int, NDArray[np.float64]],
    marked: int,
    title: str,
) -> str:
    """One point per pair and l; both shape and colour show l.

    Args:
        distances: (P,) A; zero for on-site blocks.
        norms: l -> (P,) eV; norms below 1 meV are drawn on the lower edge.
        marked: index of the pair that has a ring.
        title: description of the pairs.

    Returns:
        An SVG element as text.
    """
    far = float(max(np.ceil(distances.max()), 1.0))
    wide = _WIDTH - _LEFT - _RIGHT
    x = _LEFT + wide * distances / far
    parts = [text(0, 14, title, "start", style="wb-strong"), _axes(far, wide)]
    for place, (l, values) in enumerate(sorted(norms.items())):
        colour = COLOURS[l % len(COLOURS)]
        parts.append(_marker(l, 300 + 56 * place, 32, colour, 1))
        parts.append(text(309 + 56 * place, 36.5, f"l = {l}", "start"))
        for k in np.argsort(
            np.arange(len(x)) == marked, kind="stable"
        ):  # the marked pair last, on top
            is_marked = int(k) == marked
            y = _y(float(values[k]))
            parts.append(_marker(l, float(x[k]), y, colour, 1 if is_marked else 0.4))
            if is_marked:
                parts.append(
                    f'<circle cx="{x[k]:.1f}" cy="{y:.1f}" r="9.5" fill="none" stroke="{INK}" '
                    'stroke-width="2"/>'
                )
    label = f"{title}: norms in eV against distance in Å"
    return picture("".join(parts), _WIDTH, _HEIGHT, label)


def _y(norm: float) -> float:
    share = (np.log10(max(norm, 10.0**_LOW)) - _LOW) / _DECADES
    return _HEIGHT - _BOTTOM - float(np.clip(share, 0, 1)) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(far: float, wide: float) -> str:
    parts = [text(0, 36.5, "norm, eV", "start")]
    for power in range(_LOW, _LOW + _DECADES + 1):
        y = _y(10.0**power)
        parts.append(
            across(_LEFT, _WIDTH - _RIGHT, y, GRID)
            + text(_LEFT - 6, y + 4.5, f"{10.0**power:g}", "end")
        )
    for value in np.arange(0, far + 0.5, max(1.0, far // 8)):
        x = _LEFT + wide * value / far
        parts.append(
            down(x, _TOP, _HEIGHT - _BOTTOM, GRID)
            + text(x, _HEIGHT - _BOTTOM + 18, f"{value:g}", "middle")
        )
    return "".join(parts) + text(_LEFT + wide / 2, _HEIGHT - 8, "distance, Å", "middle")


def _marker(l: int, x: float, y: float, colour: str, opacity: float) -> str:
    """Circle, square, diamond, triangle, inverted triangle, and so on cyclically."""
    corners = (
        [],
        [(-5, -5), (5, -5), (5, 5), (-5, 5)],
        [(0, -7), (7, 0), (0, 7), (-7, 0)],
        [(0, -7), (6.5, 5), (-6.5, 5)],
        [(0, 7), (6.5, -5), (-6.5, -5)],
    )[l % 5]
    style = f'fill="{colour}" fill-opacity="{opacity}"'
    if not corners:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" {style}/>'
    points = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
    return f'<polygon points="{points}" {style}/>'
