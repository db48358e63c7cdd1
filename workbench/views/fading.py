"""Which irreps of a Hamiltonian are large, on one atom, along a bond, and far apart."""

from __future__ import annotations

from itertools import product

import numpy as np
import plotly.graph_objects as go
from ase import Atoms
from numpy.typing import NDArray

from workbench.irreps import is_pseudo, xrays
from workbench.matrices import BlockMatrix
from workbench.structures import pair_vectors
from workbench.views.look import COLOURS, LEGEND_ABOVE, finished, log_ticks, number

__all__ = ["irrep_decay", "norms_by_degree"]

_LOWEST = 1e-3  # eV; smaller ones are of no importance, or rounding
_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")


def irrep_decay(matrix: BlockMatrix, atoms: Atoms, unit: str = "eV") -> go.Figure:
    """Norm of all irreps of one l in each block against the distance of its atoms.

    True tensors and pseudo-tensors are apart: these vanish where a block has mirrors along its
    axis, so that they tell of third atoms.

    Args:
        matrix: real, or with spin.
        atoms: positions and cell in A.
        unit: of the matrix.
    """
    distances = np.linalg.norm(pair_vectors(matrix, atoms), axis=1)
    norms = norms_by_degree(matrix)
    figure = go.Figure()
    for (l, pseudo), sizes in sorted(norms.items()):
        shown = sizes > _LOWEST
        suffix = "" if unit == "1" else f" {unit}"
        figure.add_scatter(
            x=distances[shown],
            y=sizes[shown],
            mode="markers",
            name=f"l = {l}, pseudo" if pseudo else f"l = {l}",
            showlegend=True,
            marker={
                "size": 9,
                "opacity": 0.75,
                "color": COLOURS[l % len(COLOURS)],
                "symbol": _SHAPES[l % len(_SHAPES)] + ("-open" if pseudo else ""),
            },
            hovertemplate=f"%{{x:.2f}} Å<br><b>%{{y:.3g}}{suffix}</b>",
        )
    high = max(float(sizes.max()) for sizes in norms.values())
    figure.update_xaxes(title="distance of the two atoms in Å")
    figure.update_yaxes(title=f"norm in {unit}", **log_ticks(_LOWEST, 2 * high))
    alt = (
        f"Norms of {len(norms)} kinds of irreps in {len(distances)} blocks. Largest true and "
        f"pseudo norm on one atom: {_largest(norms, ~matrix.off_site, unit)}; between two atoms: "
        f"{_largest(norms, matrix.off_site, unit)}."
    )
    title = "Irreps of all blocks by distance"
    return finished(figure, title, alt, 900, 480, legend=LEGEND_ABOVE, margin={"t": 120})


def norms_by_degree(matrix: BlockMatrix) -> dict[tuple[int, bool], NDArray[np.float64]]:
    """(l, whether pseudo) -> norm (E,) over all such irreps of each block, in the matrix's unit."""
    squares: dict[tuple[int, bool], NDArray[np.float64]] = {}
    for row, column in product(np.unique(matrix.numbers), repeat=2):
        blocks, norms = xrays(matrix, int(row), int(column))
        for key, values in norms.items():
            kind = key[2], is_pseudo(key)
            squares.setdefault(kind, np.zeros(matrix.edges.shape[1]))[blocks] += values**2
    return {kind: np.sqrt(values) for kind, values in squares.items()}


def _largest(
    norms: dict[tuple[int, bool], NDArray[np.float64]], blocks: NDArray[np.bool_], unit: str
) -> str:
    most = {False: 0.0, True: 0.0}
    for (_, pseudo), values in norms.items():
        most[pseudo] = max(most[pseudo], float(values[blocks].max(initial=0.0)))
    return " and ".join(f"{number(m if m > 1e-10 else 0)} {unit}" for m in most.values())
