"""A function of the axis as a map of the whole sphere (Mollweide, equal-area)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.views.style import MUTED, number, round_limit, shade
from workbench.views.svg import Drawing, picture, text

__all__ = ["AXIS_PLACES", "mollweide", "sphere_map"]

_WIDTH = 330  # px, a map with margins; the map itself is 300 by 150
_PANEL = 212  # px, height of a map with its title
_STEPS = 30  # Newton steps; far fewer suffice for 1e-12 away from the poles

AXIS_PLACES = {
    "+z": (0.0, 0.0),
    "+x": (0.5, 0.0),
    "−x": (-0.5, 0.0),
    "+y": (0.0, 1.0),
    "−y": (0.0, -1.0),
    "−z": (1.0, 0.0),
}
"""Positions of the axes on the map; -z is the whole edge and is named at the right end."""


def mollweide(directions: ArrayLike) -> NDArray[np.float64]:
    """Positions (n, 2) of directions (n, 3) on the map, in half widths and half heights.

    +z is in the middle, towards the viewer of a structure, +x to the right and +y at the top, as in
    the picture of a structure. With the longitude L from z towards x and the latitude B towards y:
    ``2 t + sin 2 t = pi sin B``, position ``(L / pi cos t, sin t)`` (Snyder, Map Projections, 1987,
    p. 249).
    """
    n = np.atleast_2d(np.asarray(directions, dtype=float))
    n = n / np.linalg.norm(n, axis=1, keepdims=True)
    sine = np.clip(n[:, 1], -1, 1)
    t = np.arcsin(sine)
    for _ in range(_STEPS):
        slope = 2 + 2 * np.cos(2 * t)
        t = t - (2 * t + np.sin(2 * t) - np.pi * sine) / np.maximum(slope, 1e-12)
    t = np.where(np.abs(sine) > 1 - 1e-9, np.sign(sine) * np.pi / 2, t)
    return np.stack([np.arctan2(n[:, 0], n[:, 2]) / np.pi * np.cos(t), np.sin(t)], axis=1)


def sphere_map(
    axes: ArrayLike,
    values: Mapping[str, ArrayLike],
    title: str,
    limit: float | None = None,
    inversion: Mapping[str, float] | None = None,
) -> Drawing:
    """Errors over the axes of a rotation, one map per predictor, on one colour scale.

    Args:
        axes: (n, 3).
        values: predictor -> errors (n,), meV; NaN where not computed.
        title: title, e.g. "90° about each axis".
        limit: largest value on the colour scale, meV; by default a round number above all values.
        inversion: predictor -> error under inversion, meV, written above its map; None if unknown.

    >>> from workbench import views
    >>> views.sphere_map(np.eye(3), {"toy": [1.0, 2.0, 3.0]}, "90° about each axis").alt
    '90° about each axis: toy has errors of 1.00 to 3.00 meV, the largest about (0, 0, 1.00).'
    """
    places = mollweide(axes)
    arrays = {name: np.asarray(v, dtype=float) for name, v in values.items()}
    most = max((float(np.nanmax(v, initial=0.0)) for v in arrays.values()), default=0.0)
    top = limit or round_limit(most)
    parts, ranges = [text(0, 14, title, "start")], []
    for k, (name, v) in enumerate(arrays.items()):
        caption = f"{name}: at most {number(float(np.nanmax(v)))} meV"
        error = (inversion or {}).get(name)
        inverted = "" if error is None else f"; inversion {number(error)} meV"
        caption += inverted
        parts.append(_panel(caption, places, v, top, k))
        worst = np.asarray(axes)[int(np.nanargmax(v))]
        where = ", ".join(number(round(float(c), 2)) for c in worst)
        ranges.append(
            f"{name} has errors of {number(float(np.nanmin(v)))} to {number(float(np.nanmax(v)))}"
            f" meV, the largest about ({where}){inverted.replace(';', ',')}"
        )
    width = _WIDTH * len(arrays)
    parts.append(_bar(top, _PANEL + 26))
    alt = f"{title}: {'; '.join(ranges)}."
    return Drawing(picture("".join(parts), width, _PANEL + 62, alt), alt)


def _panel(
    name: str, places: NDArray[np.float64], values: NDArray[np.float64], limit: float, index: int
) -> str:
    """One map: a disc for each axis; together the discs about cover the map."""
    x0, y0, a, b = 165 + _WIDTH * index, 118, 150, 75
    radius = 0.93 * np.sqrt(a * b / len(places))
    parts = [
        text(15 + _WIDTH * index, 36, name, "start"),
        f'<ellipse cx="{x0}" cy="{y0}" rx="{a}" ry="{b}" fill="#ececec" stroke="{MUTED}"/>',
    ]
    for (x, y), value in zip(places, values, strict=True):
        if np.isfinite(value):
            parts.append(
                f'<circle cx="{x0 + a * x:.1f}" cy="{y0 - b * y:.1f}" r="{radius:.1f}" '
                f'fill="{shade(value, limit)}"/>'
            )
    for axis, (x, y) in AXIS_PLACES.items():
        parts.append(text(x0 + a * x * 1.06, y0 - b * y * 1.1 + 4, axis))
    return "".join(parts)


def _bar(limit: float, y: float) -> str:
    cells = [
        f'<rect x="{15 + 2 * k}" y="{y}" width="2.2" height="11" fill="{shade(k, 99)}"/>'
        for k in range(100)
    ]
    ends = text(15, y + 26, "0") + text(215, y + 26, f"{number(limit)} meV")
    return "".join(cells) + ends
