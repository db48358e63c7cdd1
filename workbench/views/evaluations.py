"""Evaluations side by side: tables, the spread over structures, matrix against level errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench.evaluation.errors import aligned_rows
from workbench.evaluation.rotation_errors import STAGE_NAMES
from workbench.hamiltonians.conventions import HARTREE
from workbench.views.style import COLOURS, INK, LEGEND_ABOVE, finished, listed, log_ticks, number

Reports = Mapping[str, Mapping[str, Any]]
"""Name -> what `workbench.evaluate` returns; with ``each=True`` for pictures of structures."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")
_MICRO = 1e3 / HARTREE  # 1e-6 Hartree in a meV


def evaluation_table(reports: Reports) -> str:
    """One line for each model and stage: the matrix, then levels of molecules or bands of crystals.

    Of crystals the column of levels holds the bands near the Fermi level; what there is not is a
    dash.
    """
    head = ["matrix MAE in 1e-6 Hartree; levels, gap, symmetry in meV", "n", "mean", "median"]
    rows = [[*head, "worst", "levels", "gap", "1 - orbitals", "symmetry"]]
    for name, report in reports.items():
        for key, stage in STAGE_NAMES.items():
            of = report[key]
            levels = of.get("occupied_level_mae_mev", of.get("band_mae_mev"))
            alike = of.get("occupied_similarity")
            values = [1e6 * of[f"{kind}mae_hartree"] for kind in _KINDS]
            values += [levels, of.get("gap_mae_mev"), None if alike is None else 1 - alike]
            values.append(of["equivariance_mae_mev"])
            texts = [_short(value) for value in values]
            rows.append([f"{name}, {stage}", str(report["structures"]), *texts])
    return "\n".join(aligned_rows(rows))


_KINDS = ("", "median_structure_", "worst_structure_")


def shell_pair_table(reports: Reports, stage: str = "refined") -> str:
    """Mean error in meV between shells of two l, averaged over structures, a line a model."""
    found = {name: [e[stage]["shell_pairs"] for e in r["each"]] for name, r in reports.items()}
    pairs = sorted({p for each in found.values() for e in each for p in e}, key=_by_letters)
    rows = [["mean error in meV, shells", *pairs]]
    for name, each in found.items():
        means = [[e[p]["mae_mev"] for e in each if p in e] for p in pairs]
        rows.append([name, *(_short(float(np.mean(m)) if m else None) for m in means)])
    return "\n".join(aligned_rows(rows))


def error_spread(reports: Reports, stage: str = "refined") -> go.Figure:
    """The matrix error of every structure, one column a model; a bar at the median.

    Args:
        reports: made with ``each=True``.
        stage: "baseline" or "refined".
    """
    figure, said, every = go.Figure(), [], []
    for k, (name, report) in enumerate(reports.items()):
        errors = np.array([e[stage]["mae_mev"] * _MICRO for e in report["each"]])
        every.append(errors)
        aside = np.random.default_rng(0).uniform(-0.25, 0.25, len(errors))
        figure.add_trace(_points(name, k, k + aside, errors, report["each"], "1e-6 Hartree"))
        median = float(np.median(errors))
        bar = {"color": INK, "width": 3}
        figure.add_shape(type="line", x0=k - 0.32, x1=k + 0.32, y0=median, y1=median, line=bar)
        said.append(
            f"{name}: median {number(median)}, mean {number(float(errors.mean()))}, worst "
            f"{number(float(errors.max()))}"
        )
    low, high = min(e.min() for e in every), max(e.max() for e in every)
    figure.update_yaxes(title="matrix MAE in 1e-6 Hartree", **log_ticks(low / 2, high * 2))
    figure.update_xaxes(
        tickvals=list(range(len(reports))), ticktext=list(reports), showgrid=False, zeroline=False
    )
    alt = f"Errors of single structures in 1e-6 Hartree. {'; '.join(said)}."
    width = 200 + 160 * len(reports)
    title = "Every structure; bars: medians"
    return finished(figure, title, alt, width, 460, showlegend=False)


def errors_against_levels(
    reports: Reports, more: Mapping[str, tuple[float, float]] | None = None, stage: str = "refined"
) -> go.Figure:
    """Matrix error against error of the occupied levels (crystals: of the bands), each structure.

    Args:
        reports: made with ``each=True``.
        more: name -> matrix error and level error in meV of single further matrices, drawn large.
        stage: "baseline" or "refined".
    """
    figure, xs, ys = go.Figure(), [], []
    for k, (name, report) in enumerate(reports.items()):
        each = [e for e in report["each"] if _level_error(e[stage]) is not None]
        x = np.array([e[stage]["mae_mev"] for e in each])
        y = np.array([_level_error(e[stage]) for e in each], dtype=float)
        figure.add_trace(_points(name, k, x, y, each, "meV"))
        xs, ys = [*xs, *x], [*ys, *y]
    sides = ("middle right", "middle left")  # neighbours, one above the other, on either side
    for k, (name, (x, y)) in enumerate(sorted(_all(more), key=lambda item: item[1][1])):
        shown = max(y, _least(ys))
        figure.add_trace(
            go.Scatter(
                x=[x],
                y=[shown],
                mode="markers+text",
                text=[f"  {name}: {number(y)}  " if shown > y else f"  {name}  "],
                textposition=sides[k % 2],
                marker={"size": 12, "color": INK, "symbol": "diamond-open", "line": {"width": 2}},
                showlegend=False,
                hovertemplate=f"{name}<br>matrix {number(x)} meV<br><b>levels {number(y)} meV</b>"
                "<extra></extra>",
            )
        )
        xs, ys = [*xs, x], [*ys, shown]
    figure.update_xaxes(title="matrix MAE in meV", **log_ticks(min(xs) / 2, max(xs) * 6))
    figure.update_yaxes(title="occupied levels, MAE in meV", **log_ticks(min(ys) / 2, max(ys) * 2))
    said = [f"{name} at {number(x)} meV: levels {number(y)} meV" for name, (x, y) in _all(more)]
    alt = f"Level error against matrix error of {len(xs)} matrices, of {listed(list(reports))}."
    alt += f" {'; '.join(said)}." if said else ""
    title = "The same mean error, very different levels" if more else "Matrices and levels"
    return finished(figure, title, alt, 980, 560, legend=LEGEND_ABOVE)


def _points(
    name: str,
    k: int,
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    each: Sequence[Mapping[str, Any]],
    unit: str,
) -> go.Scatter:
    """The structures of one model; its colour and its symbol."""
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        text=[f"{e['formula']}, sample {e['sample']}" for e in each],
        marker={
            "size": 7,
            "opacity": 0.7,
            "color": COLOURS[k % len(COLOURS)],
            "symbol": _SYMBOLS[k % len(_SYMBOLS)],
        },
        hovertemplate=f"%{{text}}<br><b>%{{y:.3g}} {unit}</b><extra></extra>",
    )


def _level_error(of: Mapping[str, Any]) -> float | None:
    return of.get("occupied_level_mae_mev", of.get("band_mae_mev"))


def _least(values: Sequence[float]) -> float:
    """Where zero is drawn on a logarithmic axis."""
    return min((v for v in values if v > 0), default=1e-3) / 2


def _all(
    more: Mapping[str, tuple[float, float]] | None,
) -> Sequence[tuple[str, tuple[float, float]]]:
    return list((more or {}).items())


def _by_letters(pair: str) -> tuple[int, ...]:
    return tuple("spdfgh".index(letter) for letter in pair)


def _short(value: float | None) -> str:
    return "-" if value is None else number(value).replace("−", "-")
