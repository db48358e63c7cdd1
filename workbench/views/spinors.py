"""Pictures of a whole matrix with spin: all real parts, or modulus and phase."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.views.panels import (
    Scale,
    add_panel,
    after,
    axis_of,
    colour_bar,
    draw_borders,
    side_of,
    words_of,
)
from workbench.views.spin_panels import CYCLIC, PARTS, parts_of, phase_colours, shown
from workbench.views.style import finished, number, round_limit


def all_parts(
    matrix: BlockMatrix, title: str, limit: float | None, unit: str, scale: Scale
) -> go.Figure:
    """All real parts of a spinor matrix, two per row; a family shares one colour scale."""
    parts = {name: shown(matrix, name) for name in parts_of(matrix)}
    families: dict[str, float] = {}
    for name, m in parts.items():
        family = PARTS[name].family
        families[family] = max(limit or round_limit(m.max_abs()), families.get(family, 0.0))
    rows = len(parts) // 2
    figure = make_subplots(
        rows=rows,
        cols=2,
        subplot_titles=[PARTS[name].title for name in parts],
        horizontal_spacing=0.12,
        vertical_spacing=0.26 / rows,
    )
    for k, (name, m) in enumerate(parts.items()):
        row, column = divmod(k, 2)
        order = list(families).index(PARTS[name].family)
        axis = f"coloraxis{order + 1 if order else ''}"
        family_limit = families[PARTS[name].family]
        add_panel(figure, m, (row + 1, column + 1), axis, family_limit, unit, scale)
        share = 1 / len(families)
        bar = colour_bar(family_limit, unit, scale) | {
            "y": 1 - (order + 0.5) * share,
            "len": 0.92 * share,
            "title": {"text": f"{PARTS[name].family}<br>{unit}", "side": "top"},
        }
        figure.update_layout({f"{axis}_colorbar": bar})
    alt = [words_of(m, PARTS[name].title, m.at_gamma(), unit) for name, m in parts.items()]
    side = int(np.clip(side_of(matrix) // 2, 300, 420))
    return finished(figure, title, " ".join(alt), 2 * side + 230, rows * (side + 30) + 140)


def phases(matrix: BlockMatrix, title: str, limit: float, unit: str, scale: Scale) -> go.Figure:
    """A complex matrix: hue by phase, white at zero, saturated colours at the limit."""
    values, names = matrix.at_gamma(), np.array(matrix.orbital_labels(), dtype=object)
    rows, columns = np.meshgrid(names, names, indexing="ij")
    numbers = np.stack([rows, columns, np.abs(values), np.angle(values, deg=True)], axis=-1)
    hover = (
        "row %{customdata[0]}<br>column %{customdata[1]}<br><b>%{customdata[2]:.5g}"
        f"{after(unit)} ∠ %{{customdata[3]:.1f}}°</b><extra></extra>"
    )
    image = go.Image(z=phase_colours(values, limit, scale), customdata=numbers, hovertemplate=hover)
    figure = go.Figure([image, _key()])
    note = f"white at zero, saturated from {number(limit)}{after(unit)}"
    axis = {k: v for k, v in axis_of(matrix).items() if k != "type"}  # an image has numeric axes
    figure.update_xaxes(**axis, title=f"orbital of the column atom<br>{note}")
    figure.update_yaxes(**axis, title="orbital of the row atom")
    draw_borders(figure, matrix)
    side = side_of(matrix)
    return finished(figure, title, words_of(matrix, title, values, unit), side + 190, side + 170)


def _key() -> go.Scatter:
    """A trace without points that adds the colour bar of the phases."""
    half = len(CYCLIC) // 2
    colours = [colour for _, colour in [*CYCLIC[half:], *CYCLIC[1 : half + 1]]]  # starting at -180
    ticks = [-180, -90, 0, 90, 180]
    bar = {
        "title": {"text": "phase", "side": "top"},
        "tickvals": ticks,
        "ticktext": [f"{t}°".replace("-", "−") for t in ticks],
        "outlinewidth": 1,
        "thickness": 16,
    }
    scale = [[k / (len(colours) - 1), colour] for k, colour in enumerate(colours)]
    marker = {"color": [0], "colorscale": scale, "cmin": -180, "cmax": 180, "colorbar": bar}
    return go.Scatter(x=[None], y=[None], marker=marker, showlegend=False)
