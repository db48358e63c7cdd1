"""How symmetry errors are spread over rotations, and how they grow with the angle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.views.style import COLOURS, GRID, INK, listed, number
from workbench.views.svg import Drawing, across, down, picture, text

__all__ = ["angle_scan", "error_histogram"]

_WIDTH, _LEFT, _RIGHT = 580, 60, 34
_ROW = 64  # px of a predictor's bars
_BINS = 8  # a decade
_LEAST = 1e-12  # meV; what is smaller, an exact zero above all, stands at the left end


def error_histogram(samples: Mapping[str, ArrayLike], title: str) -> Drawing:
    """How many rotations give which error: a row of bars for each predictor, a logarithmic axis.

    Args:
        samples: predictor -> (rotations,) meV.
        title: what was drawn, with its seed.
    """
    arrays = {n: np.maximum(np.asarray(v, dtype=float), _LEAST) for n, v in samples.items()}
    logs = {n: np.log10(v) for n, v in arrays.items()}
    low = np.floor(min(v.min() for v in logs.values()))
    high = max(np.ceil(max(v.max() for v in logs.values())), low + 1)
    edges = np.linspace(low, high, int(high - low) * _BINS + 1)
    height = 40 + _ROW * len(arrays) + 46
    scale = (_WIDTH - _LEFT - _RIGHT) / (high - low)
    parts = [text(0, 14, title, "start")]
    bottom = height - 46
    step = max(1, int(np.ceil((high - low) / 9)))
    for power in np.arange(low, high + 1, step):
        x = _LEFT + scale * (power - low)
        parts += [down(x, 26, bottom, GRID), text(x, bottom + 17, number(float(10.0**power)))]
    parts.append(text((_LEFT + _WIDTH - _RIGHT) / 2, height - 8, "symmetry error, meV"))
    for row, (name, values) in enumerate(logs.items()):
        base = 40 + _ROW * (row + 1) - 8
        parts.append(_row(name, values, edges, base, COLOURS[row % len(COLOURS)], scale))
    said = [
        f"{name} {number(float(v.min()))} to {number(float(v.max()))} meV, "
        f"median {number(float(np.median(v)))}"
        for name, v in ((n, np.asarray(v, dtype=float)) for n, v in samples.items())
    ]
    alt = f"{title}. {listed(said)}."
    return Drawing(picture("".join(parts), _WIDTH, height, alt), alt)


def angle_scan(degrees: ArrayLike, errors: Mapping[str, ArrayLike], title: str) -> Drawing:
    """The error of each predictor against the angle about one axis; both scales are linear.

    Predictors that err far less than the worst one lie on the lower edge: their range is written
    beside their name.

    Args:
        degrees: (n,) ascending.
        errors: predictor -> (n,) meV.
        title: which axis.
    """
    angle = np.asarray(degrees, dtype=float)
    arrays = {name: np.asarray(v, dtype=float) for name, v in errors.items()}
    top = max(*(float(v.max()) for v in arrays.values()), 1e-300)
    height, first = 300, 40 + 18 * len(arrays)
    wide, tall = _WIDTH - _LEFT - _RIGHT, height - 46 - first
    parts = [text(0, 14, title, "start")]
    for share in (0, 0.5, 1):
        y = first + tall * (1 - share)
        parts += [across(_LEFT, _WIDTH - _RIGHT, y, GRID)]
        parts.append(text(_LEFT - 6, y + 4.5, number(share * top), "end"))
    for value in np.linspace(angle[0], angle[-1], 7):
        x = _LEFT + wide * (value - angle[0]) / (angle[-1] - angle[0])
        parts += [down(x, first, first + tall, GRID), text(x, height - 28, f"{value:.0f}°")]
    parts.append(text(_LEFT + wide / 2, height - 8, "angle of the turn; upwards: error, meV"))
    x = _LEFT + wide * (angle - angle[0]) / (angle[-1] - angle[0])
    for k, (name, v) in enumerate(arrays.items()):
        colour = COLOURS[k % len(COLOURS)]
        y = first + tall * (1 - v / top)
        dashes = ("", "7 4", "2 3", "9 3 2 3")[k % 4]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        style = f'fill="none" stroke="{colour}" stroke-width="2.2" stroke-dasharray="{dashes}"'
        parts.append(f'<polyline points="{line}" {style}/>')
        at = 30 + 18 * k
        parts.append(f'<line x1="2" x2="34" y1="{at}" y2="{at}" {style}/>')
        parts.append(text(40, at + 4.5, f"{name}: {_range(v)}", "start"))
    alt = f"{title}: {listed([f'{n} {_range(v)}' for n, v in arrays.items()])}."
    return Drawing(picture("".join(parts), _WIDTH, height, alt), alt)


def _range(values: NDArray[np.float64]) -> str:
    return f"{number(float(values.min()))} to {number(float(values.max()))} meV"


def _row(
    name: str,
    values: NDArray[np.float64],
    edges: NDArray[np.float64],
    base: float,
    colour: str,
    scale: float,
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
    said = f"{name}: median {median} meV, {len(values)} rotations"
    return "".join(parts) + text(_LEFT, base - _ROW + 20, said, "start")
