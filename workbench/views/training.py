"""Errors during the training of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from workbench.hamiltonians.conventions import MEV
from workbench.views.style import COLOURS, GRID, LEGEND_ABOVE, finished, listed, log_ticks, number

if TYPE_CHECKING:  # a figure needs no torch
    from workbench.training.monitor import MonitoredRun


def training_curves(history: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Validation error of each phase against CPU time.

    Args:
        history: ``model.info["history"]``: for each validation the phase, step, cpu_seconds (since
            the start of the training) and valid_mae_ev (mean modulus over matrix elements, eV).

    Raises:
        ValueError: if there is no validation error.

    >>> from workbench import views
    >>> history = wb.load_model("water").info["history"]
    >>> print(views.alt_text(views.training_curves(history)))
    The validation error goes from ...
    """
    points = [h for h in history if h.get("valid_mae_ev") is not None]
    if not points:
        raise ValueError("The history has no validation error: use the history of a trained model.")
    longest = max(h["cpu_seconds"] for h in points)
    unit, seconds = ("h", 3600.0) if longest > 7200 else ("min", 60.0)
    phases = {h["phase"]: [p for p in points if p["phase"] == h["phase"]] for h in points}
    figure = go.Figure(
        [
            _curve(phase, validations, COLOURS[k % len(COLOURS)], seconds)
            for k, (phase, validations) in enumerate(phases.items())
        ]
    )
    errors = [h["valid_mae_ev"] * MEV for h in points]
    figure.update_yaxes(
        title="validation MAE in meV", **log_ticks(min(errors) / 1.5, max(errors) * 1.5)
    )
    end = 1.14 * longest / seconds  # room for the last number
    figure.update_xaxes(title=f"CPU time in {unit}", gridcolor=GRID, range=[0, end])
    alt = f"The validation error goes {listed([_ends(*item) for item in phases.items()])}."
    return finished(figure, "Training", alt, 900, 460, legend=LEGEND_ABOVE)


def _ends(phase: str, points: Sequence[Mapping[str, Any]]) -> str:
    first, last = (number(points[k]["valid_mae_ev"] * MEV) for k in (0, -1))
    return f"from {first} to {last} meV in {phase}"


def _curve(
    phase: str, points: Sequence[Mapping[str, Any]], colour: str, seconds: float
) -> go.Scatter:
    """One phase, with the last error as text beside the last point."""
    errors = [h["valid_mae_ev"] * MEV for h in points]
    return go.Scatter(
        x=[h["cpu_seconds"] / seconds for h in points],
        y=errors,
        customdata=[h["step"] for h in points],
        name=phase,
        mode="lines+markers+text",
        text=[""] * (len(points) - 1) + [f"  {number(errors[-1])} meV"],
        textposition="middle right",
        line={"color": colour, "width": 2.5},
        marker={"size": 6},
        hovertemplate="step %{customdata}<br><b>%{y:.4g} meV</b>",
    )


def error_curves(
    runs: Mapping[str, MonitoredRun], title: str = "Errors while training"
) -> go.Figure:
    """Equivariance errors and error of the matrix against the step, for one or several runs.

    The last point, larger and with a number, is the model after its readouts were solved for.

    Args:
        runs: name -> result of `workbench.training.monitor.watch`.
        title: title of the figure.

    Raises:
        ValueError: if there is no run.
    """
    if not runs:
        raise ValueError("There is no run to draw: give at least one, e.g. {'two stages': run}.")
    figure, final, positive = go.Figure(), [], []
    for k, (name, run) in enumerate(runs.items()):
        kinds = {
            "equivariance error, rotations": [r.symmetry_mev for r in run.readings],
            "equivariance error, inversion": [r.inversion_mev for r in run.readings],
            "error of the matrix": [r.error_mev for r in run.readings],
        }
        order = sorted(values[-1] for values in kinds.values())
        for dash, (kind, values) in zip(("solid", "dash", "dot"), kinds.items(), strict=True):
            # So that the numbers do not overlap.
            side = ("bottom", "middle", "top")[order.index(values[-1])]
            figure.add_trace(_run(f"{name}: {kind}", run.steps, values, COLOURS[k], dash, side))
            positive += [v for v in values if v > 0]
        ends = [f"{number(values[-1])} meV ({kind})" for kind, values in kinds.items()]
        final.append(f"{name} at {listed(ends)}")
    last = max(run.steps[-1] for run in runs.values())
    figure.update_xaxes(title="step", gridcolor=GRID, range=[0, 1.12 * max(last, 1)])
    figure.update_yaxes(
        title="mean error in meV", **log_ticks(min(positive, default=1.0) / 2, max(positive) * 2)
    )
    alt = f"After at most {last} steps: {'; '.join(final)}."
    height = 430 + 22 * len(runs)
    return finished(figure, title, alt, 900, height, legend={"orientation": "h", "y": -0.18})


_END_SYMBOLS = {"solid": "circle", "dash": "triangle-up", "dot": "square"}


def _run(
    name: str, steps: Sequence[int], values: Sequence[float], colour: str, dash: str, side: str
) -> go.Scatter:
    """One curve, with its last value as text above or below the last point."""
    before = len(values) - 1
    return go.Scatter(
        x=list(steps),
        y=list(values),
        name=name,
        mode="lines+markers+text",
        line={"color": colour, "width": 2.5, "dash": dash},
        marker={"size": [4] * before + [11], "symbol": _END_SYMBOLS[dash]},
        text=[""] * before + [f" {number(values[-1])}"],
        textposition=f"{side} right",
        hovertemplate="step %{x}<br><b>%{y:.4g} meV</b>",
    )


def learning_curves(sizes: Sequence[int], errors: Mapping[str, Sequence[float]]) -> go.Figure:
    """Test error against the number of training geometries, both on logarithmic axes.

    Args:
        sizes: (n,) numbers of geometries, ascending.
        errors: name -> (n,) mean errors of the matrix, meV.

    >>> from workbench import views
    >>> views.alt_text(views.learning_curves([10, 100], {"model": [3.0, 0.3]}))
    'model: 3.00 meV with 10 geometries, 0.300 with 100.'
    """
    symbols = ("circle", "square", "diamond", "triangle-up")
    figure = go.Figure(
        [
            go.Scatter(
                x=list(sizes),
                y=list(values),
                name=name,
                mode="lines+markers",
                marker={"size": 10, "symbol": symbols[k % len(symbols)]},
                line={"color": COLOURS[k % len(COLOURS)], "width": 2.5},
                hovertemplate="%{x} geometries<br><b>%{y:.3g} meV</b>",
            )
            for k, (name, values) in enumerate(errors.items())
        ]
    )
    every = [float(e) for values in errors.values() for e in values]
    figure.update_yaxes(title="test MAE in meV", **log_ticks(min(every) / 1.5, max(every) * 1.5))
    names = [str(n) for n in sizes]
    figure.update_xaxes(
        title="training geometries",
        type="log",
        tickvals=list(sizes),
        ticktext=names,
        gridcolor=GRID,
    )
    first, last = sizes[0], sizes[-1]
    ends = [
        f"{name}: {number(float(v[0]))} meV with {first} geometries, "
        f"{number(float(v[-1]))} with {last}"
        for name, v in errors.items()
    ]
    return finished(
        figure, "Learning from more data", f"{listed(ends)}.", 760, 420, legend=LEGEND_ABOVE
    )
