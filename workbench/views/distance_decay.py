"""Decay of the blocks of a Hamiltonian, and of their irreps, with the distance of the atoms."""

from __future__ import annotations

from itertools import product

import numpy as np
import plotly.graph_objects as go
from ase import Atoms
from numpy.typing import NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.irreps import is_pseudo, xrays
from workbench.structures.loading import pair_vectors
from workbench.views.style import COLOURS, LEGEND_ABOVE, finished, log_ticks, number

__all__ = ["decay", "irrep_decay", "norms_by_degree"]

_FLOOR = 1e-9  # relative to the largest block; smaller blocks are not drawn
_LOWEST = 1e-3  # eV; smaller norms are unimportant, or rounding errors
_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")


def decay(matrix: BlockMatrix, atoms: Atoms, unit: str = "eV") -> go.Figure:
    """The norm of each block, which a rotation does not change, against the distance of its atoms.

    Args:
        matrix: matrix of these atoms; a crystal's neighbours in other cells are included.
        atoms: positions and cell in A.
        unit: unit of the matrix.

    Raises:
        ValueError: if the matrix belongs to other atoms.

    >>> from workbench import views
    >>> atoms = wb.load("water")
    >>> H = wb.load_model("water").predict(atoms).refined
    >>> print(views.alt_text(views.decay(H, atoms)))
    The norm of 9 blocks falls from ...
    """
    if not np.array_equal(matrix.numbers, atoms.numbers):
        raise ValueError(
            "The matrix and the atoms do not belong to each other: give the atoms of the matrix."
        )
    distances, suffix = _distances(matrix, atoms), _suffix(unit)
    sizes = np.linalg.norm(matrix.values, axis=(1, 2))  # Frobenius norm
    visible = sizes > _FLOOR * sizes.max()
    low, high = sizes[visible].min(), sizes.max()
    names = [f"{i + 1}–{j + 1} in cell {tuple(T)}" for i, j, T in _addresses(matrix, visible)]
    figure = go.Figure(
        go.Scatter(
            x=distances[visible],
            y=sizes[visible],
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
        f"The norm of {visible.sum()} blocks falls from {number(high)}{suffix} on one atom "
        f"to {number(low)}{suffix} at {distances[visible].max():.1f} Å; beyond {far:.1f} Å all are "
        "below a thousandth of the largest."
    )
    return finished(figure, "Decay of the blocks with distance", alt, 720, 420)


def irrep_decay(matrix: BlockMatrix, atoms: Atoms, unit: str = "eV") -> go.Figure:
    """Norm of all irreps of each l in each block, against the distance of its atoms.

    True tensors and pseudo-tensors are drawn separately. Pseudo-tensors vanish where the block has
    mirror planes that contain its axis, so they show the influence of third atoms.

    Args:
        matrix: real, or with spin.
        atoms: positions and cell in A.
        unit: unit of the matrix.
    """
    distances, suffix = _distances(matrix, atoms), _suffix(unit)
    norms = norms_by_degree(matrix)
    figure = go.Figure()
    for (l, pseudo), sizes in sorted(norms.items()):
        visible = sizes > _LOWEST
        figure.add_scatter(
            x=distances[visible],
            y=sizes[visible],
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
    title = "Irreps of all blocks against distance"
    return finished(figure, title, alt, 900, 480, legend=LEGEND_ABOVE, margin={"t": 120})


def norms_by_degree(matrix: BlockMatrix) -> dict[tuple[int, bool], NDArray[np.float64]]:
    """(l, is pseudo-tensor) -> norm (E,) over all such irreps of each block, unit of the matrix."""
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


def _distances(matrix: BlockMatrix, atoms: Atoms) -> NDArray[np.float64]:
    """Distance of the two atoms of each block (E,), A."""
    return np.linalg.norm(pair_vectors(matrix, atoms), axis=1)


def _suffix(unit: str) -> str:
    """The unit after a number; empty for an overlap."""
    return "" if unit == "1" else f" {unit}"


def _addresses(matrix: BlockMatrix, visible: NDArray[np.bool_]) -> list[tuple[int, int, list[int]]]:
    edges, shifts = matrix.edges[:, visible].T.tolist(), matrix.shifts[visible].tolist()
    return [(i, j, T) for (i, j), T in zip(edges, shifts, strict=True)]
