"""Errors against CPU time during training, as inline SVG with a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from workbench.training.curves import Curves, Point
from workbench.views.numbers import milli
from workbench.views.style import COLOURS, GRID, INK, MUTED, log_ticks
from workbench.views.svg import across, down, picture, text

__all__ = ["error_plot", "symmetry_plot"]

_WIDTH, _HEIGHT = 540, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 70, 42
_LEGEND_PLACES = ((0, 32), (200, 32), (0, 52), (200, 52))  # of up to four curves
_MARKERS: tuple[Literal["circle"], Literal["square"]] = ("circle", "square")  # of both stages
_MOST = 240  # largest number of points of a curve: about one per two pixels
_SMALLEST = 1e-15  # meV; smaller errors are drawn here

Place = tuple[float, float]


@dataclass(frozen=True)
class _Series:
    """One curve: a pale line for losses, otherwise points, with rings after solved readouts."""

    name: str
    places: Sequence[Place]
    colour: str
    marker: Literal["none", "circle", "square", "triangle"]
    rings: Sequence[bool] = ()


def error_plot(curves: Curves) -> str:
    """Losses and validation errors of both stages, meV, as an SVG element."""
    before = curves.offsets()
    series = []
    for stage in (0, 1):
        losses = [p for p in curves.losses if p.stage == stage]
        known = [p for p in curves.validation if p.stage == stage]
        name, colour = f"stage {stage + 1}", COLOURS[stage]
        series.append(_Series(f"{name}, loss", _places(losses, before), colour, "none"))
        rings = [p.solved for p in known]
        places = _places(known, before)
        series.append(_Series(f"{name}, validation", places, colour, _MARKERS[stage], rings))
    return _plot("error of the matrix, meV", series, before[1], _spent(curves))


def symmetry_plot(curves: Curves) -> str:
    """Equivariance errors of both stages, under rotations and inversion, meV, as SVG."""
    before = curves.offsets()
    series = []
    for which, (operation, stage) in enumerate(product(("rotations", "inversion"), (0, 1))):
        # A run that an older version began has no error under inversion at its first points.
        points = [p for p in curves.symmetry if len(p.values) > which]
        series.append(
            _Series(
                f"{('stage 1', 'stages 1+2')[stage]}, {operation}",
                _places(points, before, which),
                COLOURS[stage],
                "triangle" if operation == "inversion" else _MARKERS[stage],
                [p.solved for p in points],
            )
        )
    return _plot("equivariance error, meV", series, before[1], _spent(curves))


def _spent(curves: Curves) -> float:
    """CPU seconds of both stages so far; both pictures have this axis."""
    before = curves.offsets()
    points = [*curves.losses, *curves.validation]
    return max((before[p.stage] + p.cpu_seconds for p in points), default=1.0)


def _places(points: Sequence[Point], before: Sequence[float], which: int = 0) -> list[Place]:
    """CPU seconds since the start, and meV; many points are averaged in groups."""
    coordinates = np.array([(before[p.stage] + p.cpu_seconds, p.values[which]) for p in points])
    if len(coordinates) > _MOST:
        chunks = np.array_split(coordinates, _MOST)
        coordinates = np.array([chunk.mean(axis=0) for chunk in chunks])
    return [(float(x), max(float(y), _SMALLEST)) for x, y in coordinates]


def _plot(title: str, series: Sequence[_Series], parted: float, spent: float) -> str:
    drawn = [s for s in series if s.places]
    xs, ys = ([p[k] for s in drawn for p in s.places] for k in (0, 1))
    far, unit = _far(spent)
    low, high = _decades(ys)
    scale = _Scale(far, low, high)
    parts = [text(0, 14, title, "start", style="wb-strong"), _axes(scale, unit)]
    if any(x > parted for x in xs) and parted > 0:
        x = scale.x(parted)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" '
            f'stroke="{MUTED}" stroke-dasharray="4 4"/>'
        )
    for k, one in enumerate(drawn):
        parts += [_legend(one, *_LEGEND_PLACES[k]), _curve(one, scale)]
    if not drawn:
        middle = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(text(*middle, "nothing measured yet"))
    ends = [f"{s.name} {milli(s.places[-1][1])} meV" for s in drawn]
    label = f"{title}, against CPU time; last: {', '.join(ends) or 'nothing yet'}"
    return picture("".join(parts), _WIDTH, _HEIGHT, label)


@dataclass(frozen=True)
class _Scale:
    far: float  # seconds at the right edge
    low: int  # powers of ten at the lower ...
    high: int  # ... and upper edge

    def x(self, seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / self.far

    def y(self, mev: float) -> float:
        share = (np.log10(mev) - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - float(np.clip(share, 0, 1)) * (_HEIGHT - _TOP - _BOTTOM)


def _far(longest: float) -> tuple[float, str]:
    """The right end of the axis, slightly above the longest time, and its unit."""
    return 1.03 * max(longest, 1.0), "h" if longest > 7200 else "min" if longest > 300 else "s"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Exponents of the powers of ten around all values, at least one decade."""
    if not values:
        return 0, 3
    low, high = int(np.floor(np.log10(min(values)))), int(np.ceil(np.log10(max(values))))
    return low, max(high, low + 1)


