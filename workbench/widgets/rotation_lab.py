"""RotationLab: rotate a structure; the Hamiltonian, both predictions and their errors follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
from ase import Atoms

from workbench.evaluation.orientation_comparison import REFERENCE, Experiment, Predictor, Snapshot
from workbench.evaluation.rotation_errors import STAGE_NAMES
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.rotations import rotation
from workbench.views.level_picture import level_picture
from workbench.views.page import write_page
from workbench.views.spin_panels import shown
from workbench.widgets.heat import Heat
from workbench.widgets.page import group, lab_style
from workbench.widgets.parts.block_panel import BlockPanel, quantities_of
from workbench.widgets.parts.check_panel import CheckPanel
from workbench.widgets.parts.experiment_lab import ExperimentLab
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.readout import error_table, heading, summary
from workbench.widgets.parts.spin_choice import SpinChoice, family_of, limits_of
from workbench.widgets.parts.turning import Turning
from workbench.widgets.structure_view import StructureView

if TYPE_CHECKING:
    from workbench.evaluation.self_consistency import Check

_AGAINST_REFERENCE = "to the reference"
_AGAINST_ROTATED = "to the rotated prediction"
_STEP = 0.05  # decades, of the colour sliders
_RECOMPUTE = "Recompute reference with {} here"


class RotationLab(ExperimentLab):
    """A structure that the user rotates by hand; every prediction is recomputed as it rotates.

    The lab shows heat maps of the reference Hamiltonian, of each stage's prediction and of their
    differences; the errors in meV; the orbital energies, which a rotation must not change; and the
    block of a chosen pair of atoms. A matrix with spin is shown as one real part, or as modulus and
    phase. The reference is rotated as `D H D^T` (dagger for spinors). A button recomputes it with
    its program at the present orientation, which also measures how well the program itself obeys
    the rotation law. The errors under inversion, x -> -x, are measured once, in the original
    orientation, and stand beside those of the rotation. For a molecule and a calibrated model,
    another button estimates the error of the prediction without the reference.

    Args:
        atoms: the structure; its present orientation is R = 1.
        model: an object with `predict(atoms)` (both stages), a callable atoms -> BlockMatrix, or
            None.
        reference: `wb.reference(atoms)`, or None.
        predictors: further callables atoms -> BlockMatrix by name, e.g. a deliberately wrong one.

    Raises:
        ValueError: if there is nothing to show, the reference belongs to other atoms, or only some
            matrices have spin.

    >>> lab = wb.RotationLab(wb.load("water"), model=wb.load_model("water"))
    >>> lab.turn_to(wb.rotation((1, 1, 0), 40))
    >>> error = lab.snapshot.symmetry["refined"]  # f(R x) against D f(x) D^T
    >>> error.mae_mev < 0.01
    True
    """

    def __init__(
        self,
        atoms: Atoms,
        model: Any = None,
        reference: Any = None,
        predictors: Mapping[str, Predictor] | None = None,
    ):
        self.experiment = Experiment(atoms, model, reference, predictors)
        self.snapshot: Snapshot = self.experiment.upright
        self.guard = Guard()
        self._pair = [0, min(1, len(atoms) - 1)]
        self._build()
        self._connect()
        super().__init__(self._layout())
        self._mark_pair()
        self._repaint()

    # ---- also available from code ---------------------------------------------

    def recompute(self) -> None:
        """Run the reference's program at the present orientation and show the matrix."""
        program = self.experiment.program
        self.button.description, self.button.disabled = f"{program} is computing …", True
        try:
            self.experiment.recompute(self.rotation)
        finally:
            self.button.description = _RECOMPUTE.format(program)
            self.button.disabled = False
        self._show(self.rotation)

    def check(self) -> Check:
        """Estimate the error of the prediction at the present orientation without the reference.

        The estimates are scalars, so they stay while the structure rotates.

        Raises:
            ValueError: for a crystal or a model without a calibration.
        """
        if self.check_panel is None:
            raise ValueError(
                "The error is estimated for a molecule and a model with a calibration: make one "
                "with `python -m workbench calibrate`."
            )
        return self.check_panel.run(self.snapshot)

    def save_html(self, path: str | Path) -> Path:
        """Write a page that anyone can open: one HTML file, without Python and network.

        The molecule is dragged as here. The page computes the matrices of both stages of a
        `TwoStageModel`, their errors and the levels itself, from the orientation R = 1; predictors
        that are Python functions are left out, and the page says so.

        Args:
            path: the file to write; it has below 5 MB.

        Raises:
            PageError: for a crystal, matrices with spin, or nothing that a page can compute.

        >>> import tempfile
        >>> lab = wb.RotationLab(wb.load("water"), wb.load_model("water"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lab.save_html(f"{folder}/water.html").stat().st_size < 5_000_000
        True
        """
        return write_page(path, self.experiment)

    @property
    def checked(self) -> Check | None:
        """The result of the last `check`, or None."""
        return None if self.check_panel is None else self.check_panel.checked

    def reset(self) -> None:
        """Restore R = 1, the first pair of atoms and the initial colour limits."""
        self.controls.reset()
        self._limits = [dict(first) for first in self._first_limits]
        self.spin.buttons.index = 0
        self._offer_limits()
        self.scale.value = "log"
        self.against.value = self.against.options[0]
        self.pick(0, min(1, len(self.experiment.atoms) - 1))
        self.turn_to(np.eye(3))

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        self._style = lab_style()  # first, see `lab_style`
        experiment = self.experiment
        names, known = experiment.names, experiment.reference is not None
        # The colour limits come from a rotated structure: at R = 1 there is no equivariance error.
        rotated = experiment.at(rotation((1, 1, 0), 40))
        self.spin = SpinChoice(rotated.matrices)
        self._first_limits = [
            limits_of(rotated.matrices, self.spin.names),  # eV, by family of parts
            # A third of the largest error, in meV: a few elements exceed the limit, and the many
            # small ones are visible. A deliberately wrong predictor may exceed it everywhere.
            limits_of(_errors(rotated, experiment.model_names or names), self.spin.names, MEV / 3),
        ]
        self._limits = [dict(first) for first in self._first_limits]
        self.view = StructureView(experiment.atoms, height=252, hint="drag, or arrow keys")
        self.turning = Turning(self.view, self.guard, self._show)
        self.controls = self.turning.controls
        columns = [REFERENCE, *names] if known else names
        limit, error_limit = self._colours
        self.matrices = Heat(
            [None for _ in columns], columns, limit=limit, scale="log", max_size=400
        )
        self.differences = Heat(
            [None for _ in names] or [None],
            [*names] or [""],
            limit=error_limit,
            unit="meV",
            factor=MEV,
            hint="",
        )
        self.errors, self.levels = widgets.HTML(), widgets.HTML()
        self.block = BlockPanel(
            experiment.template, quantities_of(names, known), self.guard(self.pick)
        )
        self.limit = _log_slider(
            "colours ± eV", limit, self._limits[0], "Largest value on the colour scale, eV"
        )
        self.error_limit = _log_slider(
            "errors ± meV", error_limit, self._limits[1], "Largest error on the colour scale, meV"
        )
        self.scale = _choice(["log", "linear"], "Colour scale of the matrices")
        options = [_AGAINST_REFERENCE, _AGAINST_ROTATED] if known else [_AGAINST_ROTATED]
        self.against = _choice(options, "Matrix from which the predictions are subtracted")
        self.button = widgets.Button(
            description=_RECOMPUTE.format(experiment.program),
            tooltip="Runs at this orientation, seconds to minutes; also measures the DFT floor",
            layout=widgets.Layout(width="auto"),
        )
        self.check_panel = CheckPanel(experiment) if CheckPanel.applies(experiment) else None
        self.reset_button = widgets.Button(description="Reset", tooltip="Restore the initial state")

    def _connect(self) -> None:
        """Connect the callbacks; the guard shows their errors."""
        guard = self.guard
        for widget in (self.view, self.matrices, self.differences):
            widget.observe(guard(lambda change: self.pick(*change["new"])), "pair")
        for control in (self.limit, self.error_limit, self.scale):
            control.observe(guard(lambda _: self._recolour()), "value")
        self.against.observe(guard(lambda _: self._repaint()), "value")
        self.spin.buttons.observe(guard(lambda _: self._part_chosen()), "value")
        for choice in (self.block.quantity, self.block.cell):
            choice.observe(guard(lambda _: self._show_block()), "value")
        self.button.on_click(guard(lambda _: self.recompute()))
        if self.check_panel is not None:
            self.check_panel.button.on_click(guard(lambda _: self.check()))
        self.reset_button.on_click(guard(lambda _: self.reset()))

    def _layout(self) -> list[widgets.Widget]:
        """Structure and numbers on the left, heat maps on the right, the chosen block below."""
        known = self.experiment.reference is not None
        title = widgets.HTML(heading(self.experiment))
        choice: list[widgets.Widget] = []
        if known and self.experiment.names:
            choice = [widgets.Label("differences"), self.against]
        head = group(widgets.Box, "wb-head", [title, *choice, self.reset_button])
        left = [self.view, self.controls.box, self.errors, *([self.button] if known else [])]
        colours = [self.limit, self.scale, self.error_limit]
        right = [self.matrices, self._lower(), group(widgets.Box, "wb-colours", colours)]
        right += [] if self.check_panel is None else [self.check_panel.box]
        columns = [group(widgets.VBox, "wb-left", left), group(widgets.VBox, "wb-right", right)]
        columns[0].add_class("wb-numbers")  # wide enough for the table of errors
        body = group(widgets.Box, "wb-body", columns)
        return [self._style, head, self.spin.box, self.guard.panel, body, self.block.box]

    def _lower(self) -> widgets.Box:
        """Levels and differences in one row; in two rows for more than two predictions."""
        count = len(self.experiment.names)
        boxes: list[widgets.DOMWidget] = []
        if self.experiment.overlap is not None:
            boxes.append(self.levels)
        if count:
            boxes.append(group(widgets.VBox, "wb-differences", [self.differences]))
        if count > 2:
            return group(widgets.VBox, "wb-stacked", boxes[::-1])
        self.levels.layout.flex = "1 1 240px"
        boxes[-1].layout.flex = f"{max(count, 1)} 1 {max(200 * count, 240)}px"
        return group(widgets.Box, "wb-lower", boxes)

    # ---- reacting ---------------------------------------------------------------------------

    def _repaint(self, tick: int = 0) -> None:
        """Send the present snapshot to the browser."""
        snapshot, known = self.snapshot, self.snapshot.reference is not None
        names = [REFERENCE, *self.experiment.names] if known else self.experiment.names
        notes = [
            self._reference_note() if n == REFERENCE else STAGE_NAMES.get(n, "") for n in names
        ]
        matrices = [shown(matrix, self.spin.part) for matrix in snapshot.matrices]
        self.matrices.show(matrices, tick=tick, notes=notes)
        if self.spin.names:
            self.spin.describe(names[0], snapshot.matrices[0])
        self._show_differences(tick)
        drift = self.experiment.drift_mev(snapshot)
        inversion = self.experiment.inversion
        self.errors.value = error_table(
            snapshot, inversion, self.experiment.floor, self.experiment.program
        )
        if snapshot.levels:
            self.levels.value = level_picture(
                snapshot.levels,
                self.experiment.upright.levels,
                self.experiment.n_occupied,
                drift,
                spinor=self.experiment.template.basis.spinor,
            )
        self.view.announcement = summary(snapshot, inversion, drift)
        self._show_block()

    def _show_differences(self, tick: int) -> None:
        names = self.experiment.names
        if not names:
            return
        to_reference = self.against.value == _AGAINST_REFERENCE
        against = REFERENCE if to_reference else "turned"
        titles = [f"{n} − reference" if to_reference else f"{n} − rotated {n}" for n in names]
        if titles != list(self.differences.titles):
            self.differences.titles = titles
            self.differences.hint = (
                "Prediction minus reference." if to_reference else "f(Rx) − D f(x) Dᵀ"
            )
        differences = [self.snapshot.difference(n, against) for n in names]
        panels = [None if d is None else shown(d, self.spin.part) for d in differences]
        self.differences.show(panels, tick=tick)

    def _show_block(self) -> None:
        self.block.set_pair(*self._pair)
        scale = str(self.scale.value)
        self.block.show(self.snapshot, *self._colours, scale, self.spin.block_parts)

    def _reference_note(self) -> str:
        if not self.snapshot.recomputed:
            return "rotated: D H D†" if self.spin.names else "rotated: D H Dᵀ"
        floor = self.experiment.floor
        return f"recomputed here, {floor.seconds:.1f} s" if floor else "recomputed here"

    def _part_chosen(self) -> None:
        self._offer_limits()
        self._repaint()

    def _offer_limits(self) -> None:
        """Set the sliders to the limits that the user last chose for this family of parts."""
        for slider, value in zip((self.limit, self.error_limit), self._colours, strict=True):
            slider.value = value

    @property
    def _colours(self) -> tuple[float, float]:
        """Colour limits of the matrices, eV, and of the differences, meV."""
        matrices, errors = (limits[family_of(self.spin.part)] for limits in self._limits)
        return matrices, errors

    def _recolour(self) -> None:
        family = family_of(self.spin.part)
        for slider, limits in zip((self.limit, self.error_limit), self._limits, strict=True):
            # The browser echoes our value rounded to the slider's step; this is not a user action.
            if abs(np.log10(slider.value / limits[family])) > 0.51 * _STEP:
                limits[family] = slider.value
        self.matrices.limit, self.differences.limit = self._colours
        self.matrices.scale = str(self.scale.value)
        self._show_block()

    def _pair_changed(self) -> None:
        self._mark_pair()
        self._show_block()

    def _mark_pair(self) -> None:
        for widget in (self.view, self.matrices, self.differences):
            widget.pair = list(self._pair)


def _errors(snapshot: Snapshot, predictors: Sequence[str]) -> list[BlockMatrix]:
    """Differences of the predictions from the reference and from their rotated predictions."""
    differences = [
        snapshot.difference(n, against) for n in predictors for against in (REFERENCE, "turned")
    ]
    return [d for d in differences if d is not None]


def _log_slider(
    name: str, value: float, limits: Mapping[str, float], tooltip: str
) -> widgets.FloatLogSlider:
    """A slider from a thousandth of the smallest initial limit to ten times the largest.

    Its range never changes: if it did, the browser would clip the value and send it back.
    """
    return widgets.FloatLogSlider(
        value=value,
        min=float(np.log10(min(limits.values()))) - 3,
        max=float(np.log10(max(limits.values()))) + 1,
        step=_STEP,
        description=name,
        tooltip=tooltip,
        readout_format=".3r",
        continuous_update=True,
        style={"description_width": "94px"},
    )


def _choice(options: list[str], tooltip: str) -> widgets.ToggleButtons:
    return widgets.ToggleButtons(
        options=options, tooltips=[tooltip] * len(options), style={"button_width": "auto"}
    )
