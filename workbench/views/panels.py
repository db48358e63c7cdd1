"""What pictures of matrices are put together from: a map, its colours, its axes, its borders."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.views.style import DIVERGING, FONT_SIZE, INK, listed, log_strength, number

Scale = Literal["linear", "log"]

NAMED_ORBITALS = 30
"""Beyond this many rows the axes name the atoms only."""


def side_of(matrix: BlockMatrix) -> int:
    """Side of a whole matrix's map in pixels."""
    return int(np.clip(21 * matrix.n_ao, 380, 640))


def heat_map(
    matrix: BlockMatrix, values: NDArray[np.float64], limit: float, unit: str, scale: Scale
) -> go.Heatmap:
    """The colours of real values (n_ao, n_ao), on a scale between minus and plus a limit."""
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
        hovertemplate=f"row %{{y}}<br>column %{{x}}<br><b>{shown}{after(unit)}</b><extra></extra>",
    )


def after(unit: str) -> str:
    """A unit as it follows a number."""
    return "" if unit == "1" else f" {unit}"


def colour_bar(limit: float, unit: str, scale: Scale) -> dict[str, Any]:
    """Plotly's settings of the colour bar of `heat_map`."""
    if scale == "linear":
        at = ticks = [limit * k / 4 for k in (-4, -2, 0, 2, 4)]
    else:
        ticks = [s * limit / 10**k for s, ks in ((-1, (0, 1, 2)), (1, (2, 1, 0))) for k in ks]
        ticks.insert(3, 0.0)
        at = log_strength(ticks, limit).tolist()
    text = [f"{t:.6g}".replace("-", "−") for t in ticks]
    title = {"text": "value" if unit == "1" else unit, "side": "top"}
    return {"title": title, "tickvals": at, "ticktext": text, "outlinewidth": 1, "thickness": 16}


def axis_of(matrix: BlockMatrix) -> dict[str, Any]:
    """Orbital names along an axis; where they are too many, one name per atom."""
    names = matrix.orbital_labels()
    if len(names) <= NAMED_ORBITALS:
        at, text = list(range(len(names))), names
    else:
        at, text = _middles(matrix), _group_names(matrix)
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


def _group_names(matrix: BlockMatrix) -> list[str]:
    """The atoms, of matrices with spin twice."""
    names = _atom_names(matrix)
    return [f"{name} {s}" for s in "↑↓" for name in names] if matrix.basis.spinor else names


def _borders(matrix: BlockMatrix) -> NDArray[np.intp]:
    """First row of each atom, and the end; of matrices with spin for up, then for down."""
    own = matrix.offsets
    return np.concatenate([own, own[1:] + own[-1]]) if matrix.basis.spinor else own


def _middles(matrix: BlockMatrix) -> list[float]:
    borders = _borders(matrix)
    return ((borders[:-1] + borders[1:] - 1) / 2).tolist()


def draw_borders(figure: go.Figure, matrix: BlockMatrix, **panel: int) -> None:
    """Lines between the blocks of different atoms, and a frame."""
    ends = [-0.5, matrix.n_ao - 0.5]
    for border in _borders(matrix):
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


def add_panel(
    figure: go.Figure,
    matrix: BlockMatrix,
    place: tuple[int, int],
    coloured: str,
    limit: float,
    unit: str,
    scale: Scale,
) -> None:
    """Put a heat map into a subplot (row, column), on a colour axis, with atoms on its axes."""
    row, column = place
    trace = heat_map(matrix, matrix.at_gamma(), limit, unit, scale)
    bounds = {"cmin": trace.zmin, "cmid": 0, "cmax": trace.zmax, "colorscale": DIVERGING}
    figure.update_layout({coloured: bounds})
    trace.update(coloraxis=coloured, colorscale=None, zmin=None, zmid=None, zmax=None)
    figure.add_trace(trace, row=row, col=column)
    names = _atom_names(matrix)
    axis: dict[str, Any] = {"type": "category", "tickvals": _middles(matrix), "ticktext": names}
    axis["showgrid"] = False
    axis["constrain"] = "domain"
    figure.update_xaxes(row=row, col=column, title="column atom", **axis)
    figure.update_yaxes(
        row=row,
        col=column,
        title="row atom" if column == 1 else None,
        autorange="reversed",
        **axis,
    )
    draw_borders(figure, matrix, row=row, col=column)


def described(matrix: BlockMatrix) -> str:
    """How many orbitals of which atoms."""
    names = listed(_atom_names(matrix)) if len(matrix.numbers) <= 12 else "all atoms"
    return f"{matrix.n_ao} orbitals of {names}"


def words_of(matrix: BlockMatrix, title: str, values: NDArray[Any], unit: str) -> str:
    """A matrix in words, real or complex: its size, its largest element and the mean modulus."""
    names = matrix.orbital_labels()
    row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
    value = values[row, column]
    largest = number(float(abs(value) if np.iscomplexobj(values) else value)) + after(unit)
    if np.iscomplexobj(values):
        largest += f" at a phase of {number(float(np.angle(value, deg=True)))}°"
    return (
        f"{title}: a matrix between {described(matrix)}. "
        f"Its largest element, {largest}, stands between {names[row]} and {names[column]}; "
        f"the mean modulus is {number(matrix.mae())}{after(unit)}."
    )
