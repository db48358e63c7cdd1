"""How far each predictor breaks a symmetry, beside the floor of the reference itself."""

from __future__ import annotations

import plotly.graph_objects as go

from workbench.evaluation.equivariance import EquivarianceReport
from workbench.views.style import COLOURS, LEGEND_ABOVE, MUTED, finished, listed, log_ticks, number


def equivariance_bars(report: EquivarianceReport, floor: str | None = "PySCF") -> go.Figure:
    """Mean and largest symmetry error of every predictor, in meV.

    Args:
        report: of `workbench.equivariance`.
        floor: the predictor whose mean error is drawn as a line through all bars, if it is there:
            the reference's own floor, set by its integration grid.
    """
    names = list(report.errors)
    means = [report[name].mae_mev for name in names]
    largest = [report[name].max_mev for name in names]
    figure = go.Figure(
        [_bar("mean", names, means, COLOURS[0]), _bar("largest", names, largest, COLOURS[1])]
    )
    shown = [v for v in (*means, *largest) if v > 0] or [1.0]
    figure.update_yaxes(title="symmetry error in meV", **log_ticks(min(shown) / 4, max(shown) * 4))
    figure.update_xaxes(title="predictor")
    if floor is not None and floor in report.errors and report[floor].mae_mev > 0:
        figure.add_hline(
            report[floor].mae_mev,
            line={"color": MUTED, "dash": "dash", "width": 1.5},
            name=f"mean of {floor}: the floor",
            showlegend=True,
        )
    said = [f"{number(m)} meV for {name}" for name, m in zip(names, means, strict=True)]
    plural = "s" if report.samples > 1 else ""
    operations = f"{report.samples} {report.kind}{plural}"
    alt = f"Mean error under {operations}: {listed(said)}."
    title = f"f(gx) − D f(x) Dᵀ under {operations}"
    width = 260 + 170 * max(len(names), 2)
    return finished(figure, title, alt, width, 460, legend=LEGEND_ABOVE, barmode="group")


def _bar(name: str, predictors: list[str], values: list[float], colour: str) -> go.Bar:
    """A group of bars; an error of exactly zero has no bar, but its number is written."""
    return go.Bar(
        x=predictors,
        y=values,
        name=name,
        text=[number(v) for v in values],
        textposition="outside",
        cliponaxis=False,
        marker={"color": colour},
        hovertemplate=f"%{{x}}, {name}<br><b>%{{y:.4g}} meV</b><extra></extra>",
    )
