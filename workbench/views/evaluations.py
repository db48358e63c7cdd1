"""Comparison of evaluations: tables, spread over structures, matrix against level errors."""

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
"""Name -> result of `workbench.evaluate`; pictures of structures need ``each=True``."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")
_MICRO = 1e3 / HARTREE  # 1e-6 Hartree per meV


def evaluation_table(reports: Reports) -> str:
    """One line for each model and stage: errors of the matrix and of levels or bands.

    "no gauge" is the mean error of the matrix without the shift of the zero of energy, and "shift"
    the mean modulus of this shift (`workbench.evaluation.energy_zero`). For crystals the column
    "levels" contains the error of the bands near the Fermi level. "aligned" contains the error of
    levels without the shift, or of bands relative to each Hamiltonian's own Fermi level. The
    columns "rotations" and "inversion" are the equivariance errors. A missing value is a dash.

    >>> from workbench import views
    >>> with wb.Dataset("water") as data:
    ...     report = wb.evaluate(wb.load_model("water"), data, limit=2, progress=False)
    >>> print(views.evaluation_table({"water": report}))
    matrix MAE in 1e-6 Hartree; ...
    water, stage 1 ...
    water, stages 1+2 ...
    """
    head = ["matrix MAE in 1e-6 Hartree; other errors in meV", "n", "mean", "median", "worst"]
    head += ["no gauge", "shift", "levels", "aligned", "gap", "1 - orbitals"]
    rows = [[*head, "rotations", "inversion"]]
    for name, report in reports.items():
        for key, stage in STAGE_NAMES.items():
            errors = report[key]
            similarity = errors.get("occupied_similarity")
            values = [1e6 * errors[f"{kind}mae_hartree"] for kind in _KINDS]
            free = errors.get("gauge_free_mae_hartree")
            values += [None if free is None else 1e6 * free, errors.get("shift_mev")]
            values += [_level_error(errors), _level_error(errors, "aligned_")]
            values.append(errors.get("gap_mae_mev"))
            values.append(None if similarity is None else 1 - similarity)
            values += [errors["equivariance_mae_mev"], errors.get("inversion_mae_mev")]
            texts = [_short(value) for value in values]
            rows.append([f"{name}, {stage}", str(report["structures"]), *texts])
    return "\n".join(aligned_rows(rows))


_KINDS = ("", "median_structure_", "worst_structure_")


def shell_pair_table(reports: Reports, stage: str = "refined") -> str:
    """Mean error in meV by pair of l, averaged over structures; one line per model."""
    errors = {name: [e[stage]["shell_pairs"] for e in r["each"]] for name, r in reports.items()}
    pairs = sorted({p for each in errors.values() for e in each for p in e}, key=_by_letters)
    rows = [["mean error in meV, shells", *pairs]]
    for name, each in errors.items():
        means = [[e[p]["mae_mev"] for e in each if p in e] for p in pairs]
        rows.append([name, *(_short(float(np.mean(m)) if m else None) for m in means)])
    return "\n".join(aligned_rows(rows))


def error_spread(reports: Reports, stage: str = "refined") -> go.Figure:
    """The matrix error of every structure, one column per model, with a bar at the median.

    Args:
        reports: made with ``each=True``.
        stage: "baseline" or "refined".
    """
    figure, sentences, every = go.Figure(), [], []
    for k, (name, report) in enumerate(reports.items()):
        errors = np.array([e[stage]["mae_mev"] * _MICRO for e in report["each"]])
        every.append(errors)
        aside = np.random.default_rng(0).uniform(-0.25, 0.25, len(errors))
        figure.add_trace(_points(name, k, k + aside, errors, report["each"], "1e-6 Hartree"))
        median = float(np.median(errors))
        bar = {"color": INK, "width": 3}
        figure.add_shape(type="line", x0=k - 0.32, x1=k + 0.32, y0=median, y1=median, line=bar)
        sentences.append(
            f"{name}: median {number(median)}, mean {number(float(errors.mean()))}, worst "
            f"{number(float(errors.max()))}"
        )
    low, high = min(e.min() for e in every), max(e.max() for e in every)
    figure.update_yaxes(title="matrix MAE in 1e-6 Hartree", **log_ticks(low / 2, high * 2))
    figure.update_xaxes(
        tickvals=list(range(len(reports))), ticktext=list(reports), showgrid=False, zeroline=False
    )
    alt = f"Errors of single structures in 1e-6 Hartree. {'; '.join(sentences)}."
    width = 200 + 160 * len(reports)
    title = "Errors of all structures; bars: medians"
    return finished(figure, title, alt, width, 460, showlegend=False)


def errors_against_levels(
    reports: Reports, more: Mapping[str, tuple[float, float]] | None = None, stage: str = "refined"
) -> go.Figure:
    """Error of the occupied levels (crystals: bands) against error of the matrix, by structure.

    Args:
        reports: made with ``each=True``.
        more: name -> matrix error and level error in meV of further single matrices, with labels.
        stage: "baseline" or "refined".
    """
    figure, xs, ys = go.Figure(), [], []
    for k, (name, report) in enumerate(reports.items()):
        each = [e for e in report["each"] if _level_error(e[stage]) is not None]
        x = np.array([e[stage]["mae_mev"] for e in each])
        y = np.array([_level_error(e[stage]) for e in each], dtype=float)
        figure.add_trace(_points(name, k, x, y, each, "meV"))
        xs, ys = [*xs, *x], [*ys, *y]
    sides = ("middle right", "middle left")  # alternating, so that labels do not overlap
    for k, (name, (x, y)) in enumerate(sorted(_all(more), key=lambda item: item[1][1])):
        drawn = max(y, _least(ys))
        figure.add_trace(
            go.Scatter(
                x=[x],
                y=[drawn],
                mode="markers+text",
                text=[f"  {name}: {number(y)}  " if drawn > y else f"  {name}  "],
                textposition=sides[k % 2],
                marker={"size": 12, "color": INK, "symbol": "diamond-open", "line": {"width": 2}},
                showlegend=False,
                hovertemplate=f"{name}<br>matrix {number(x)} meV<br><b>levels {number(y)} meV</b>"
                "<extra></extra>",
            )
        )
        xs, ys = [*xs, x], [*ys, drawn]
    figure.update_xaxes(title="matrix MAE in meV", **log_ticks(min(xs) / 2, max(xs) * 6))
    figure.update_yaxes(title="occupied levels, MAE in meV", **log_ticks(min(ys) / 2, max(ys) * 2))
    sentences = [
        f"{name} at {number(x)} meV: levels {number(y)} meV" for name, (x, y) in _all(more)
    ]
    alt = (
        f"Level error against matrix error of {len(xs)} matrices, models: {listed(list(reports))}."
    )
    alt += f" {'; '.join(sentences)}." if sentences else ""
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
    """The structures of one model, with its colour and symbol."""
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


def _level_error(errors: Mapping[str, Any], kind: str = "") -> float | None:
    """Of the occupied levels, or of a crystal's bands; `kind` is "" or "aligned_"."""
    return errors.get(f"{kind}occupied_level_mae_mev", errors.get(f"{kind}band_mae_mev"))


def _least(values: Sequence[float]) -> float:
    """The value at which zero is drawn on a logarithmic axis."""
    return min((v for v in values if v > 0), default=1e-3) / 2


def _all(
    more: Mapping[str, tuple[float, float]] | None,
) -> Sequence[tuple[str, tuple[float, float]]]:
    return list((more or {}).items())


def _by_letters(pair: str) -> tuple[int, ...]:
    return tuple("spdfgh".index(letter) for letter in pair)


def _short(value: float | None) -> str:
    return "-" if value is None else number(value).replace("−", "-")
