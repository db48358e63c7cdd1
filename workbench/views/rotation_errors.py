"""Distribution of equivariance errors over rotations, and their dependence on the angle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.views.style import COLOURS, GRID, INK, listed, number
from workbench.views.svg import Drawing, across, down, picture, text

__all__ = ["angle_scan", "error_histogram"]

_WIDTH, _LEFT, _RIGHT = 580, 60, 34
_SCAN_RIGHT = 100  # px, right margin of a scan, with the errors under inversion
_ROW = 64  # px, height of a predictor's bars
_BINS = 8  # per decade
_LEAST = 1e-12  # meV; smaller errors, also exact zeros, are drawn at the left end


def error_histogram(
    samples: Mapping[str, ArrayLike], title: str, inversion: Mapping[str, float] | None = None
) -> Drawing:
    """A histogram of errors for each predictor, on one logarithmic axis.

    Args:
        samples: predictor -> errors (rotations,), meV.
        title: title, e.g. with number and seed of the rotations.
        inversion: predictor -> error under inversion, meV, drawn as a diamond; None if unknown.

    >>> from workbench import views
    >>> views.error_histogram({"toy": [1.0, 2.0, 4.0]}, "3 random rotations", {"toy": 8.0}).alt
    '3 random rotations. toy 1.00 to 4.00 meV, median 2.00, inversion 8.00 meV.'
    """
    inverted = inversion or {}
    arrays = {n: np.maximum(np.asarray(v, dtype=float), _LEAST) for n, v in samples.items()}
    logs = {n: np.log10(v) for n, v in arrays.items()}
    shown = np.concatenate([*logs.values(), [_log(v) for v in inverted.values()]])
    low = np.floor(shown.min())
    high = max(np.ceil(shown.max()), low + 1)
    edges = np.linspace(low, high, int(high - low) * _BINS + 1)
    height = 40 + _ROW * len(arrays) + 46
    scale = (_WIDTH - _LEFT - _RIGHT) / (high - low)
    parts = [text(0, 14, title, "start")]
    bottom = height - 46
    step = max(1, int(np.ceil((high - low) / 9)))
    for power in np.arange(low, high + 1, step):
        x = _LEFT + scale * (power - low)
        parts += [down(x, 26, bottom, GRID), text(x, bottom + 17, number(float(10.0**power)))]
    parts.append(text((_LEFT + _WIDTH - _RIGHT) / 2, height - 8, "equivariance error, meV"))
    for row, (name, values) in enumerate(logs.items()):
        base = 40 + _ROW * (row + 1) - 8
        colour, error = COLOURS[row % len(COLOURS)], inverted.get(name)
        parts.append(_row(name, values, edges, base, colour, scale, error))
        if error is not None:
            parts.append(_diamond(_LEFT + scale * (_log(error) - low), base - 7, colour))
    ranges = [
        f"{name} {number(float(v.min()))} to {number(float(v.max()))} meV, "
        f"median {number(float(np.median(v)))}{_inversion(inverted.get(name))}"
        for name, v in ((n, np.asarray(v, dtype=float)) for n, v in samples.items())
    ]
    alt = f"{title}. {listed(ranges)}."
    return Drawing(picture("".join(parts), _WIDTH, height, alt), alt)


def angle_scan(
    degrees: ArrayLike,
    errors: Mapping[str, ArrayLike],
    title: str,
    inversion: Mapping[str, float] | None = None,
) -> Drawing:
    """The error of each predictor against the rotation angle about one axis, on linear scales.

    Curves of predictors with much smaller errors than the worst one lie on the lower edge; their
    range is written beside the name.

    Args:
        degrees: (n,) ascending.
        errors: predictor -> errors (n,), meV.
        title: title, e.g. with the axis.
        inversion: predictor -> error under inversion, meV, a diamond at the right end; None if
            unknown.

    >>> from workbench import views
    >>> views.angle_scan([0, 90, 180], {"toy": [0.0, 2.0, 1.0]}, "About z", {"toy": 3.0}).alt
    'About z: toy 0 to 2.00 meV, inversion 3.00 meV.'
    """
    inverted = inversion or {}
    angle = np.asarray(degrees, dtype=float)
    arrays = {name: np.asarray(v, dtype=float) for name, v in errors.items()}
    top = max(*(float(v.max()) for v in arrays.values()), *inverted.values(), 1e-300)
    height, first = 300, 40 + 18 * len(arrays)
    wide, tall = _WIDTH - _LEFT - _SCAN_RIGHT, height - 46 - first
    parts = [text(0, 14, title, "start")]
    for share in (0, 0.5, 1):
        y = first + tall * (1 - share)
        parts += [across(_LEFT, _WIDTH - _SCAN_RIGHT, y, GRID)]
        parts.append(text(_LEFT - 6, y + 4.5, number(share * top), "end"))
    for value in np.linspace(angle[0], angle[-1], 7):
        x = _LEFT + wide * (value - angle[0]) / (angle[-1] - angle[0])
        parts += [down(x, first, first + tall, GRID), text(x, height - 28, f"{value:.0f}°")]
    parts.append(text(_LEFT + wide / 2, height - 8, "rotation angle; vertical axis: error, meV"))
    x = _LEFT + wide * (angle - angle[0]) / (angle[-1] - angle[0])
    ranges = {}
    for k, (name, v) in enumerate(arrays.items()):
        colour = COLOURS[k % len(COLOURS)]
        y = first + tall * (1 - v / top)
        dashes = ("", "7 4", "2 3", "9 3 2 3")[k % 4]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        style = f'fill="none" stroke="{colour}" stroke-width="2.2" stroke-dasharray="{dashes}"'
        parts.append(f'<polyline points="{line}" {style}/>')
        line_y = 30 + 18 * k
        parts.append(f'<line x1="2" x2="34" y1="{line_y}" y2="{line_y}" {style}/>')
        ranges[name] = f"{_range(v)}{_inversion(inverted.get(name))}"
        parts.append(text(40, line_y + 4.5, f"{name}: {ranges[name]}", "start"))
        if (error := inverted.get(name)) is not None:
            parts.append(_diamond(_WIDTH - 32, first + tall * (1 - error / top), colour))
    if inverted:
        parts.append(text(_WIDTH - 32, height - 28, "inversion"))
    alt = f"{title}: {listed([f'{n} {r}' for n, r in ranges.items()])}."
    return Drawing(picture("".join(parts), _WIDTH, height, alt), alt)


def _log(error: float) -> float:
    """Position on the logarithmic axis, powers of ten."""
    return float(np.log10(max(error, _LEAST)))


def _inversion(error: float | None) -> str:
    return "" if error is None else f", inversion {number(error)} meV"


def _diamond(x: float, y: float, colour: str) -> str:
    """The error under inversion: hollow on white, so that it is visible on bars of its colour."""
    corners = f"{x:.1f},{y - 7:.1f} {x + 7:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 7:.1f},{y:.1f}"
    return f'<polygon points="{corners}" fill="#ffffff" stroke="{colour}" stroke-width="2.2"/>'


def _range(values: NDArray[np.float64]) -> str:
    return f"{number(float(values.min()))} to {number(float(values.max()))} meV"


def _row(
    name: str,
    values: NDArray[np.float64],
    edges: NDArray[np.float64],
    base: float,
    colour: str,
    scale: float,
    inversion: float | None,
) -> str:
    counts, _ = np.histogram(values, edges)
    tall = (_ROW - 24) / max(int(counts.max()), 1)
    parts = [across(_LEFT, _WIDTH - _RIGHT, base, INK)]
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            x = _LEFT + scale * (low - edges[0])
            parts.append(
                f'<rect x="{x + 0.5:.1f}" y="{base - tall * count:.1f}" '
                f'width="{scale * (high - low) - 1:.1f}" height="{tall * count:.1f}" '
                f'fill="{colour}"><title>{count} of {len(values)}</title></rect>'
            )
    median = number(float(10 ** np.median(values)))
    caption = f"{name}: median {median} meV, {len(values)} rotations"
    if inversion is not None:
        caption += f"; ◇ inversion {number(inversion)} meV"
    return "".join(parts) + text(_LEFT, base - _ROW + 20, caption, "start")
