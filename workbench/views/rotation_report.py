"""A rotation report as one self-contained HTML page."""

from __future__ import annotations

from html import escape

import numpy as np

from workbench.evaluation.rotation_report import RotationReport, Series
from workbench.views.rotation_errors import angle_scan, error_histogram
from workbench.views.sphere_map import sphere_map
from workbench.views.style import number
from workbench.views.svg import Drawing

__all__ = ["drawings", "report_html"]

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;color:#14181f;max-width:1060px;margin:24px auto;"
    "padding:0 16px}table{border-collapse:collapse;margin:6px 0 18px}th,td{padding:3px 12px;"
    "text-align:right;border-bottom:1px solid #e3e7ec;font-variant-numeric:tabular-nums}"
    "th:first-child,td:first-child{text-align:left}caption{text-align:left;color:#55606e}"
    "svg{display:block;width:100%;height:auto;margin:8px 0 22px}h2{font-size:18px}"
    "pre{white-space:pre-wrap;color:#55606e;font-size:13px}"
)


def report_html(report: RotationReport) -> str:
    """The page: results and picture of each series, structure, and versions of programs."""
    formula, names = report.structure["formula"], ", ".join(report.predictors)
    title = f"Equivariance errors of {formula}"
    parts = [
        f"<h1>{escape(title)}</h1><p>Predictors: {escape(names)}. All errors are in meV: "
        "f(Rx) − D f(x) Dᵀ, over all matrix elements. The inversion, x → −x, is measured once for "
        "each predictor and listed beside all rotations.</p>"
    ]
    pictures = drawings(report)
    for key, series in report.series.items():
        parts.append(f"<h2>{escape(series.what)}</h2>{_table(series, report)}")
        if key in pictures:
            parts.append(pictures[key].svg)
    places = zip(report.structure["numbers"], report.structure["positions_angstrom"], strict=True)
    rows = "\n".join(f"{z:3d} " + " ".join(f"{c:11.6f}" for c in r) for z, r in places)
    versions = ", ".join(f"{name} {v}" for name, v in report.programs.items())
    parts.append(f"<h2>Structure</h2><pre>atomic number, x, y, z in Å\n{rows}</pre>")
    parts.append(f"<h2>Programs</h2><pre>{escape(versions)}</pre>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def drawings(report: RotationReport) -> dict[str, Drawing]:
    """Key of a series -> its picture."""
    pictures: dict[str, Drawing] = {}
    measure = report.measure
    inversion = report.inversion_values(measure)
    for key, series in report.series.items():
        values, title = series.values(measure), f"{series.what}, {measure} error"
        if key == "random":
            pictures[key] = error_histogram(values, title, inversion)
        elif key == "scan":
            pictures[key] = angle_scan(series.settings["degrees"], values, title, inversion)
        elif key == "sphere":
            pictures[key] = sphere_map(series.operations, values, title, inversion=inversion)
    return pictures


def _table(series: Series, report: RotationReport) -> str:
    """HTML table: mean and largest errors, and the worst pair of shells, by predictor.

    The last columns contain the errors under inversion; a report of an older version has none.
    """
    rows = []
    for name, each in series.errors.items():
        means, largest = ([errors[key] for errors in each] for key in ("mae_mev", "max_mev"))
        numbers = (min(means), float(np.median(means)), max(means), max(largest))
        cells = "".join(f"<td>{number(v)}</td>" for v in numbers)
        pairs = {
            pair: max(errors["shell_pairs"][pair]["mae_mev"] for errors in each)
            for pair in each[0]["shell_pairs"]
        }
        worst = max(pairs, key=pairs.__getitem__)
        cells += f"<td>{worst} {number(pairs[worst])}</td>"
        if (inversion := report.inversion.get(name)) is not None:
            errors = (inversion["mae_mev"], inversion["max_mev"])
            cells += "".join(f"<td>{number(v)}</td>" for v in errors)
        rows.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    settings = ", ".join(f"{k} {v}" for k, v in series.settings.items() if np.ndim(v) == 0)
    inverted = "<th>inversion, mean</th><th>inversion, largest element</th>"
    return (
        f"<table><caption>{len(series.operations)} operations; {escape(settings)}</caption><tr>"
        "<th>meV</th><th>smallest mean</th><th>median mean</th><th>largest mean</th>"
        f"<th>largest element</th><th>worst shells, mean</th>{inverted if report.inversion else ''}"
        f"</tr>{''.join(rows)}</table>"
    )
