"""Any few measured curves on one logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from workbench.views.style import COLOURS, GRID, LEGEND_ABOVE, finished, listed, log_ticks, number

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def curves(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    title: str,
    x_title: str,
    y_title: str,
    unit: str = "",
    ticks: Sequence[float] | None = None,
) -> go.Figure:
    """Measured points, joined by lines, the values on a logarithmic scale.

    Args:
        series: name -> places and values; values that are zero or not finite are left out.
        title: of the figure.
        x_title: what the places are, with unit.
        y_title: what the values are, with unit.
        unit: of the values, for the text twin and under the pointer.
        ticks: where the horizontal axis has its marks; by default plotly chooses.

    Raises:
        ValueError: if no value can be shown.
    """
    points = {name: _shown(*pair) for name, pair in series.items()}
    values = np.concatenate([y for _, y in points.values()]) if points else np.array([])
    if not values.size:
        raise ValueError("There is no positive value to draw.")
    after = f" {unit}" if unit else ""
    figure = go.Figure(
        [
            go.Scatter(
                x=x,
                y=y,
                name=name,
                mode="lines+markers",
                line={"color": COLOURS[k % len(COLOURS)], "width": 2.5, "dash": _DASHES[k % 5]},
                marker={"size": 8, "symbol": _SYMBOLS[k % 5]},
                hovertemplate=f"{x_title} %{{x}}<br><b>%{{y:.3g}}{after}</b>",
            )
            for k, (name, (x, y)) in enumerate(points.items())
        ]
    )
    figure.update_yaxes(title=y_title, **log_ticks(values.min() / 1.6, values.max() * 1.6))
    figure.update_xaxes(title=x_title, gridcolor=GRID, zeroline=False)
    if ticks is not None:
        figure.update_xaxes(tickvals=list(ticks))
    said = [
        f"{name} goes from {number(y[0])}{after} at {x[0]:g} to {number(y[-1])}{after} at {x[-1]:g}"
        for name, (x, y) in points.items()
        if len(y)
    ]
    alt = f"{title}, against {x_title}: {listed(said)}."
    return finished(figure, title, alt, 860, 420, legend={**LEGEND_ABOVE, "traceorder": "normal"})


def _shown(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    places, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    keep = np.isfinite(values) & (values > 0)
    return places[keep], values[keep]