def _axes(scale: _Scale, unit: str) -> str:
    parts = []
    ticks = log_ticks(10.0**scale.low, 10.0**scale.high)
    for value, name in zip(ticks["tickvals"], ticks["ticktext"], strict=True):
        if scale.low <= np.log10(value) <= scale.high:
            y = scale.y(value)
            parts.append(across(_LEFT, _WIDTH - _RIGHT, y, GRID))
            parts.append(text(_LEFT - 6, y + 4.5, name, "end"))
    seconds = {"s": 1.0, "min": 60.0, "h": 3600.0}[unit]
    far = scale.far / seconds
    steps = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    step = next((s for s in steps if far / s <= 7), steps[-1])
    for value in np.arange(0, far, step):
        x = scale.x(value * seconds)
        parts.append(down(x, _TOP, _HEIGHT - _BOTTOM, GRID))
        parts.append(text(x, _HEIGHT - _BOTTOM + 17, f"{value:g}"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return "".join(parts) + text(middle, _HEIGHT - 6, f"CPU time, {unit}")


def _legend(series: _Series, x: float, y: float) -> str:
    mark = (
        f'<line x1="{x:.1f}" x2="{x + 16:.1f}" y1="{y}" y2="{y}" stroke="{series.colour}" '
        'stroke-width="1.5" stroke-opacity="0.55"/>'
        if series.marker == "none"
        else _marker(x + 8, y, series)
    )
    return mark + text(x + 21, y + 4.5, series.name, "start")


def _curve(series: _Series, scale: _Scale) -> str:
    places = [(scale.x(x), scale.y(y)) for x, y in series.places]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    weight, opacity = (1.2, 0.55) if series.marker == "none" else (1.8, 1)
    dashes = "6 4" if series.marker == "triangle" else ""
    line = (
        f'<polyline points="{path}" fill="none" stroke="{series.colour}" '
        f'stroke-width="{weight}" stroke-opacity="{opacity}" stroke-linejoin="round" '
        f'stroke-dasharray="{dashes}"/>'
    )
    if series.marker == "none":
        return line
    rings = [*series.rings, *(False for _ in places)] if len(series.rings) <= len(places) else []
    marks = [_marker(x, y, series) for x, y in places]
    marks += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8.5" fill="none" stroke="{INK}" stroke-width="1.6"/>'
        for (x, y), solved in zip(places, rings, strict=False)
        if solved
    ]
    return line + "".join(marks)


def _marker(x: float, y: float, series: _Series) -> str:
    line = f'fill="none" stroke="{series.colour}" stroke-width="2.2"'  # points below stay visible
    if series.marker == "square":
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" {line}/>'
    if series.marker == "triangle":
        corners = f"{x:.1f},{y - 7:.1f} {x - 7:.1f},{y + 5:.1f} {x + 7:.1f},{y + 5:.1f}"
        return f'<polygon points="{corners}" {line}/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" fill="{series.colour}"/>'
