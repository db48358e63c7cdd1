"""Equivariance errors of predictors, with the equivariance error of the reference as floor."""

from __future__ import annotations

import plotly.graph_objects as go

from workbench.evaluation.equivariance import EquivarianceReport
from workbench.views.style import COLOURS, LEGEND_ABOVE, MUTED, finished, listed, log_ticks, number


def equivariance_bars(report: EquivarianceReport, floor: str | None = "PySCF") -> go.Figure:
    """Mean and largest equivariance error of every predictor, in meV.

    Args:
        report: result of `workbench.equivariance`.
        floor: name of the predictor whose mean error is drawn as a line, if the report contains
            it: the error of the reference itself, due to its integration grid.

    >>> from workbench import views
    >>> report = wb.equivariance({"model": wb.load_model("water")}, wb.load("water"))
    >>> views.alt_text(views.equivariance_bars(report)).startswith("Mean error under 1 rotation")
    True
    """
    names = list(report.errors)
    means = [report[name].mae_mev for name in names]
    largest = [report[name].max_mev for name in names]
    figure = go.Figure(
        [_bar("mean", names, means, COLOURS[0]), _bar("largest", names, largest, COLOURS[1])]
    )
    positive = [v for v in (*means, *largest) if v > 0] or [1.0]
    scale = log_ticks(min(positive) / 4, max(positive) * 4)
    figure.update_yaxes(title="equivariance error in meV", **scale)
    figure.update_xaxes(title="predictor")
    if floor is not None and floor in report.errors and report[floor].mae_mev > 0:
        figure.add_hline(
            report[floor].mae_mev,
            line={"color": MUTED, "dash": "dash", "width": 1.5},
            name=f"mean of {floor}: the floor",
            showlegend=True,
        )
    errors = [f"{number(m)} meV for {name}" for name, m in zip(names, means, strict=True)]
    plural = "s" if report.samples > 1 else ""
    operations = f"{report.samples} {report.kind}{plural}"
    alt = f"Mean error under {operations}: {listed(errors)}."
    title = f"f(gx) − D f(x) Dᵀ under {operations}"
    width = 260 + 170 * max(len(names), 2)
    return finished(figure, title, alt, width, 460, legend=LEGEND_ABOVE, barmode="group")


def _bar(name: str, predictors: list[str], values: list[float], colour: str) -> go.Bar:
    """One series of bars; an error of exactly zero has a number but no bar."""
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
