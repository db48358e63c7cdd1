"""SphereMap: the symmetry error over all axes of a turn, filled in while one watches."""

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

_AT_ONCE = 20.0  # s that a map may take without being asked for
_BATCH = 0.06  # s that one prediction of several structures may take
_COUNTS = (26, 50, 100, 200, 400)
_PROPER, _IMPROPER = "turns", "turns + inversion"
_COMMON, _OWN = "one scale", "a scale each"
_SHAPES = {"map": "flat", "globe": "globe"}

Key = tuple[float, bool]  # degrees, improper


class Turned(Protocol):
    """A lab that can be turned."""

    def turn_to(self, R: ArrayLike) -> None:
        """Turn it to a rotation matrix (3, 3)."""
        ...


class SphereMap(Lab):
    """Maps of the error ``f(R x) - D f(x) D^T`` over the axes of R, at an angle one can change.

    They fill in the background, the widest spread axes first, and can be stopped. The sphere lies
    flat or is a globe to be turned. A click or the keys pick an axis: its errors are written below,
    and labs that are driven turn to it.

    Args:
        atoms: the structure, at R = 1.
        model: as for `RotationLab`: with `predict(atoms)` (both stages) or a callable.
        predictors: further callables atoms -> BlockMatrix by name, e.g. PySCF or a broken toy.
        degrees: the angle at first.
        axes: how many, at most 400; `rotation_search.axes` says which.
        errors: of these atoms and predictors, if they were measured before.

    Attributes:
        picked: ((x, y, z), degrees) of the operation last picked; observe it to follow.

    Raises:
        ValueError: if there is no predictor.

    >>> wb.SphereMap(atoms, wb.load_model("water"), degrees=90)  # doctest: +SKIP
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
        self._style = lab_style("sphere_lab")  # first: see there
        self._found: dict[Key, dict[int, dict[str, Errors]]] = {}
        self._driven: list[Turned] = []
        self._build(degrees, axes)
        self._connect()
        super().__init__(self._layout())
        self.picked = self._picked()
        self._begin()

    # ---- what the user can do from code as well ---------------------------------------------

    @property
    def axes(self) -> NDArray[np.float64]:
        """The axes (n, 3)."""
        return spread_axes(int(self.count.value or 6))

    @property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Predictor -> (n,) error at the present angle, meV; NaN where it is not known yet."""
        known, measure = self._known, self.chosen_measure
        found = {name: np.full(len(self.axes), np.nan) for name in self.errors.names}
        for index, errors in known.items():
            if index < len(self.axes):
                for name, values in found.items():
                    values[index] = in_mev(errors[name], measure)
        return found

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The picked operation (3, 3)."""
        axis, degrees = self.picked
        return about(np.array(axis), degrees, self.improper)[0]

    @property
    def improper(self) -> bool:
        """Whether an inversion follows each turn."""
        return self.operations.value == _IMPROPER

    @property
    def chosen_measure(self) -> Measure:
        """What the colours show."""
        return MEASURES[self.measure.index or 0]

    def known(self) -> tuple[NDArray[np.float64], list[dict[str, Errors]]]:
        """The axes (k, 3) that are known at the present angle, and their errors by predictor."""
        order = sorted(index for index in self._known if index < len(self.axes))
        return self.axes[order], [self._known[index] for index in order]

    def pick(self, axis: ArrayLike) -> None:
        """Pick the axis of the map that is nearest to a direction (3,)."""
        self.canvas.chosen = int((self.axes @ np.asarray(axis, dtype=float)).argmax())

    def pick_worst(self) -> None:
        """Pick the axis at which any predictor errs most, of those known."""
        largest = np.max([np.nan_to_num(v, nan=-1.0) for v in self.values.values()], axis=0)
        self.canvas.chosen = int(largest.argmax())

    def drive(self, lab: Turned) -> None:
        """Turn a lab, e.g. `RotationLab`, to every rotation that is picked from now on."""
        self._driven.append(lab)

    def start(self) -> None:
        """Fill the map in the background."""
        self.job.start()

    def stop(self) -> None:
        """Stop filling; what is known stays."""
        self.job.stop()

    def run(self) -> None:
        """Fill the map now, while the page waits."""
        self.job.run()

    def close(self) -> None:
        """Take it off the page: the computation, every widget inside, callbacks and channels."""
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
            tooltip="Angle of the turn about each axis",
            continuous_update=False,
            style={"description_width": "62px"},
            layout=widgets.Layout(width="250px"),
        )
        counts = sorted({*_COUNTS, axes})
        how = "How many axes; the cube's 26 are among them"
        self.count = dropdown(counts, "axes", how, "105px", axes)
        self.measure = _choice(MEASURES, "Mean or largest error over all matrix elements")
        self.operations = _choice((_PROPER, _IMPROPER), "Proper operations, or improper ones")
        self.colours = _choice((_COMMON, _OWN), "One colour scale for all maps, or one for each")
        self.scale = _choice(("linear", "log"), "Colours by the error, or by its logarithm")
        self.shape = _choice(tuple(_SHAPES), "The whole sphere laid flat, or a globe to be turned")
        self.job = Job(self._missing, self._counted, self._paint, "axes", "Fills the map")
        self.worst_button = widgets.Button(
            description="worst axis",
            tooltip="Picks the axis at which any predictor errs most",
            layout=widgets.Layout(width="auto"),
        )
        self.table = widgets.HTML()

    def _connect(self) -> None:
        guard = self.guard
        for control in (self.angle, self.operations):
            control.observe(guard(lambda _: self._another_operation()), "value")
        self.count.observe(guard(lambda _: self._other_axes()), "value")
        for control in (self.measure, self.colours, self.scale):
            control.observe(guard(lambda _: self._paint()), "value")
        self.shape.observe(guard(lambda _: self._reshape()), "value")
        self.canvas.observe(guard(lambda _: self._choose()), "chosen")
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
        """What is known at the present angle: index of the axis -> errors by predictor."""
        return self._found.setdefault(self._key, {})

    def _missing(self) -> Iterator[None]:
        """Computes what is not known yet, some axes at a step."""
        axes, (degrees, improper), known = self.axes, self._key, self._known
        todo = [k for k in range(len(axes)) if k not in known]
        while todo:
            size = int(np.clip(_BATCH / max(self.errors.seconds, 1e-6), 1, 8))
            batch, todo = todo[:size], todo[size:]
            found = self.errors.under(about(axes[batch], degrees, improper))
            known.update(zip(batch, found, strict=True))
            yield

    def _counted(self) -> tuple[int, int, float]:
        """Axes known, axes in all, seconds each."""
        known = sum(index < len(self.axes) for index in self._known)
        return known, len(self.axes), self.errors.seconds

    # ---- reacting ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start by itself where that takes seconds only; else say what it would take."""
        self.job.stop()
        known, total, each = self._counted()
        if (total - known) * each <= _AT_ONCE:
            self.job.start()
        else:
            self.job.refresh()

    def _other_axes(self) -> None:
        self._found.clear()
        self.canvas.set_axes(self.axes)
        self._another_operation()

    def _another_operation(self) -> None:
        self._begin()
        self._choose()

    def _reshape(self) -> None:
        self.canvas.shape = _SHAPES[str(self.shape.value)]

    def _choose(self) -> None:
        """An axis was picked: what is not known of it is computed at once."""
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
        """Show what is known."""
        values = self.values
        most = [float(np.nanmax(v, initial=0.0)) for v in values.values()]
        common = self.colours.value == _COMMON
        limits = [round_limit(max(most))] * len(most) if common else [m or 1.0 for m in most]
        self.canvas.scale = str(self.scale.value)
        self.canvas.show(values, limits)
        self._describe()

    def _describe(self) -> None:
        errors = self._known.get(self.canvas.chosen)
        axis, degrees = self._picked()
        self.table.value = operation_table(errors, axis, degrees, self.improper)
        if errors:
            said = (f"{n} {milli(e.mae_mev)} meV mean" for n, e in errors.items())
            where = ", ".join(f"{c:.2f}" for c in axis)
            self.canvas.announcement = f"{degrees:.0f}° about ({where}): {', '.join(said)}."


def _choice(options: tuple[str, ...], tooltip: str) -> widgets.ToggleButtons:
    return widgets.ToggleButtons(
        options=options, tooltips=[tooltip] * len(options), style={"button_width": "auto"}
    )
