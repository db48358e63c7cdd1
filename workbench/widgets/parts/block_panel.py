"""One block of the Hamiltonian, enlarged, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from workbench.evaluation.orientation_comparison import REFERENCE, Snapshot
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.views.matrix_axes import atom_axis
from workbench.views.spin_panels import COMPLEX, PARTS, shown
from workbench.widgets.heat import Heat
from workbench.widgets.parts.choices import dropdown

_MINUS = " − reference"
_NARROW = 5  # a block with more columns shows its four parts in two rows


class BlockPanel:
    """Lists for row atom, column atom and quantity, and the block as a heat map with numbers.

    For a crystal the cell of the column atom is chosen as well, from the cells of the template.

    Args:
        template: any matrix of the atoms, for names and sizes.
        quantities: choices: "reference", predictors, "<predictor> − reference".
        on_pick: called with (i, j) when the user chooses a pair here.

    Attributes:
        box: the widget to show.
    """

    def __init__(
        self,
        template: BlockMatrix,
        quantities: Sequence[str],
        on_pick: Callable[[int, int], None],
    ):
        self._template, self._on_pick, self._setting = template, on_pick, False
        names = [f"{chemical_symbols[z]}{k + 1}" for k, z in enumerate(template.numbers)]
        atoms = [(name, k) for k, name in enumerate(names)]
        layout = {"width": "auto", "name_width": "96px"}
        self.row = dropdown(atoms, "row atom", "Atom of the block's rows", **layout)
        self.column = dropdown(atoms, "column atom", "Atom of the block's columns", **layout)
        self.cell = dropdown(
            [("0 0 0", (0, 0, 0))], "its cell", "Cell of the column atom", **layout
        )
        self.quantity = dropdown(
            list(quantities), "show", "Matrix that contains the block", **layout
        )
        self.caption = widgets.HTML()
        self.heat = Heat(template.block(0, 0), ["block"], show_values=True, max_size=0, digits=2)
        for atom in (self.row, self.column):
            atom.observe(self._picked, "value")
        self._offer_cells()
        if not template.shifts.any():
            self.cell.layout.display = "none"
        side = widgets.VBox([self.row, self.column, self.cell, self.quantity, self.caption])
        side.add_class("wb-block-side")
        self.box = widgets.HBox([side, self.heat])
        self.box.add_class("wb-block")

    @property
    def pair(self) -> tuple[int, int]:
        """Row atom and column atom."""
        return int(self.row.value or 0), int(self.column.value or 0)

    def set_pair(self, i: int, j: int) -> None:
        """Choose a pair without calling `on_pick`."""
        self._setting = True
        try:
            self.row.value, self.column.value = i, j
        finally:
            self._setting = False
        self._offer_cells()

    def show(
        self,
        snapshot: Snapshot,
        limit_ev: float,
        limit_mev: float,
        scale: str,
        parts: Sequence[str] = (COMPLEX,),
    ) -> None:
        """Show the chosen block at an orientation, with the colours of the large heat maps.

        Args:
            snapshot: the matrices at this orientation.
            limit_ev: largest value on the colour scale of matrices, eV.
            limit_mev: largest value on the colour scale of differences, meV.
            scale: "log" or "linear"; differences are always linear.
            parts: parts of a block with spin to show side by side (see
                `views.spin_panels.shown`); blocks without spin are shown unchanged.
        """
        i, j = self.pair
        name = str(self.quantity.value)
        is_difference = name.endswith(_MINUS)
        matrix = (
            snapshot.difference(name.removesuffix(_MINUS))
            if is_difference
            else snapshot.matrix(name)
        )
        if matrix is None:
            return
        cell = tuple(self.cell.value or (0, 0, 0))
        matrices = [shown(matrix, part) for part in parts]
        blocks = [_block(m, i, j, cell) for m in matrices]
        axes = (atom_axis(matrices[0], i), atom_axis(matrices[0], j))
        rows, columns = blocks[0].shape
        factors = [PARTS[part].factor for part in parts if part in PARTS]
        first = f"{axes[0]['atoms'][0]} | {axes[1]['atoms'][0]}: {name}"
        with self.heat.hold_sync():
            self.heat.factor = MEV if is_difference else 1.0
            self.heat.unit = "meV" if is_difference else "eV"
            self.heat.limit = limit_mev if is_difference else limit_ev
            self.heat.scale = "linear" if is_difference else scale
            self.heat.panel_height = 24 + max(19 * rows, 44)
            self.heat.across = 2 if len(blocks) > 1 and columns > _NARROW else 0
            self.heat.digits = max(2, 2 - int(np.floor(np.log10(self.heat.limit))))
            self.heat.titles = [first, *("" for _ in blocks[1:])]
            self.heat.show(blocks, axes=axes, notes=factors)
        kind = "on-site block" if i == j else "pair block"
        split = f", in {len(blocks)} real parts" if len(blocks) > 1 else ""
        self.caption.value = (
            f'<p class="wb-note">{kind}, {rows} × {columns} {self.heat.unit}{split}</p>'
        )

    def _offer_cells(self) -> None:
        """List the cells in which the chosen pair has a block, smallest indices first."""
        i, j = self.pair
        stored = (self._template.edges[0] == i) & (self._template.edges[1] == j)
        cells = sorted(map(tuple, self._template.shifts[stored].tolist()), key=_far)
        options = [(" ".join(map(str, T)), T) for T in cells or [(0, 0, 0)]]
        if list(self.cell.options) != options:
            self.cell.options = options
            self.cell.value = options[0][1]

    def _picked(self, _: object) -> None:
        if not self._setting:
            self._on_pick(*self.pair)


def _far(cell: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return sum(abs(n) for n in cell), cell


def _block(matrix: BlockMatrix, i: int, j: int, cell: tuple[int, ...]) -> NDArray[Any]:
    """The block of a pair; zero beyond the range of this matrix."""
    try:
        return matrix.block(i, j, cell)
    except KeyError:
        spins = 2 if matrix.basis.spinor else 1
        sizes = (spins * matrix.basis.n_orbitals(int(matrix.numbers[a])) for a in (i, j))
        return np.zeros(tuple(sizes), matrix.values.dtype)


def quantities_of(predictors: Sequence[str], has_reference: bool) -> list[str]:
    """The matrices that can be shown, by name."""
    if not has_reference:
        return list(predictors)
    return [REFERENCE, *predictors, *(name + _MINUS for name in predictors)]
