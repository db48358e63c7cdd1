"""Irrep norms of a block, which a rotation does not change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import plotly.graph_objects as go
from ase.data import chemical_symbols

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import shell_rank
from workbench.hamiltonians.irreps import Key, irrep_norms
from workbench.views.style import COLOURS, GRID, finished, log_ticks, number

_SMALLEST = 1e-6  # relative to the largest norm; smaller norms are rounding errors


def irrep_norm_bars(
    matrix: BlockMatrix, i: int, j: int, unit: str = "eV", T: Sequence[int] = (0, 0, 0)
) -> go.Figure:
    """Norm of every irrep in the block of atoms i and j, by shell pair, coloured by l.

    Args:
        matrix: with or without spin.
        i: row atom, counted from 0.
        j: column atom.
        unit: unit of the matrix.
        T: cell of the column atom.

    Raises:
        KeyError: if the matrix has no block for this pair.

    >>> from workbench import views
    >>> H = wb.load_model("water").predict(wb.load("water")).refined
    >>> print(views.alt_text(views.irrep_norm_bars(H, 0, 1)))
    Irreps in the block of O1 and H2: ...
    """
    norms = irrep_norms(matrix, i, j, T)
    ordered = sorted(norms, key=lambda key: (shell_rank(key[0]), shell_rank(key[1]), key[2]))
    positions = {key: k for k, key in enumerate(ordered)}
    figure = go.Figure([_bars(l, norms, positions, unit) for l in sorted({k[2] for k in ordered})])
    row, column = (f"{chemical_symbols[int(matrix.numbers[a])]}{a + 1}" for a in (i, j))
    figure.update_xaxes(
        title=f"shell of {row} – shell of {column}",
        tickangle=-90,
        showgrid=False,
        range=[-0.8, len(ordered) - 0.2],
    )
    _name_pairs(figure, positions)
    largest = max(norms.values()) or 1.0
    visible = [v for v in norms.values() if v > _SMALLEST * largest] or [largest]
    scale = log_ticks(min(visible) / 2, largest * 2)
    figure.update_yaxes(title="norm" if unit == "1" else f"norm in {unit}", **scale)
    a, b, l = max(norms, key=lambda key: norms[key])
    alt = (
        f"Irreps in the block of {row} and {column}: {len(norms)} norms, of which "
        f"{len(norms) - len(visible)} vanish; the largest is {number(norms[a, b, l])} {unit} "
        f"for l = {l} of {a} with {b}."
    )
    title = f"Irrep norms of the block {row} – {column}"
    width = max(260 + 24 * len(ordered), 560)
    return finished(figure, title, alt, width, 460, barmode="overlay")


def _bars(l: int, norms: dict[Key, float], positions: dict[Key, int], unit: str) -> go.Bar:
    """The irreps of one l at their positions along the axis."""
    keys = [key for key in positions if key[2] == l]
    after = "" if unit == "1" else f" {unit}"
    return go.Bar(
        x=[positions[key] for key in keys],
        y=[norms[key] for key in keys],
        customdata=[f"{a} – {b}, l = {l}" for a, b, _ in keys],
        name=f"l = {l}",
        showlegend=True,
        marker={"color": COLOURS[l % len(COLOURS)]},
        width=0.86,
        hovertemplate=f"%{{customdata}}<br><b>%{{y:.4g}}{after}</b><extra></extra>",
    )


def _name_pairs(figure: go.Figure, positions: dict[Key, int]) -> None:
    """One tick per shell pair, and a line between two pairs."""
    pairs = [(pair, list(keys)) for pair, keys in groupby(positions, key=lambda key: key[:2])]
    figure.update_xaxes(
        tickvals=[sum(positions[key] for key in keys) / len(keys) for _, keys in pairs],
        ticktext=[f"{a}–{b}" for (a, b), _ in pairs],
    )
    for _, keys in pairs[1:]:
        figure.add_vline(positions[keys[0]] - 0.5, line={"color": GRID, "width": 1})
