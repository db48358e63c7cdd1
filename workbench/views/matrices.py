"""Matrices as colours: blue below zero, white at zero, red above; the first orbital on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from workbench.matrices import BlockMatrix
from workbench.views.look import (
    DIVERGING,
    FONT_SIZE,
    INK,
    WIDEST,
    finished,
    listed,
    log_strength,
    number,
    round_limit,
)

Scale = Literal["linear", "log"]

_NAMED_ORBITALS = 30  # beyond this many rows the axes name the atoms only
_MEV = 1000.0  # meV in an eV


def heat(
    matrix: BlockMatrix,
    title: str = "Hamiltonian",
    limit: float | None = None,
    unit: str = "eV",
    scale: Scale = "linear",
) -> go.Figure:
    """One matrix as a heat map, its blocks bordered by atom; hover for orbitals and value.

    Args:
        matrix: real, of a molecule.
        title: above the figure.
        limit: value of the outermost colours; by default a round number that holds all. Give one
            to compare figures.
        unit: of the values, "1" for an overlap.
        scale: "log" tells small elements apart too: linear below a thousandth of the limit.

    Raises:
        ValueError: for a spinor matrix, which is complex, or a crystal.
    """
    values = _dense(matrix)
    limit = limit if limit is not None else round_limit(matrix.max_abs())
    figure = go.Figure(_map(matrix, values, limit, unit, scale))
    figure.update_traces(colorbar=_colour_bar(limit, unit, scale))
    figure.update_xaxes(**_axis(matrix), title="orbital of the column atom")
    figure.update_yaxes(**_axis(matrix), title="orbital of the row atom", autorange="reversed")
    _draw_borders(figure, matrix)
    side = int(np.clip(21 * matrix.n_ao, 380, 640))
    return finished(figure, title, _alt(matrix, title, values, unit), side + 190, side + 150)


def compare(
    matrices: Mapping[str, BlockMatrix],
    reference: BlockMatrix,
    limit: float | None = None,
    limit_mev: float | None = None,
    scale: Scale = "log",
) -> go.Figure:
    """The reference and predictions of it side by side, and below each its difference in meV.

    Args:
        matrices: name -> real matrix of the same molecule, eV.
        reference: what they should be, eV.
        limit: eV of the outermost colours in the upper row; by default a round number.
        limit_mev: meV of the outermost colours in the lower row; by default a round number.
        scale: of the upper row; differences are always linear.

    Raises:
        ValueError: if there is no matrix, or one is complex or belongs to other atoms.
    """
    if not matrices:
        raise ValueError("There is no matrix to compare: give at least one, e.g. {'model': H}.")
    differences = {name: (m - reference) * _MEV for name, m in matrices.items()}
    limit = limit or round_limit(max(m.max_abs() for m in [reference, *matrices.values()]))
    limit_mev = limit_mev or round_limit(max(d.max_abs() for d in differences.values()))
    columns = len(matrices) + 1
    below = [f"{name} − reference" for name in matrices]
    figure = make_subplots(
        rows=2,
        cols=columns,
        subplot_titles=["reference", *matrices, *below],
        specs=[[{}] * columns, [None, *[{}] * (columns - 1)]],
        horizontal_spacing=0.12 / columns,
        vertical_spacing=0.14,
    )
    for k, matrix in enumerate([reference, *matrices.values()], start=1):
        _add_panel(figure, matrix, 1, k, limit, "eV", scale)
    for k, difference in enumerate(differences.values(), start=2):
        _add_panel(figure, difference, 2, k, limit_mev, "meV", "linear")
    upper = _colour_bar(limit, "eV", scale) | {"y": 0.79, "len": 0.46}
    lower = _colour_bar(limit_mev, "meV", "linear") | {"y": 0.21, "len": 0.46}
    figure.update_layout(coloraxis_colorbar=upper, coloraxis2_colorbar=lower)
    side = min(340, (WIDEST - 190) // columns)
    errors = [
        f"{name} differs from the reference by {number(d.mae())} meV on average and "
        f"{number(d.max_abs())} meV at most"
        for name, d in differences.items()
    ]
    alt = f"Matrices between {_described(reference)}: {'; '.join(errors)}."
    size = (side * columns + 190, 2 * side + 190)
    return finished(figure, "Predictions and their differences", alt, *size)


def _dense(matrix: BlockMatrix) -> NDArray[np.float64]:
    """(n_ao, n_ao) of a real matrix; of a crystal at k = 0."""
    dense = matrix.at_gamma()
    if np.iscomplexobj(dense):
        raise ValueError("A heat map shows real numbers, but a spinor matrix is complex.")
    return dense.astype(float)


def _map(
    matrix: BlockMatrix, values: NDArray[np.float64], limit: float, unit: str, scale: Scale
) -> go.Heatmap:
    names = matrix.orbital_labels()
    logarithmic = scale == "log"
    shown = "%{customdata:.5g}" if logarithmic else "%{z:.5g}"
    return go.Heatmap(
        x=names,
        y=names,
        z=log_strength(values, limit) if logarithmic else values,
        customdata=values if logarithmic else None,
        zmin=-1 if logarithmic else -limit,
        zmid=0,
        zmax=1 if logarithmic else limit,
        colorscale=DIVERGING,
        hovertemplate=f"row %{{y}}<br>column %{{x}}<br><b>{shown}{_after(unit)}</b><extra></extra>",
    )


def _after(unit: str) -> str:
    """A unit as it follows a number."""
    return "" if unit == "1" else f" {unit}"


def _colour_bar(limit: float, unit: str, scale: Scale) -> dict[str, Any]:
    if scale == "linear":
        at = ticks = [limit * k / 4 for k in (-4, -2, 0, 2, 4)]
    else:
        ticks = [s * limit / 10**k for s, ks in ((-1, (0, 1, 2)), (1, (2, 1, 0))) for k in ks]
        ticks.insert(3, 0.0)
        at = log_strength(ticks, limit).tolist()
    text = [f"{t:.6g}".replace("-", "−") for t in ticks]
    title = {"text": "value" if unit == "1" else unit, "side": "top"}
    return {"title": title, "tickvals": at, "ticktext": text, "outlinewidth": 1, "thickness": 16}


def _axis(matrix: BlockMatrix) -> dict[str, Any]:
    """Orbital names along an axis; where they are too many, one name per atom."""
    names, borders = matrix.orbital_labels(), matrix.offsets
    if len(names) <= _NAMED_ORBITALS:
        at, text = list(range(len(names))), names
    else:
        at = ((borders[:-1] + borders[1:] - 1) / 2).tolist()
        text = _atom_names(matrix)
    font = {"size": FONT_SIZE - 1}
    return {
        "type": "category",
        "tickvals": at,
        "ticktext": text,
        "tickfont": font,
        "showgrid": False,
        "constrain": "domain",
    }


def _atom_names(matrix: BlockMatrix) -> list[str]:
    return [f"{chemical_symbols[z]}{k + 1}" for k, z in enumerate(matrix.numbers)]


def _draw_borders(figure: go.Figure, matrix: BlockMatrix, **panel: int) -> None:
    """Lines between the blocks of different atoms, and a frame."""
    ends = [-0.5, matrix.n_ao - 0.5]
    for border in matrix.offsets:
        at = float(border) - 0.5
        for x, y in (((at, at), ends), (ends, (at, at))):
            figure.add_shape(
                type="line",
                x0=x[0],
                x1=x[1],
                y0=y[0],
                y1=y[1],
                line={"color": INK, "width": 1},
                **panel,
            )


def _add_panel(
    figure: go.Figure,
    matrix: BlockMatrix,
    row: int,
    column: int,
    limit: float,
    unit: str,
    scale: Scale,
) -> None:
    """Put a heat map into a subplot, on the colour axis of its row, with atoms on its axes."""
    trace = _map(matrix, _dense(matrix), limit, unit, scale)
    coloured = "coloraxis" if row == 1 else "coloraxis2"
    bounds = {"cmin": trace.zmin, "cmid": 0, "cmax": trace.zmax, "colorscale": DIVERGING}
    figure.update_layout({coloured: bounds})
    trace.update(coloraxis=coloured, colorscale=None, zmin=None, zmid=None, zmax=None)
    figure.add_trace(trace, row=row, col=column)
    at = ((matrix.offsets[:-1] + matrix.offsets[1:] - 1) / 2).tolist()
    axis: dict[str, Any] = {"type": "category", "tickvals": at, "ticktext": _atom_names(matrix)}
    axis["showgrid"] = False
    axis["constrain"] = "domain"
    figure.update_xaxes(row=row, col=column, title="column atom", **axis)
    figure.update_yaxes(
        row=row,
        col=column,
        title="row atom" if column == row else None,
        autorange="reversed",
        **axis,
    )
    _draw_borders(figure, matrix, row=row, col=column)


def _described(matrix: BlockMatrix) -> str:
    names = listed(_atom_names(matrix)) if len(matrix.numbers) <= 12 else "all atoms"
    return f"{matrix.n_ao} orbitals of {names}"


def _alt(matrix: BlockMatrix, title: str, values: NDArray[np.float64], unit: str) -> str:
    names, after = matrix.orbital_labels(), _after(unit)
    row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
    return (
        f"{title}: a matrix between {_described(matrix)}. "
        f"Its largest element, {number(float(values[row, column]))}{after}, stands between "
        f"{names[row]} and {names[column]}; the mean modulus is {number(matrix.mae())}{after}."
    )
