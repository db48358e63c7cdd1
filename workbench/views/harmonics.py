"""Real spherical harmonics as surfaces, one row per l."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from workbench.hamiltonians.conventions import SHELL_LETTERS, orbital_name
from workbench.hamiltonians.wigner import harmonics
from workbench.views.sphere import COLUMNS, ROWS, directions
from workbench.views.style import DIVERGING, finished, listed

_SPACING = 1.5  # distance of neighbours, in units of the surfaces' scale
_FILLING = 1.75  # height of the scene in plotly's units; about 2.1 are visible
_SIDE, _MARGIN = 145, 40  # px per surface; px of the margin


def harmonics_surfaces(lmax: int = 2) -> go.Figure:
    """All real harmonics up to lmax as surfaces |Y(n)| n: red where Y is positive, blue below.

    Drag the picture to rotate it. Each l is a row, m = -l..l from left to right; z points up.

    Args:
        lmax: highest l, at most 3.

    Raises:
        ValueError: if lmax is not from 0 to 3.

    >>> from workbench import views
    >>> views.alt_text(views.harmonics_surfaces(1)).startswith("The 4 real spherical harmonics")
    True
    """
    if not 0 <= lmax <= 3:
        raise ValueError(f"lmax is {lmax}: surfaces can be drawn for lmax from 0 to 3.")
    points = directions()
    values = harmonics(lmax, points)  # (points, (lmax + 1)^2)
    figure = go.Figure()
    for l in range(lmax + 1):
        for m in range(-l, l + 1):
            f = values[:, l * l + l + m]
            figure.add_trace(_surface(f, points, l, m))
    figure.add_trace(_names(lmax))
    ranges = {
        "x": [-_SPACING * lmax - 0.7, _SPACING * lmax + 0.7],
        "y": [-0.7, 0.7],
        "z": [-_SPACING * lmax - 1.15, 0.7],
    }
    scale = _FILLING / (ranges["z"][1] - ranges["z"][0])
    scene = {f"{axis}axis": {"visible": False, "range": ends} for axis, ends in ranges.items()}
    scene |= {
        "aspectmode": "manual",
        "aspectratio": {axis: scale * (high - low) for axis, (low, high) in ranges.items()},
        "camera": {"eye": {"x": 0.3, "y": -0.9, "z": 0.3}, "projection": {"type": "orthographic"}},
    }
    shells = listed([SHELL_LETTERS[l] for l in range(lmax + 1)])
    alt = (
        f"The {(lmax + 1) ** 2} real spherical harmonics of the shells {shells}, one row per l: "
        "s is a sphere of one sign, and each Y of shell l changes sign across l planes or cones."
    )
    width, height = _SIDE * (2 * lmax + 1) + 160, _SIDE * (lmax + 1) + 90
    margin = {"l": 10, "r": 10, "t": _MARGIN, "b": 10}
    title = "Real spherical harmonics: red positive, blue negative; drag to rotate"
    return finished(figure, title, alt, width, height, scene=scene, margin=margin)


def _surface(f: np.ndarray, points: np.ndarray, l: int, m: int) -> go.Surface:
    """One harmonic (points,) at its position; the grid is closed along its columns."""
    xyz = (np.abs(f)[:, None] * points).reshape(ROWS, COLUMNS, 3)
    closed = np.concatenate([xyz, xyz[:, :1]], axis=1)
    sign = np.concatenate([f.reshape(ROWS, COLUMNS), f.reshape(ROWS, COLUMNS)[:, :1]], axis=1)
    x, y, z = np.moveaxis(closed, -1, 0)
    name = f"{SHELL_LETTERS[l]} {orbital_name(l, m)}".strip()
    return go.Surface(
        x=x + _SPACING * m,
        y=y,
        z=z - _SPACING * l,
        surfacecolor=np.sign(sign),
        cmin=-1.5,
        cmax=1.5,
        colorscale=DIVERGING,
        showscale=False,
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.1},
        hovertemplate=f"{name}, l = {l}, m = {m}<extra></extra>".replace("-", "−"),
    )


def _names(lmax: int) -> go.Scatter3d:
    """The name of each harmonic, below it."""
    indices = [(l, m) for l in range(lmax + 1) for m in range(-l, l + 1)]
    return go.Scatter3d(
        x=[_SPACING * m for _, m in indices],
        y=[-0.4] * len(indices),
        z=[-_SPACING * l - 0.92 for l, _ in indices],
        mode="text",
        text=[f"{SHELL_LETTERS[l]} {orbital_name(l, m)}".replace("-", "−") for l, m in indices],
        hoverinfo="skip",
        showlegend=False,
    )
