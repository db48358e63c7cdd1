"""Errors that were estimated without labels, against the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from workbench.evaluation.coverage import Checked, agreement
from workbench.views.style import COLOURS, INK, LEGEND_ABOVE, finished, log_ticks, number

_KINDS = {True: ("as on validation molecules", "circle"), False: ("do not rely on it", "diamond")}


def calibration(rows: Sequence[Checked], quantity: str = "matrix") -> go.Figure:
    """Estimated error against true error, one point a molecule, with the 68 % interval as a bar.

    A bar that crosses the diagonal holds the true error. The colour says whether `workbench.check`
    calls the prediction usable.

    Args:
        rows: of `workbench.evaluation.coverage.coverage`, at least two.
        quantity: "matrix", "occupied levels" or "gap".

    >>> from workbench import views
    >>> from workbench.evaluation.coverage import coverage
    >>> with wb.Dataset("water") as data:
    ...     rows = coverage(wb.load_model("water"), data, data.split("test")[:3], progress=False)
    >>> views.alt_text(views.calibration(rows))
    'Estimated against true error of the matrix, 3 predictions: the 68 % interval holds ...'
    """
    rows = [row for row in rows if quantity in row.true]  # there may be no gap
    figure, ends = go.Figure(), []
    for k, (usable, (name, symbol)) in enumerate(_KINDS.items()):
        of_kind = [row for row in rows if row.usable is usable]
        if of_kind:
            figure.add_trace(_points(of_kind, quantity, name, COLOURS[k], symbol))
    for row in rows:
        estimate = row.estimates[quantity]
        ends += [estimate.low, estimate.high, row.true[quantity]]
    low, high = min(ends) / 1.3, max(ends) * 1.3
    line = {"color": INK, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line=line, layer="below")
    axis = log_ticks(low, high)
    figure.update_xaxes(title=f"true error of the {quantity} in meV", **axis)
    figure.update_yaxes(title="error estimated without a label, meV", **axis)
    found = agreement(rows)[quantity]
    inside = sum(row.inside[quantity] for row in rows)
    true = [row.true[quantity] for row in rows]
    alt = (
        f"Estimated against true error of the {quantity}, {len(rows)} predictions: the 68 % "
        f"interval holds the true error of {inside}; the correlation of the logarithms is "
        f"{number(found.correlation)}. True errors from {number(min(true))} to "
        f"{number(max(true))} meV."
    )
    title = f"{inside} of {len(rows)} intervals hold the true error"
    return finished(figure, title, alt, 720, 560, legend=LEGEND_ABOVE)


def _points(
    rows: Sequence[Checked], quantity: str, name: str, colour: str, symbol: str
) -> go.Scatter:
    """Molecules of one kind, with their intervals."""
    estimates = [row.estimates[quantity] for row in rows]
    values = np.array([e.value for e in estimates])
    return go.Scatter(
        x=[row.true[quantity] for row in rows],
        y=values,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.array([e.high for e in estimates]) - values,
            "arrayminus": values - np.array([e.low for e in estimates]),
            "thickness": 1.2,
            "width": 3,
        },
        mode="markers",
        name=name,
        text=[
            f"{row.formula}, {row.n_atoms} atoms, sample {row.sample}<br>true "
            f"{number(row.true[quantity])} meV<br>estimated {estimate}"
            for row, estimate in zip(rows, estimates, strict=True)
        ],
        marker={"size": 8, "color": colour, "symbol": symbol},
        hovertemplate="%{text}<extra></extra>",
    )
