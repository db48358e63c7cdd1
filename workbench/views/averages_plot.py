"""Errors against the number of orientations in an average, as inline SVG on log-log axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.views.numbers import milli
from workbench.views.style import COLOURS, GRID, INK, MUTED
from workbench.views.svg import across, down, picture, text

__all__ = ["averages_plot"]

_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 74, 44, 44
_LINE = 15  # px, height of a number
_MOST = 16  # number of orientations at the right end
_LEAST = 1e-9  # meV; smaller values, also zero, are drawn here on the logarithmic axis


def averages_plot(errors: Mapping[int, tuple[float, float, float]], chosen: int) -> str:
    """The errors as points, and the law 1/sqrt(K) as a dashed line through the first one.

    Args:
        errors: K -> (equivariance error under rotations and under inversion, error of the matrix),
            meV.
        chosen: the K that has a ring and numbers.

    Returns:
        An SVG element as text.
    """
    values = np.maximum(np.array(list(errors.values())), _LEAST)  # (points, 3)
    least = values.min() / 4
    low, high = int(np.floor(np.log10(least))), int(np.ceil(np.log10(values.max())))
    parts = [_axes(low, high)]
    parts += [_legend(0, "rotations", _LEFT), _legend(1, "inversion", 152)]
    parts += [_legend(2, "error of the matrix", 238), text(392, 30, "– – 1/√K", "start")]
    if 1 in errors:
        first = max(errors[1][0], _LEAST)
        ends = [(_x(K), _y(first / K**0.5, low, high)) for K in (1, _MOST)]
        (x1, y1), (x2, y2) = ends
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{MUTED}" stroke-width="1.5" stroke-dasharray="5 4"/>'
        )
    for K in sorted(errors):
        places = [(_x(K), _y(max(value, _LEAST), low, high)) for value in errors[K]]
        parts += [_marker(kind, *place) for kind, place in enumerate(places)]
        if chosen == K:
            for (x, y), line_y, value in zip(places, _apart(places), errors[K], strict=True):
                parts.append(
                    f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10" fill="none" stroke="{INK}" '
                    f'stroke-width="2"/>'
                    f"{text(x + 14, line_y + 4.5, milli(value), 'start', 'wb-halo')}"
                )
    label = (
        "Equivariance errors under rotations and inversion, and error of the matrix, in meV "
        "against the number of orientations"
    )
    return picture("".join(parts), _WIDTH, _HEIGHT, label)


def _apart(places: Sequence[tuple[float, float]]) -> list[float]:
    """Heights of the numbers beside points, moved down where they would overlap."""
    heights, lowest = [0.0] * len(places), -np.inf
    for k in sorted(range(len(places)), key=lambda k: places[k][1]):
        heights[k] = lowest = max(places[k][1], lowest + _LINE)
    return heights


def _x(count: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * float(np.log(count) / np.log(_MOST))


def _y(value: float, low: int, high: int) -> float:
    share = (np.log10(value) - low) / (high - low)
    return _HEIGHT - _BOTTOM - float(np.clip(share, 0, 1)) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(low: int, high: int) -> str:
    parts = [text(0, 14, "mean error, meV", "start", "wb-strong")]
    for power in range(low, high + 1, max(1, -(-(high - low) // 8))):
        y = _y(10.0**power, low, high)
        parts.append(across(_LEFT, _WIDTH - _RIGHT, y, GRID))
        parts.append(text(_LEFT - 6, y + 4.5, f"{10.0**power:g}", "end"))
    for K in (1, 2, 4, 8, _MOST):
        parts.append(down(_x(K), _TOP, _HEIGHT - _BOTTOM, GRID))
        parts.append(text(_x(K), _HEIGHT - _BOTTOM + 18, str(K)))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return "".join(parts) + text(middle, _HEIGHT - 8, "orientations K")


def _legend(kind: int, name: str, x: float) -> str:
    return _marker(kind, x + 6, 26) + text(x + 18, 30, name, "start")


def _marker(kind: int, x: float, y: float) -> str:
    """A circle for rotations, a triangle for inversion, a square for the error of the matrix."""
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{COLOURS[0]}"/>'
    if kind == 1:
        corners = f"{x:.1f},{y - 6.5:.1f} {x - 6:.1f},{y + 5:.1f} {x + 6:.1f},{y + 5:.1f}"
        return f'<polygon points="{corners}" fill="none" stroke="{COLOURS[2]}" stroke-width="2"/>'
    return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{COLOURS[1]}"/>'
