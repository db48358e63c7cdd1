"""How the blocks of a Hamiltonian fade as their atoms move apart."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from ase import Atoms
from numpy.typing import NDArray

from workbench.matrices import BlockMatrix
from workbench.structures import pair_vectors
from workbench.views.look import COLOURS, finished, log_ticks, number

_FLOOR = 1e-9  # of the largest; a logarithm has no place for zero


def decay(matrix: BlockMatrix, atoms: Atoms, unit: str = "eV") -> go.Figure:
    """The norm of each block, which no rotation changes, against the distance of its two atoms.

    Args:
        matrix: of these atoms; a crystal's neighbours in other cells count like all others.
        atoms: positions and cell in A.
        unit: of the matrix.

    Raises:
        ValueError: for a matrix of other atoms.
    """
    if not np.array_equal(matrix.numbers, atoms.numbers):
        raise ValueError("The matrix belongs to other atoms than these.")
    distances = np.linalg.norm(pair_vectors(matrix, atoms), axis=1)
    sizes = np.linalg.norm(matrix.values, axis=(1, 2))  # Frobenius: the root of all squares' sum
    shown = sizes > _FLOOR * sizes.max()
    low, high = sizes[shown].min(), sizes.max()
    suffix = "" if unit == "1" else f" {unit}"
    names = [f"{i + 1}–{j + 1} in cell {tuple(T)}" for i, j, T in _addresses(matrix, shown)]
    figure = go.Figure(
        go.Scatter(
            x=distances[shown],
            y=sizes[shown],
            mode="markers",
            text=names,
            marker={"size": 7, "color": COLOURS[0], "opacity": 0.6},
            hovertemplate=f"atoms %{{text}}<br>%{{x:.2f}} Å<br><b>%{{y:.3g}}{suffix}</b>",
        )
    )
    figure.update_xaxes(title="distance of the two atoms in Å", rangemode="tozero")
    figure.update_yaxes(title=f"norm of the block in {unit}", **log_ticks(low / 2, high * 2))
    far = distances[sizes > 1e-3 * high].max()
    alt = (
        f"The norm of {shown.sum()} blocks falls from {number(high)}{suffix} on one atom "
        f"to {number(low)}{suffix} at {distances[shown].max():.1f} Å; beyond {far:.1f} Å all are "
        "below a thousandth of the largest."
    )
    return finished(figure, "How blocks fade with distance", alt, 720, 420)


def _addresses(matrix: BlockMatrix, shown: NDArray[np.bool_]) -> list[tuple[int, int, list[int]]]:
    edges, shifts = matrix.edges[:, shown].T.tolist(), matrix.shifts[shown].tolist()
    return [(i, j, T) for (i, j), T in zip(edges, shifts, strict=True)]
