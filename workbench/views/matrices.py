"""Heat maps of matrices: blue below zero, white at zero, red above; the first orbital at the top.

A matrix with spin is drawn as its real parts, or as modulus and phase (`views.spin_panels`).
"""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.views.panels import (
    Scale,
    add_panel,
    axis_of,
    colour_bar,
    described,
    draw_borders,
    heat_map,
    side_of,
    words_of,
)
from workbench.views.spin_panels import PARTS, parts_of, shown
from workbench.views.spinors import all_parts, phases
from workbench.views.style import WIDEST, finished, number, round_limit


def heat(
    matrix: BlockMatrix,
    title: str = "Hamiltonian",
    limit: float | None = None,
    unit: str = "eV",
    scale: Scale = "linear",
    part: str | None = None,
) -> go.Figure:
    """One matrix as a heat map with borders between atoms; hover for orbitals and value.

    Args:
        matrix: of a molecule, or of a crystal, which is shown at k = 0.
        title: title of the figure.
        limit: largest value on the colour scale; by default a round number above all values. Use
            the same limit in figures that are compared.
        unit: unit of the values, "1" for an overlap.
        scale: "linear", or "log" for small elements; log is linear below a thousandth of the limit.
        part: for a matrix with spin a key of `views.spin_panels.PARTS`, or "complex" for modulus
            and phase; by default all parts, one heat map each.

    Raises:
        ValueError: for an unknown part.

    >>> from workbench import views
    >>> S = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").S
    >>> print(views.alt_text(views.heat(S, "Overlap", unit="1")))
    Overlap: a matrix between 7 orbitals of O1, H2 and H3. ...
    """
    if matrix.basis.spinor and part is None:
        return all_parts(matrix, title, limit, unit, scale)
    if matrix.basis.spinor and part is not None:
        title = f"{title}: {PARTS[part].title if part in PARTS else 'modulus and phase'}"
        matrix = shown(matrix, part)
    values = matrix.at_gamma()
    limit = limit if limit is not None else round_limit(matrix.max_abs())
    if matrix.basis.spinor:
        return phases(matrix, title, limit, unit, scale)
    figure = go.Figure(heat_map(matrix, values, limit, unit, scale))
    figure.update_traces(colorbar=colour_bar(limit, unit, scale))
    figure.update_xaxes(**axis_of(matrix), title="orbital of the column atom")
    figure.update_yaxes(**axis_of(matrix), title="orbital of the row atom", autorange="reversed")
    draw_borders(figure, matrix)
    side = side_of(matrix)
    return finished(figure, title, words_of(matrix, title, values, unit), side + 190, side + 150)


def compare(
    matrices: Mapping[str, BlockMatrix],
    reference: BlockMatrix,
    limit: float | None = None,
    limit_mev: float | None = None,
    scale: Scale = "log",
    part: str | None = None,
) -> go.Figure:
    """Reference and predictions side by side, with the difference in meV below each prediction.

    Args:
        matrices: name -> matrix of the same structure, eV.
        reference: the reference matrix, eV.
        limit: largest value on the colour scale of the upper row, eV; by default a round number.
        limit_mev: the same for the lower row, meV.
        scale: scale of the upper row; differences are always linear.
        part: for matrices with spin the real part to compare, a key of `views.spin_panels.PARTS`.

    Raises:
        ValueError: if there is no matrix, a matrix belongs to other atoms, or `part` is missing
            for matrices with spin.

    >>> from workbench import views
    >>> prediction = wb.load_model("water").predict(wb.load("water"))
    >>> figure = views.compare({"stage 1": prediction.baseline}, prediction.refined)
    >>> print(views.alt_text(figure))
    Matrices between 24 orbitals of O1, H2 and H3: stage 1 differs from the reference by ...
    """
    if not matrices:
        raise ValueError("There is no matrix to compare: give at least one, e.g. {'model': H}.")
    if reference.basis.spinor:
        if part not in PARTS:
            raise ValueError(
                "Matrices with spin are compared by parts: give part=, one of "
                f"{', '.join(parts_of(reference))}."
            )
        matrices = {name: shown(m, part) for name, m in matrices.items()}
        reference = shown(reference, part)
    differences = {name: (m - reference) * MEV for name, m in matrices.items()}
    limit = limit or round_limit(max(m.max_abs() for m in [reference, *matrices.values()]))
    limit_mev = limit_mev or round_limit(max(d.max_abs() for d in differences.values()))
    columns = len(matrices) + 1
    below = [f"{name} − reference" for name in matrices]
    figure = make_subplots(
        rows=2,
        cols=columns,
        subplot_titles=["reference", *matrices, *below],
        specs=[[{}] * columns, [None, *[{}] * (columns - 1)]],
        horizontal_spacing=0.12 / columns,
        vertical_spacing=0.14,
    )
    for k, matrix in enumerate([reference, *matrices.values()], start=1):
        add_panel(figure, matrix, (1, k), "coloraxis", limit, "eV", scale)
    for k, difference in enumerate(differences.values(), start=2):
        add_panel(figure, difference, (2, k), "coloraxis2", limit_mev, "meV", "linear")
    figure.update_yaxes(title="row atom", row=2, col=2)
    upper = colour_bar(limit, "eV", scale) | {"y": 0.79, "len": 0.46}
    lower = colour_bar(limit_mev, "meV", "linear") | {"y": 0.21, "len": 0.46}
    figure.update_layout(coloraxis_colorbar=upper, coloraxis2_colorbar=lower)
    side = min(340, (WIDEST - 190) // columns)
    errors = [
        f"{name} differs from the reference by {number(d.mae())} meV on average and "
        f"{number(d.max_abs())} meV at most"
        for name, d in differences.items()
    ]
    alt = f"Matrices between {described(reference)}: {'; '.join(errors)}."
    size = (side * columns + 190, 2 * side + 190)
    title = "Predictions and their differences"
    title += f": {PARTS[part].title}" if part in PARTS else ""
    return finished(figure, title, alt, *size)
