"""Orbital energies of several methods: occupied levels, virtual levels and the gap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.spinors import splitting
from workbench.views.style import (
    GRID,
    INK,
    LEGEND_ABOVE,
    OCCUPIED,
    VIRTUAL,
    finished,
    listed,
    number,
)

_REACH = 35.0  # eV below and above the HOMO: valence levels, without the core
_BAR, _HALF_BAR = 74, 35  # marker size of a level, and of one level of a Kramers pair
_DRAWN = 1.4  # px that plotly draws per unit of marker size of the symbol "line-ew"


def level_diagram(
    levels: Mapping[str, ArrayLike], n_occupied: int, spinor: bool = False
) -> go.Figure:
    """The levels of each method in a column: occupied below the gap, virtual above.

    The figure contains all levels; the initial range is 35 eV around the HOMO of the first column.

    Args:
        levels: name -> eigenvalues (n,) in eV, in any order.
        n_occupied: number of occupied orbitals, from 1 to n - 1.
        spinor: for levels of spinors, with one electron each: two levels are drawn as the halves of
            one line, which has no step if time reversal makes them a Kramers pair.

    Raises:
        ValueError: if there is no column, or no gap for this `n_occupied`.

    >>> from workbench import views
    >>> figure = views.level_diagram({"model": [-20.0, -10.0, 5.0]}, n_occupied=2)
    >>> views.alt_text(figure)
    'Orbital energies with 2 occupied levels; the gap is 15.000 eV (model).'
    """
    columns = {name: np.sort(np.asarray(e, dtype=float)) for name, e in levels.items()}
    if not columns:
        raise ValueError("There are no levels to draw: give at least one column of energies.")
    for name, energies in columns.items():
        if not 1 <= n_occupied < len(energies):
            raise ValueError(
                f"{n_occupied} occupied orbitals leave no gap in the {len(energies)} levels of "
                f"'{name}'."
            )
    width = 190 + 170 * max(len(columns), 2)
    per_column = (width - 110) / (len(columns) + 0.2)  # px
    aside = (0.5 * _DRAWN * _HALF_BAR + 1.5) / per_column if spinor else 0.0
    figure = go.Figure([_bars(columns, n_occupied, filled, aside) for filled in (True, False)])
    for k, energies in enumerate(columns.values()):
        _mark_gap(figure, k, *energies[n_occupied - 1 : n_occupied + 1])
    figure.update_xaxes(
        title="method",
        tickvals=list(range(len(columns))),
        ticktext=list(columns),
        range=[-0.6, len(columns) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(
        title="orbital energy in eV",
        range=_window(next(iter(columns.values())), n_occupied),
        gridcolor=GRID,
        zeroline=False,
    )
    gaps = [f"{_gap(e, n_occupied):.3f} eV ({name})" for name, e in columns.items()]
    alt = f"Orbital energies with {n_occupied} occupied levels; the gap is {listed(gaps)}."
    if spinor:
        split = max(splitting(e) for e in columns.values())
        alt += f" Each level holds one electron; Kramers pairs are split by {number(split)} eV."
    legend = {**LEGEND_ABOVE, "itemsizing": "constant"}
    return finished(figure, "Orbital energies", alt, width, 560, legend=legend)


def _gap(energies: NDArray[np.float64], n_occupied: int) -> float:
    return float(energies[n_occupied] - energies[n_occupied - 1])


def _bars(
    columns: Mapping[str, NDArray[np.float64]], n_occupied: int, filled: bool, aside: float
) -> go.Scatter:
    """All occupied or all virtual levels as one trace of short horizontal bars.

    Args:
        columns: name -> levels, ascending.
        n_occupied: number of occupied levels.
        filled: whether to draw the occupied or the virtual levels.
        aside: horizontal offset, in columns, of the two levels of a Kramers pair.
    """
    part = slice(0, n_occupied) if filled else slice(n_occupied, None)
    first = 1 if filled else n_occupied + 1
    energies = [e[part] for e in columns.values()]
    order = np.concatenate([first + np.arange(len(e)) for e in energies])
    x = np.repeat(np.arange(len(columns)), [len(e) for e in energies])
    x = x + np.where(order % 2, -aside, aside)
    colour = OCCUPIED if filled else VIRTUAL
    return go.Scatter(
        x=x,
        y=np.concatenate(energies),
        customdata=order,
        mode="markers",
        name="occupied" if filled else "virtual",
        marker={
            "symbol": "line-ew",
            "size": _HALF_BAR if aside else _BAR,
            "line": {"width": 2.5, "color": colour},
        },
        hovertemplate="level %{customdata}<br><b>%{y:.4f} eV</b>",
    )


def _mark_gap(figure: go.Figure, column: int, homo: float, lumo: float) -> None:
    """A double arrow from HOMO to LUMO with the gap beside it."""
    figure.add_annotation(
        x=column,
        y=lumo,
        ax=column,
        ay=homo,
        axref="x",
        ayref="y",
        text="",
        arrowside="end+start",
        arrowhead=2,
        arrowwidth=1.5,
        arrowcolor=INK,
        standoff=2,
        startstandoff=2,
    )
    figure.add_annotation(
        x=column,
        y=(homo + lumo) / 2,
        text=f"<b>{lumo - homo:.3f} eV</b>",
        showarrow=False,
        xanchor="left",
        xshift=0.5 * _DRAWN * _BAR + 6,
    )


def _window(energies: NDArray[np.float64], n_occupied: int) -> list[float]:
    """The initial energy range, eV."""
    near = energies[np.abs(energies - energies[n_occupied - 1]) < _REACH]
    low, high = min(near[0], energies[n_occupied - 1]), max(near[-1], energies[n_occupied])
    margin = 0.04 * (high - low) + 0.5
    return [float(low - margin), float(high + margin)]
