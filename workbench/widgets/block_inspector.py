"""BlockInspector: one pair's block, its irreps, and how it compares with all pairs of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from workbench.evaluation.orientation_comparison import Experiment, Predictor, Snapshot
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import along_z
from workbench.structures.loading import pair_vectors
from workbench.views.distance_plot import distance_plot
from workbench.views.irrep_bars import Irreps, component_bars, norm_bars, ordered, plain
from workbench.views.numbers import milli, orientation
from workbench.views.style import number, round_limit
from workbench.widgets.heat import Heat
from workbench.widgets.page import group, lab_style
from workbench.widgets.parts.block_panel import BlockPanel, quantities_of
from workbench.widgets.parts.choices import button, dropdown
from workbench.widgets.parts.experiment_lab import ExperimentLab
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.readout import heading
from workbench.widgets.parts.turning import Turning
from workbench.widgets.structure_view import StructureView

if TYPE_CHECKING:
    from workbench.engines import Reference

_DIFFERENCE = " − reference"


class BlockInspector(ExperimentLab):
    """The irreps of the block of a chosen pair of atoms while the structure is rotated.

    The lab shows the norms of all irreps of the block, which a rotation must not change; the
    components of the irreps of one pair of shells, which rotate; the numbers in the block; and the
    same norms for all pairs of the same two elements against their distance. The pair is chosen in
    the structure, in the heat map of the whole matrix, or from the lists.

    Args:
        atoms: the structure; its present orientation is R = 1.
        reference: `wb.reference(atoms)` or a dataset's reference, rotated as `D H D^T`; or None.
        model: as for `RotationLab`, or None.
        predictors: callables atoms -> BlockMatrix by name, e.g. one with a wrong orbital order.
        pair: initial row atom and column atom, counted from 0.

    Raises:
        ValueError: if there is nothing to show, the matrices have spin, or the reference belongs
            to other atoms.

    >>> atoms = wb.load("water")
    >>> reference = wb.reference(atoms, basis="sto-3g", xc="hf")
    >>> inspector = wb.BlockInspector(atoms, reference, pair=(0, 1))
    >>> inspector.turn_to(wb.rotation((1, 1, 0), 40))
    >>> key = ("2p", "1s", 1)  # 2p of O with 1s of H, l = 1
    >>> before, after = inspector.upright_irreps[key], inspector.irreps[key]
    >>> bool(np.allclose(before, after))
    False
    >>> bool(np.isclose(np.linalg.norm(before), np.linalg.norm(after)))
    True
    """

    def __init__(
        self,
        atoms: Atoms,
        reference: Reference | None = None,
        model: Any = None,
        predictors: Mapping[str, Predictor] | None = None,
        pair: tuple[int, int] = (0, 0),
    ):
        self.experiment = Experiment(atoms, model, reference, predictors)
        if self.experiment.template.basis.spinor:
            raise ValueError(
                "BlockInspector shows only matrices without spin: use RotationLab for spinors."
            )
        self.experiment.overlap = None  # without levels a rotation takes only milliseconds
        self.snapshot: Snapshot = self.experiment.at(np.eye(3))
        self.guard = Guard()
        self._first, self._pair = list(pair), list(pair)
        self._offering = False
        self._build()
        self._connect()
        super().__init__(self._layout(), "wb-inspector")
        self._pair_changed()

    # ---- also available from code ---------------------------------------------

    @property
    def irreps(self) -> Irreps:
        """(row shell, column shell, l) -> components (2l+1,) of the chosen block, eV."""
        return self._irreps(self._matrix(self.snapshot))

    @property
    def upright_irreps(self) -> Irreps:
        """The irreps of the chosen block at R = 1, as `irreps`."""
        return self._irreps(self._matrix(self.experiment.upright))

    def align(self) -> None:
        """Rotate the line between the two atoms onto the z axis, towards the viewer."""
        vector = pair_vectors(self.experiment.template, self.experiment.atoms)[self._edge()]
        if not vector.any():
            raise ValueError("An on-site block has no bond: choose two different atoms.")
        self.turn_to(along_z(vector))

    def reset(self) -> None:
        """Restore R = 1 and the first pair of atoms."""
        self.controls.reset()
        self.block.quantity.value = self.block.quantity.options[0]
        self.pick(*self._first)
        self.turn_to(np.eye(3))

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        self._style = lab_style("block_inspector")  # first, see `lab_style`
        experiment = self.experiment
        known = experiment.reference is not None
        template = experiment.template
        self._limit = round_limit(template.max_abs())
        self.view = StructureView(experiment.atoms, height=252, hint="drag, or arrow keys")
        self.turning = Turning(self.view, self.guard, self._show)
        self.controls = self.turning.controls
        self.map = Heat([template], ["whole matrix"], limit=self._limit, scale="log", max_size=400)
        self.block = BlockPanel(
            template, quantities_of(experiment.names, known), self.guard(self.pick)
        )
        tooltip = "Pair of shells whose components and distances are shown"
        self.shells = dropdown([("", None)], "shells", tooltip, "180px", name_width="48px")
        self.align_button = button(
            "bond along z", "Rotates the line between the two atoms onto z: you look along it"
        )
        self.reset_button = widgets.Button(description="Reset", tooltip="Restore the initial state")
        self.norms, self.components, self.said, self.distances = (widgets.HTML() for _ in range(4))

    def _connect(self) -> None:
        """Connect the callbacks; the guard shows their errors."""
        guard = self.guard
        for widget in (self.view, self.map):
            widget.observe(guard(lambda change: self.pick(*change["new"])), "pair")
        for choice in (self.block.quantity, self.block.cell):
            choice.observe(guard(lambda _: self._pair_changed()), "value")
        self.shells.observe(guard(lambda _: self._shells_chosen()), "value")
        self.align_button.on_click(guard(lambda _: self.align()))
        self.reset_button.on_click(guard(lambda _: self.reset()))

    def _layout(self) -> list[widgets.Widget]:
        """Structure left, irreps right; below them the block, then its place in the matrix."""
        title = widgets.HTML(heading(self.experiment))
        head = group(widgets.Box, "wb-head", [title, self.reset_button])
        left = group(widgets.VBox, "wb-left", [self.view, self.controls.box])
        choices = group(widgets.Box, "wb-shells", [self.shells, self.align_button])
        irrep_norms = [self.norms, choices, self.components, self.said]
        right = group(widgets.VBox, "wb-right", [group(widgets.VBox, "wb-xray", irrep_norms)])
        body = group(widgets.Box, "wb-body", [left, right])
        where = group(widgets.Box, "wb-where", [self.map, self.distances])
        return [self._style, head, self.guard.panel, body, self.block.box, where]

    # ---- reacting ---------------------------------------------------------------------------

    def _pair_changed(self) -> None:
        """Mark the chosen pair everywhere, and show its block."""
        for widget in (self.view, self.map):
            widget.pair = list(self._pair)
        self.block.set_pair(*self._pair)
        self._offer_shells()
        self._shells_changed()

    def _offer_shells(self) -> None:
        """List the shell pairs of this block; keep the chosen one, else choose 2p with 2p."""
        pairs = list(dict.fromkeys(key[:2] for key in ordered(self.upright_irreps)))
        options = [(f"{a} – {b}", (a, b)) for a, b in pairs]
        if list(self.shells.options) == options:
            return
        preferred = [self.shells.value, ("2p", "2p"), pairs[-1]]
        self._offering = True  # new options select their first entry for a moment
        try:
            self.shells.options = options
            self.shells.value = next(choice for choice in preferred if choice in pairs)
        finally:
            self._offering = False

    def _shells_chosen(self) -> None:
        if not self._offering:
            self._shells_changed()

    def _shells_changed(self) -> None:
        self._show_distances()
        self._repaint()

    def _repaint(self, tick: int = 0) -> None:
        """Send everything that depends on the orientation to the browser."""
        matrix = self._matrix(self.snapshot)
        now, before, chosen = self._irreps(matrix), self.upright_irreps, self._chosen()
        # Norm of the whole shell block: constant even if a predictor changes single norms.
        squares = [np.sum(values**2) for key, values in before.items() if key[:2] == chosen]
        limit = round_limit(float(np.sqrt(np.sum(squares))))
        self.norms.value = norm_bars(now, before, chosen, _pseudo(now))
        self.components.value = component_bars(now, before, chosen, limit)
        self.said.value = f'<p class="wb-said">{self._drift(now, before)}</p>'
        self.view.announcement = self._summary(now, before)
        self.map.show([matrix], tick=tick, notes=[str(self.block.quantity.value)])
        self.block.show(self.snapshot, self._limit, MEV * self._limit, "log")

    def _show_distances(self) -> None:
        from workbench.hamiltonians.irreps import xrays

        i, j = self._pair
        matrix = self._matrix(self.experiment.upright)
        row, column = (int(matrix.numbers[a]) for a in (i, j))
        blocks, norms = xrays(matrix, row, column)
        apart = np.linalg.norm(pair_vectors(matrix, self.experiment.atoms)[blocks], axis=1)
        a, b = self._chosen()
        kind = f"{chemical_symbols[row]}–{chemical_symbols[column]}"
        self.distances.value = distance_plot(
            apart,
            {l: values for (*shells, l), values in norms.items() if tuple(shells) == (a, b)},
            int(np.flatnonzero(blocks == self._edge(matrix))[0]),
            f"{a} with {b} in all {kind} blocks; this one ringed",
        )

    # ---- looking ----------------------------------------------------------------------------

    def _matrix(self, snapshot: Snapshot) -> BlockMatrix:
        """The matrix that contains the shown block, at an orientation."""
        name = str(self.block.quantity.value)
        if name.endswith(_DIFFERENCE):
            matrix = snapshot.difference(name.removesuffix(_DIFFERENCE))
        else:
            matrix = snapshot.matrix(name)
        return self.experiment.template if matrix is None else matrix

    def _irreps(self, matrix: BlockMatrix) -> Irreps:
        from workbench.hamiltonians.irreps import components

        i, j = self._pair
        irreps = components(matrix, i, j, self._cell())
        return {key: values[0] for key, values in irreps.items()}

    def _cell(self) -> tuple[int, ...]:
        return tuple(self.block.cell.value or (0, 0, 0))

    def _edge(self, matrix: BlockMatrix | None = None) -> int:
        """Index of the chosen block in a matrix's list of blocks."""
        H = self.experiment.template if matrix is None else matrix
        same = (H.edges == np.array(self._pair)[:, None]).all(axis=0)
        return int(np.flatnonzero(same & (H.shifts == self._cell()).all(axis=1))[0])

    def _chosen(self) -> tuple[str, str]:
        a, b = self.shells.value or ("1s", "1s")
        return a, b

    def _drift(self, now: Irreps, before: Irreps) -> str:
        """Changes of norms and components since R = 1, and the errors of the symmetry laws."""
        norms, components = _moved(now, before)
        drift = (
            f"Since R = 1 (all shells): norms changed by at most <b>{number(norms)} eV</b>, "
            f"components by at most <b>{number(components)} eV</b>."
        )
        name = str(self.block.quantity.value)
        if name not in self.snapshot.symmetry:
            return drift
        (mean, largest), (inverted_mean, inverted_largest) = (
            (milli(e.mae_mev), milli(e.max_mev))
            for e in (self.snapshot.symmetry[name], self.experiment.inversion[name])
        )
        return (
            f"{drift} The rotation law is violated by <b>{mean} meV</b> on average and "
            f"{largest} meV at most; inversion by <b>{inverted_mean} meV</b> on average and "
            f"{inverted_largest} meV at most."
        )

    def _summary(self, now: Irreps, before: Irreps) -> str:
        """Text equivalent of the pictures in two sentences, for `aria-live`."""
        i, j = self._pair
        a, b = self._chosen()
        names = [f"{chemical_symbols[self.experiment.atoms.numbers[k]]}{k + 1}" for k in (i, j)]
        irreps = {key[2]: values for key, values in now.items() if key[:2] == (a, b)}
        norms = ", ".join(
            f"{plain(float(np.linalg.norm(irreps[l])))} for l = {l}" for l in sorted(irreps)
        )
        changes = [plain(value) for value in _moved(now, before)]
        return (
            f"Structure {orientation(self.rotation)}. Block {names[0]} with {names[1]}, {a} with "
            f"{b}: norms in eV {norms}. Since R = 1 norms changed by at most {changes[0]} eV, "
            f"components by at most {changes[1]} eV."
        )


def _moved(now: Irreps, before: Irreps) -> tuple[float, float]:
    """Largest change of a norm, and of a component."""
    norm = np.linalg.norm
    norms = max(abs(float(norm(now[key]) - norm(before[key]))) for key in now)
    return norms, max(float(np.abs(now[key] - before[key]).max()) for key in now)


def _pseudo(irreps: Irreps) -> set[tuple[str, str, int]]:
    from workbench.hamiltonians.irreps import is_pseudo

    return {key for key in irreps if is_pseudo(key)}
