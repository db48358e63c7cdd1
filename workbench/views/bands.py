"""Bands along a path and the density of states, for one crystal and several methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from ase.spectrum.band_structure import BandStructure
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from workbench.hamiltonians.conventions import MEV
from workbench.views.style import COLOURS, GRID, INK, LEGEND_ABOVE, MUTED, finished, listed

_DASHES = ("solid", "dash", "dot")  # to distinguish curves that coincide
_WIDTHS = (4.0, 2.5, 2.5)  # px; the first curve is visible on both sides of the others
_BEHIND = 0.4  # opacity of the first curve, so that the others are visible on it
_GREEK = {"G": "Γ"}


def bands(
    structures: Mapping[str, BandStructure],
    window: tuple[float, float] = (-8.0, 6.0),
    densities: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> go.Figure:
    """The bands along one path by several methods, each relative to its own Fermi level.

    Matrices of two methods differ in their zeros of energy, which is no error of a crystal. If all
    bands have the same `reference`, the picture says that they are relative to one Fermi level.

    Args:
        structures: name -> bands in eV, all along the same path, e.g. from
            `workbench.hamiltonians.bands.band_structure`. The first has the widest lines.
        window: initial energy range, eV relative to the Fermi level (``reference`` of each).
        densities: name -> energies (n,) in eV relative to the Fermi level, and density of states
            (n,) per eV and cell, drawn beside the bands; names as in `structures`.

    Raises:
        ValueError: if there are no bands, the paths differ, or a density has an unknown name.
    """
    _check(structures, densities)
    first = next(iter(structures.values()))
    x, places, labels = first.get_labels()
    figure = make_subplots(
        1,
        2 if densities else 1,
        shared_yaxes=True,
        column_widths=[0.74, 0.26] if densities else [1],
    )
    for (name, structure), style in zip(structures.items(), _styles(structures), strict=True):
        energies = structure.energies[0] - structure.reference
        figure.add_trace(_curves(name, np.asarray(x), energies, style), 1, 1)
        if len(structures) > 1 and structure is first:
            figure.update_traces(opacity=_BEHIND)
        if densities and name in densities:
            levels, states = (np.asarray(v, dtype=float) for v in densities[name])
            curve = go.Scatter(x=states, y=levels, name=name, line=style, showlegend=False)
            figure.add_trace(curve.update(hovertemplate="%{x:.3f} / eV at %{y:.3f} eV"), 1, 2)
    _axes(figure, np.asarray(places), list(labels), window, densities is not None)
    own = "the" if _share_zero(structures) else "own"
    figure.update_yaxes(title=f"energy relative to {own} Fermi level in eV", row=1, col=1)
    figure.add_hline(y=0, line={"color": MUTED, "width": 1, "dash": "dot"})
    alt = (
        f"Bands of {listed(list(structures))} along {'-'.join(_letters(labels))}, in eV, "
        f"{_zero(structures)}{_distances(structures, window)}."
    )
    title = "Bands and density of states" if densities else "Bands"
    return finished(figure, title, alt, 1000 if densities else 760, 520, legend=LEGEND_ABOVE)


def _check(
    structures: Mapping[str, BandStructure],
    densities: Mapping[str, tuple[ArrayLike, ArrayLike]] | None,
) -> None:
    if not structures:
        raise ValueError("There are no bands to draw: give at least one band structure.")
    names = list(structures)
    paths = [structure.path.kpts for structure in structures.values()]
    for name, path in zip(names, paths, strict=True):
        if path.shape != paths[0].shape or not np.allclose(path, paths[0]):
            raise ValueError(f"The bands of '{name}' and '{names[0]}' are not along the same path.")
    if unknown := set(densities or {}) - set(names):
        raise ValueError(f"'{min(unknown)}' has a density of states but no bands.")


def _styles(structures: Mapping[str, BandStructure]) -> list[dict[str, Any]]:
    return [
        {
            "color": COLOURS[k % len(COLOURS)],
            "dash": _DASHES[k % len(_DASHES)],
            "width": _WIDTHS[k % len(_WIDTHS)],
        }
        for k in range(len(structures))
    ]


def _curves(
    name: str, x: NDArray[np.float64], energies: NDArray[np.float64], style: dict[str, Any]
) -> go.Scatter:
    """All bands (points, n) as one trace, with a gap between two bands."""
    n = energies.shape[1]
    finite = np.where(np.isfinite(energies), energies, np.nan)
    gapped = np.vstack([finite, np.full(n, np.nan)]).T.ravel()
    return go.Scatter(
        x=np.tile(np.append(x, np.nan), n),
        y=gapped,
        mode="lines",
        name=name,
        line=style,
        connectgaps=False,
        hovertemplate="%{y:.3f} eV",
    )


def _axes(
    figure: go.Figure,
    places: NDArray[np.float64],
    labels: list[str],
    window: tuple[float, float],
    density: bool,
) -> None:
    figure.update_xaxes(
        tickvals=places,
        ticktext=_letters(labels),
        range=[places[0], places[-1]],
        gridcolor=INK,
        zeroline=False,
        row=1,
        col=1,
    )
    figure.update_yaxes(range=list(window), gridcolor=GRID, zeroline=False)
    if density:
        figure.update_xaxes(title="states / eV / cell", rangemode="tozero", row=1, col=2)


def _letters(labels: list[str]) -> list[str]:
    return [_GREEK.get(label, label) for label in labels]


def _share_zero(structures: Mapping[str, BandStructure]) -> bool:
    """Whether all bands are drawn relative to the same energy."""
    return len({float(structure.reference) for structure in structures.values()}) == 1


def _zero(structures: Mapping[str, BandStructure]) -> str:
    """The zero of the energies, in words."""
    if len(structures) == 1:
        return "relative to the Fermi level"
    if _share_zero(structures):
        return "all relative to the same Fermi level"
    return "each relative to its own Fermi level"


def _distances(structures: Mapping[str, BandStructure], window: tuple[float, float]) -> str:
    """Mean distances of the other bands from the first ones within the window, as text."""
    (_, first), *others = structures.items()
    if not others:
        return ""
    zero = first.energies[0] - first.reference
    visible = (zero >= window[0]) & (zero <= window[1])
    if not visible.any():
        return ""
    distances = []
    for name, structure in others:
        energies = structure.energies[0] - structure.reference
        if energies.shape == zero.shape and np.isfinite(energies[visible]).all():
            distance = MEV * np.abs(energies - zero)[visible].mean()
            distances.append(f"{name} {distance:.1f} meV")
    return f"; mean distance from the first: {listed(distances)}" if distances else ""
