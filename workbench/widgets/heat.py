"""Heat maps: blue below zero, white at zero, red above zero; one scale for all panels.

The hue of a complex matrix shows the phase, and its lightness the modulus.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.views.matrix_axes import Axis, atom_axis, plain_axis
from workbench.views.style import round_limit
from workbench.widgets.page import ClosedOnRerun

_STATIC = Path(__file__).parent / "static"

Matrix = BlockMatrix | ArrayLike


class Heat(ClosedOnRerun, anywidget.AnyWidget):
    """One or several matrices of equal shape side by side, on one fixed symmetric colour scale.

    The first row is at the top. Hovering over a cell shows its value in all panels; a click selects
    the block of two atoms (`pair`). Values beyond `limit` have the outermost colour.

    Args:
        matrices: `BlockMatrix` or arrays (n, m), real or complex; a crystal is shown at k = 0. None
            leaves a panel empty. For the real parts of a matrix with spin see `views.spin_panels`.
        titles: one per panel.
        limit: largest value on the colour scale, in `unit`; by default a round number above all
            values.
        unit: unit of the numbers.
        factor: factor applied to the values before they are shown, e.g. 1000 from eV to meV.
        settings: any other trait: scale ("linear" or "log"; log is linear below a thousandth of the
            limit), digits, across (panels per row), show_values, and in pixels panel_height (0:
            square) and max_size of a panel (0: no limit).

    >>> S = wb.reference(wb.load("water"), basis="sto-3g", xc="hf").S
    >>> heat = wb.Heat(S, titles=["overlap"], unit="")
    >>> heat.painted().shape, heat.columns["orbitals"][:3]
    ((1, 7, 7), ['1s', '2s', '2py'])
    """

    _esm = _STATIC / "heat.js"
    _css = _STATIC / "heat.css"

    shape = traitlets.List(traitlets.Int(), default_value=[0, 0, 0]).tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    phases = traitlets.Bool(False).tag(sync=True)  # whether values are complex
    sequence = traitlets.Int(0).tag(sync=True)
    tick = traitlets.Int(0).tag(sync=True)
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)
    notes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    columns = traitlets.Dict().tag(sync=True)
    pair = traitlets.List(traitlets.Int(), default_value=[]).tag(sync=True)
    limit = traitlets.Float(1.0).tag(sync=True)
    scale = traitlets.Enum(["linear", "log"], default_value="linear").tag(sync=True)
    unit = traitlets.Unicode("eV").tag(sync=True)
    digits = traitlets.Int(3).tag(sync=True)
    across = traitlets.Int(0).tag(sync=True)
    panel_height = traitlets.Int(0).tag(sync=True)
    max_size = traitlets.Int(480).tag(sync=True)
    show_values = traitlets.Bool(False).tag(sync=True)
    hint = traitlets.Unicode("Point at a cell to read its value.").tag(sync=True)

    def __init__(
        self,
        matrices: Matrix | Sequence[Matrix | None],
        titles: Sequence[str] = (),
        *,
        limit: float | None = None,
        unit: str = "eV",
        factor: float = 1.0,
        **settings: Any,
    ):
        self.factor = factor
        super().__init__(unit=unit, **settings)
        panels = _panels(matrices)
        self.titles = list(titles) or ["" for _ in panels]
        if len(self.titles) != len(panels):
            raise ValueError(f"Give one title per matrix: {len(panels)}, not {len(self.titles)}.")
        self.show(panels)
        self.limit = limit if limit is not None else round_limit(self._largest())

    def show(
        self,
        matrices: Matrix | Sequence[Matrix | None],
        *,
        tick: int = 0,
        notes: Sequence[str] | None = None,
        axes: tuple[Axis, Axis] | None = None,
    ) -> None:
        """Show other matrices; the colour scale does not change.

        Args:
            matrices: one per title, all of one shape; None leaves a panel empty.
            tick: the browser's message number that these matrices answer; the browser returns it
                after painting.
            notes: a short remark per panel, shown after its title.
            axes: names of rows and columns of matrices that are arrays (see `atom_axis`).

        Raises:
            ValueError: if the number of matrices is not the number of panels, or shapes differ.
        """
        panels = _panels(matrices)
        arrays = [None if p is None else _dense(p) for p in panels]
        shapes = {a.shape for a in arrays if a is not None}
        if len(panels) != len(self.titles) or len(shapes) > 1:
            raise ValueError(
                f"Heat shows {len(self.titles)} matrices of one shape; got {len(panels)} of shapes "
                f"{sorted(shapes)}."
            )
        n, m = shapes.pop() if shapes else tuple(self.shape[1:])
        phases = any(np.iscomplexobj(a) for a in arrays if a is not None)
        kind = np.complex64 if phases else np.float32
        stack = np.full((len(panels), n, m), np.nan, dtype=kind)
        for k, array in enumerate(arrays):
            if array is not None:
                stack[k] = self.factor * array
        with self.hold_sync():
            self.shape = [len(panels), n, m]
            self.values = stack.tobytes()
            self.phases = phases
            self.sequence += 1
            self.tick = tick
            if notes is not None:
                self.notes = list(notes)
            self.rows, self.columns = axes or self._axes(panels, n, m)

    def painted(self) -> NDArray[Any]:
        """The numbers that are shown, (panels, n, m) in `unit`; NaN where a panel is empty."""
        kind = np.complex64 if self.phases else np.float32
        return np.frombuffer(self.values, dtype=kind).reshape(self.shape)

    def _axes(self, panels: Sequence[Matrix | None], n: int, m: int) -> tuple[Axis, Axis]:
        """Rows and columns of these panels; arrays of the present shape keep the present names."""
        known = next((p for p in panels if isinstance(p, BlockMatrix)), None)
        if known is not None:
            return atom_axis(known), atom_axis(known)
        if [len(a.get("orbitals", ())) for a in (self.rows, self.columns)] == [n, m]:
            return self.rows, self.columns
        return plain_axis(n), plain_axis(m)

    def _largest(self) -> float:
        finite = self.painted()[np.isfinite(self.painted())]
        return float(np.abs(finite).max(initial=0.0))


def _panels(matrices: Matrix | Sequence[Matrix | None]) -> list[Matrix | None]:
    """One matrix or several as a list of panels."""
    if isinstance(matrices, BlockMatrix):
        return [matrices]
    if isinstance(matrices, np.ndarray) and matrices.ndim == 2:
        return [matrices]
    return list(matrices)  # type: ignore[arg-type]


def _dense(matrix: Matrix) -> NDArray[Any]:
    """A matrix as an array (n, m); a crystal's at k = 0."""
    array = matrix.at_gamma() if isinstance(matrix, BlockMatrix) else np.asarray(matrix)
    if array.ndim != 2:
        raise ValueError(f"Heat shows matrices (n, m), not an array of shape {array.shape}.")
    return array
