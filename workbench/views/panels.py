"""Components of pictures of matrices: heat map, colour scale, axes and borders."""

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
"""With more rows the axes show only the names of the atoms."""


def side_of(matrix: BlockMatrix) -> int:
    """Side of a heat map of a whole matrix, pixels."""
    return int(np.clip(21 * matrix.n_ao, 380, 640))


def heat_map(
    matrix: BlockMatrix, values: NDArray[np.float64], limit: float, unit: str, scale: Scale
) -> go.Heatmap:
    """A heat map of real values (n_ao, n_ao), with colours from minus to plus the limit."""
    names = matrix.orbital_labels()
    logarithmic = scale == "log"
    value = "%{customdata:.5g}" if logarithmic else "%{z:.5g}"
    return go.Heatmap(
        x=names,
        y=names,
        z=log_strength(values, limit) if logarithmic else values,
        customdata=values if logarithmic else None,
        zmin=-1 if logarithmic else -limit,
        zmid=0,
        zmax=1 if logarithmic else limit,
        colorscale=DIVERGING,
        hovertemplate=f"row %{{y}}<br>column %{{x}}<br><b>{value}{after(unit)}</b><extra></extra>",
    )


def after(unit: str) -> str:
    """The unit after a number; empty for "1"."""
    return "" if unit == "1" else f" {unit}"


def colour_bar(limit: float, unit: str, scale: Scale) -> dict[str, Any]:
    """Plotly settings of the colour bar of `heat_map`."""
    if scale == "linear":
        positions = ticks = [limit * k / 4 for k in (-4, -2, 0, 2, 4)]
    else:
        ticks = [s * limit / 10**k for s, ks in ((-1, (0, 1, 2)), (1, (2, 1, 0))) for k in ks]
        ticks.insert(3, 0.0)
        positions = log_strength(ticks, limit).tolist()
    text = [f"{t:.6g}".replace("-", "−") for t in ticks]
    title = {"text": "value" if unit == "1" else unit, "side": "top"}
    return {
        "title": title,
        "tickvals": positions,
        "ticktext": text,
        "outlinewidth": 1,
        "thickness": 16,
    }


def axis_of(matrix: BlockMatrix) -> dict[str, Any]:
    """Orbital names along an axis; for many orbitals one name per atom."""
    names = matrix.orbital_labels()
    if len(names) <= NAMED_ORBITALS:
        positions, text = list(range(len(names))), names
    else:
        positions, text = _middles(matrix), _group_names(matrix)
    font = {"size": FONT_SIZE - 1}
    return {
        "type": "category",
        "tickvals": positions,
        "ticktext": text,
        "tickfont": font,
        "showgrid": False,
        "constrain": "domain",
    }


def _atom_names(matrix: BlockMatrix) -> list[str]:
    return [f"{chemical_symbols[z]}{k + 1}" for k, z in enumerate(matrix.numbers)]


def _group_names(matrix: BlockMatrix) -> list[str]:
    """Names of the atoms; twice for a matrix with spin."""
    names = _atom_names(matrix)
    return [f"{name} {s}" for s in "↑↓" for name in names] if matrix.basis.spinor else names


def _borders(matrix: BlockMatrix) -> NDArray[np.intp]:
    """First row of each atom, and the end; with spin for all spin up, then all spin down."""
    offsets = matrix.offsets
    if not matrix.basis.spinor:
        return offsets
    return np.concatenate([offsets, offsets[1:] + offsets[-1]])


def _middles(matrix: BlockMatrix) -> list[float]:
    borders = _borders(matrix)
    return ((borders[:-1] + borders[1:] - 1) / 2).tolist()


def draw_borders(figure: go.Figure, matrix: BlockMatrix, **panel: int) -> None:
    """Lines between the blocks of different atoms, and a frame."""
    ends = [-0.5, matrix.n_ao - 0.5]
    for border in _borders(matrix):
        line = (float(border) - 0.5,) * 2
        for x, y in ((line, ends), (ends, line)):
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
    """Add a heat map to a subplot (row, column), with a colour axis and the names of the atoms."""
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
    """Number of orbitals and names of the atoms, as text."""
    names = listed(_atom_names(matrix)) if len(matrix.numbers) <= 12 else "all atoms"
    return f"{matrix.n_ao} orbitals of {names}"


def words_of(matrix: BlockMatrix, title: str, values: NDArray[Any], unit: str) -> str:
    """Text equivalent of a real or complex matrix: size, largest element and mean modulus."""
    names = matrix.orbital_labels()
    row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
    value = values[row, column]
    largest = number(float(abs(value) if np.iscomplexobj(values) else value)) + after(unit)
    if np.iscomplexobj(values):
        largest += f" at a phase of {number(float(np.angle(value, deg=True)))}°"
    return (
        f"{title}: a matrix between {described(matrix)}. "
        f"The largest element is {largest} between {names[row]} and {names[column]}; "
        f"the mean modulus is {number(matrix.mae())}{after(unit)}."
    )
