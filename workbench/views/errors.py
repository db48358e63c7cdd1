"""Equivariance errors of predictors, with the equivariance error of the reference as floor."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from workbench.evaluation.equivariance import EquivarianceReport
from workbench.evaluation.errors import Errors
from workbench.views.style import COLOURS, LEGEND_ABOVE, MUTED, finished, listed, log_ticks, number


def equivariance_bars(report: EquivarianceReport, floor: str | None = "PySCF") -> go.Figure:
    """Mean and largest equivariance error of every predictor, in meV.

    A report on rotations gives bars of the rotations and, beside them, hatched bars of the
    inversion.

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
    bars = _bars(report.errors, "rotations, " if report.inversion else "")
    bars += _bars(report.inversion, "inversion, ", hatched=True) if report.inversion else []
    figure = go.Figure(bars)
    errors = [*report.errors.values(), *report.inversion.values()]
    positive = [v for e in errors for v in (e.mae_mev, e.max_mev) if v > 0] or [1.0]
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
    plural = "s" if report.samples > 1 else ""
    operations = f"{report.samples} {report.kind}{plural}"
    alt = f"Mean error under {operations}: {_listed_means(report.errors)}."
    if report.inversion:
        alt += f" Under inversion: {_listed_means(report.inversion)}."
        operations += " and inversion"
    title = f"f(gx) − D f(x) Dᵀ under {operations}"
    width = 260 + (260 if report.inversion else 170) * max(len(names), 2)
    return finished(figure, title, alt, width, 460, legend=LEGEND_ABOVE, barmode="group")


def _listed_means(errors: Mapping[str, Errors]) -> str:
    return listed([f"{number(e.mae_mev)} meV for {name}" for name, e in errors.items()])


def _bars(errors: Mapping[str, Errors], operation: str, hatched: bool = False) -> list[go.Bar]:
    """Mean and largest errors under one kind of operation."""
    names = list(errors)
    means, largest = [e.mae_mev for e in errors.values()], [e.max_mev for e in errors.values()]
    return [
        _bar(f"{operation}mean", names, means, COLOURS[0], hatched),
        _bar(f"{operation}largest", names, largest, COLOURS[1], hatched),
    ]


def _bar(
    name: str, predictors: list[str], values: list[float], colour: str, hatched: bool
) -> go.Bar:
    """One series of bars; an error of exactly zero has a number but no bar."""
    return go.Bar(
        x=predictors,
        y=values,
        name=name,
        text=[number(v) for v in values],
        textposition="outside",
        cliponaxis=False,
        marker={"color": colour, "pattern": {"shape": "/" if hatched else ""}},
        hovertemplate=f"%{{x}}, {name}<br><b>%{{y:.4g}} meV</b><extra></extra>",
    )
