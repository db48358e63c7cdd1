"""Several measured curves on one logarithmic scale."""

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
    """Measured points joined by lines; the vertical axis is logarithmic.

    Args:
        series: name -> x and y; values of y that are not positive or not finite are omitted.
        title: title of the figure.
        x_title: quantity and unit of the horizontal axis.
        y_title: quantity and unit of the vertical axis.
        unit: unit of y in the text equivalent and in the hover text.
        ticks: tick values of the horizontal axis; by default plotly chooses.

    Raises:
        ValueError: if no value can be drawn.

    >>> from workbench import views
    >>> figure = views.curves({"model": ([1, 2], [4.0, 2.0])}, "Error", "step", "meV", "meV")
    >>> views.alt_text(figure)
    'Error, against step: model goes from 4.00 meV at 1 to 2.00 meV at 2.'
    """
    points = {name: _positive(*pair) for name, pair in series.items()}
    values = np.concatenate([y for _, y in points.values()]) if points else np.array([])
    if not values.size:
        raise ValueError("There is no positive value to draw: check the series.")
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
    ends = [
        f"{name} goes from {number(y[0])}{after} at {x[0]:g} to {number(y[-1])}{after} at {x[-1]:g}"
        for name, (x, y) in points.items()
        if len(y)
    ]
    alt = f"{title}, against {x_title}: {listed(ends)}."
    return finished(figure, title, alt, 860, 420, legend={**LEGEND_ABOVE, "traceorder": "normal"})


def _positive(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x_values, y_values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    positive = np.isfinite(y_values) & (y_values > 0)
    return x_values[positive], y_values[positive]
