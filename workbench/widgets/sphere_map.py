"""SphereMap: the equivariance error over all rotation axes, computed in the background."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import ipywidgets as widgets
import numpy as np
import traitlets
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.equivariance import Predictor
from workbench.evaluation.errors import Errors
from workbench.evaluation.rotation_errors import MEASURES, Measure, RotationErrors, about, in_mev
from workbench.evaluation.rotation_search import axes as spread_axes
from workbench.views.numbers import milli
from workbench.views.style import round_limit
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.background import Job
from workbench.widgets.parts.choices import dropdown
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.readout import operation_table
from workbench.widgets.sphere_canvas import SphereCanvas

_AT_ONCE = 20.0  # s: a map that takes longer is not started automatically
_BATCH = 0.06  # s, target time of one prediction of several structures
_COUNTS = (26, 50, 100, 200, 400)
_PROPER, _IMPROPER = "rotations", "rotations + inversion"
_COMMON, _SEPARATE = "common scale", "separate scales"
_SHAPES = {"map": "flat", "globe": "globe"}

Key = tuple[float, bool]  # degrees, improper


class Turned(Protocol):
    """A lab that can be rotated."""

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate it to a rotation matrix R (3, 3)."""
        ...


class SphereMap(Lab):
    """Maps of the error ``f(R x) - D f(x) D^T`` over the axes of R, at an adjustable angle.

    The maps are computed in the background, the most widely spread axes first, and can be stopped.
    The sphere is shown in a flat projection or as a globe. A click or the arrow keys select an
    axis: its errors are listed below, beside those under inversion, and labs given to `drive`
    rotate to it.

    Args:
        atoms: the structure, at R = 1.
        model: as for `RotationLab`: with `predict(atoms)` (both stages) or a callable.
        predictors: further callables atoms -> BlockMatrix by name, e.g. PySCF.
        degrees: initial angle.
        axes: number of axes, at most 400; see `rotation_search.axes`.
        errors: evaluates these atoms and predictors; by default it is made from them.

    Attributes:
        picked: ((x, y, z), degrees) of the selected operation; observe it to follow.

    Raises:
        ValueError: if there is no predictor.

    >>> sphere = wb.SphereMap(wb.load("water"), wb.load_model("water"), degrees=90, axes=26)
    >>> sphere.run()  # now; in a notebook it runs in the background
    >>> bool(sphere.values["refined"].max() < 0.01)  # meV, over 26 axes
    True
    """

    picked = traitlets.Tuple(traitlets.Tuple(), traitlets.Float())

    def __init__(
        self,
        atoms: Atoms,
        model: Any = None,
        predictors: Mapping[str, Predictor] | None = None,
        *,
        degrees: float = 90,
        axes: int = 200,
        errors: RotationErrors | None = None,
    ):
        self.errors = errors or RotationErrors(atoms, model, predictors)
        self.guard = Guard()
        self._style = lab_style("sphere_lab")  # first, see `lab_style`
        self._found: dict[Key, dict[int, dict[str, Errors]]] = {}
        self._driven: list[Turned] = []
        self._build(degrees, axes)
        self._connect()
        super().__init__(self._layout())
        self.picked = self._picked()
        self._begin()

    # ---- also available from code ---------------------------------------------

    @property
    def axes(self) -> NDArray[np.float64]:
        """The axes (n, 3)."""
        return spread_axes(int(self.count.value or 6))

    @property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Predictor -> errors (n,) at the present angle, meV; NaN where not measured yet."""
        known, measure = self._known, self.chosen_measure
        values = {name: np.full(len(self.axes), np.nan) for name in self.errors.names}
        for index, errors in known.items():
            if index < len(self.axes):
                for name, of_predictor in values.items():
                    of_predictor[index] = in_mev(errors[name], measure)
        return values

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The selected operation (3, 3)."""
        axis, degrees = self.picked
        return about(np.array(axis), degrees, self.improper)[0]

    @property
    def improper(self) -> bool:
        """Whether an inversion follows each rotation."""
        return self.operations.value == _IMPROPER

    @property
    def chosen_measure(self) -> Measure:
        """The measure that the colours show."""
        return MEASURES[self.measure.index or 0]

    def known(self) -> tuple[NDArray[np.float64], list[dict[str, Errors]]]:
        """The axes (k, 3) measured at the present angle, and their errors by predictor."""
        order = sorted(index for index in self._known if index < len(self.axes))
        return self.axes[order], [self._known[index] for index in order]

    def pick(self, axis: ArrayLike) -> None:
        """Select the axis of the map that is nearest to a direction (3,)."""
        self.canvas.chosen = int((self.axes @ np.asarray(axis, dtype=float)).argmax())

    def pick_worst(self) -> None:
        """Select the measured axis with the largest error of any predictor."""
        largest = np.max([np.nan_to_num(v, nan=-1.0) for v in self.values.values()], axis=0)
        self.canvas.chosen = int(largest.argmax())

    def drive(self, lab: Turned) -> None:
        """Rotate a lab, e.g. `RotationLab`, to every rotation that is selected from now on."""
        self._driven.append(lab)

    def start(self) -> None:
        """Fill the map in the background."""
        self.job.start()

    def stop(self) -> None:
        """Stop filling; measured values stay."""
        self.job.stop()

    def run(self) -> None:
        """Fill the map now, while the page waits."""
        self.job.run()

    def close(self) -> None:
        """Stop the computation and remove the map from the page."""
        self.job.stop()
        self._driven.clear()
        super().close()

    # ---- building ---------------------------------------------------------------------------

    def _build(self, degrees: float, axes: int) -> None:
        self.canvas = SphereCanvas(spread_axes(axes), self.errors.names)
        self.angle = widgets.IntSlider(
            value=int(degrees),
            min=5,
            max=180,
            step=5,
            description="angle, °",
            tooltip="Angle of the rotation about each axis",
            continuous_update=False,
            style={"description_width": "62px"},
            layout=widgets.Layout(width="250px"),
        )
        counts = sorted({*_COUNTS, axes})
        tooltip = "Number of axes; they include the 26 symmetry directions of a cube"
        self.count = dropdown(counts, "axes", tooltip, "105px", axes)
        self.measure = _choice(MEASURES, "Mean or largest error over all matrix elements")
        self.operations = _choice((_PROPER, _IMPROPER), "Proper operations, or improper ones")
        self.colours = _choice(
            (_COMMON, _SEPARATE), "One colour scale for all maps, or one per map"
        )
        self.scale = _choice(("linear", "log"), "Linear or logarithmic colour scale")
        self.shape = _choice(
            tuple(_SHAPES), "Flat projection of the whole sphere, or a globe to rotate"
        )
        self.job = Job(self._missing, self._counted, self._paint, "axes", "Fills the map")
        self.worst_button = widgets.Button(
            description="worst axis",
            tooltip="Selects the axis with the largest error of any predictor",
            layout=widgets.Layout(width="auto"),
        )
        self.table = widgets.HTML()

    def _connect(self) -> None:
        guard = self.guard
        for control in (self.angle, self.operations):
            control.observe(guard(lambda _: self._operation_changed()), "value")
        self.count.observe(guard(lambda _: self._axes_changed()), "value")
        for control in (self.measure, self.colours, self.scale):
            control.observe(guard(lambda _: self._paint()), "value")
        self.shape.observe(guard(lambda _: self._reshape()), "value")
        self.canvas.observe(guard(lambda _: self._axis_chosen()), "chosen")
        self.worst_button.on_click(guard(lambda _: self.pick_worst()))

    def _layout(self) -> list[widgets.Widget]:
        first = [self.angle, self.operations, self.measure, self.count]
        second = [self.shape, self.colours, self.scale, self.job.box]
        self.foot = group(widgets.Box, "wb-row", [self.worst_button, self.table])
        return [
            self._style,
            group(widgets.Box, "wb-row", first),
            group(widgets.Box, "wb-row", second),
            self.guard.panel,
            self.canvas,
            self.foot,
        ]

    # ---- computing --------------------------------------------------------------------------

    @property
    def _key(self) -> Key:
        return float(self.angle.value or 0), self.improper

    @property
    def _known(self) -> dict[int, dict[str, Errors]]:
        """Measured at the present angle: index of the axis -> errors by predictor."""
        return self._found.setdefault(self._key, {})

    def _missing(self) -> Iterator[None]:
        """Measure the missing axes, several axes per step."""
        axes, (degrees, improper), known = self.axes, self._key, self._known
        missing = [k for k in range(len(axes)) if k not in known]
        while missing:
            size = int(np.clip(_BATCH / max(self.errors.seconds, 1e-6), 1, 8))
            batch, missing = missing[:size], missing[size:]
            errors = self.errors.under(about(axes[batch], degrees, improper))
            known.update(zip(batch, errors, strict=True))
            yield

    def _counted(self) -> tuple[int, int, float]:
        """Number of measured axes, number of axes, seconds per axis."""
        known = sum(index < len(self.axes) for index in self._known)
        return known, len(self.axes), self.errors.seconds

    # ---- reacting ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start automatically if it takes only seconds; otherwise show the expected time."""
        self.job.stop()
        known, total, each = self._counted()
        if (total - known) * each <= _AT_ONCE:
            self.job.start()
        else:
            self.job.refresh()

    def _axes_changed(self) -> None:
        self._found.clear()
        self.canvas.set_axes(self.axes)
        self._operation_changed()

    def _operation_changed(self) -> None:
        self._begin()
        self._axis_chosen()

    def _reshape(self) -> None:
        self.canvas.shape = _SHAPES[str(self.shape.value)]

    def _axis_chosen(self) -> None:
        """Handle a new selected axis; measure it now if it is missing."""
        index = self.canvas.chosen
        if index not in self._known:
            axis = self.axes[[index]]
            self._known[index] = self.errors.under(about(axis, *self._key))[0]
            self.job.refresh()
        self.picked = self._picked()
        self._describe()
        if not self.improper:
            for lab in self._driven:
                lab.turn_to(self.rotation)

    def _picked(self) -> tuple[tuple[float, ...], float]:
        return tuple(self.axes[self.canvas.chosen].tolist()), float(self.angle.value or 0)

    def _paint(self) -> None:
        """Show all measured values."""
        values = self.values
        largest = [float(np.nanmax(v, initial=0.0)) for v in values.values()]
        if self.colours.value == _COMMON:
            limits = [round_limit(max(largest))] * len(largest)
        else:
            limits = [error or 1.0 for error in largest]
        self.canvas.scale = str(self.scale.value)
        self.canvas.show(values, limits)
        self._describe()

    def _describe(self) -> None:
        errors = self._known.get(self.canvas.chosen)
        axis, degrees = self._picked()
        inversion = self.errors.inversion if errors else {}
        self.table.value = operation_table(errors, inversion, axis, degrees, self.improper)
        if errors:
            means = (
                f"{n} {milli(e.mae_mev)} meV mean, {milli(inversion[n].mae_mev)} under inversion"
                for n, e in errors.items()
            )
            where = ", ".join(f"{c:.2f}" for c in axis)
            self.canvas.announcement = f"{degrees:.0f}° about ({where}): {'; '.join(means)}."


def _choice(options: tuple[str, ...], tooltip: str) -> widgets.ToggleButtons:
    return widgets.ToggleButtons(
        options=options, tooltips=[tooltip] * len(options), style={"button_width": "auto"}
    )
