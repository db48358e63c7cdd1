"""SymmetriseSlider: benefit and cost of averaging stage 2 over K orientations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.views.averages_plot import averages_plot
from workbench.views.numbers import milli
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.guard import Guard

if TYPE_CHECKING:  # the widgets appear before torch is loaded
    from workbench.models.twostage import TwoStageModel
    from workbench.training.monitor import ErrorMonitor, StageErrors

COUNTS = (1, 2, 4, 8, 16)
"""Numbers of orientations to choose from."""


class SymmetriseSlider(Lab):
    """A slider for the number K of orientations over which stage 2 of a model is averaged.

    Each change measures the equivariance errors under rotations and inversion and the error of the
    matrix on the monitor's structures, and the time of one prediction. The picture keeps all
    measured points. The line through the first point is the statistical law 1/sqrt(K).

    Args:
        model: a two-stage model.
        meter: structures with their references, and the rotations to use.

    Attributes:
        slider: selects one of `COUNTS`.
        readings: K -> measured errors and milliseconds.

    >>> from workbench.training.monitor import ErrorMonitor
    >>> with wb.Dataset("water") as dataset:
    ...     monitor = ErrorMonitor.of(dataset, count=1, turns=2)
    >>> averages = wb.SymmetriseSlider(wb.load_model("water"), monitor)
    >>> averages.slider.value = 4
    >>> sorted(averages.readings)
    [1, 4]
    """

    def __init__(self, model: TwoStageModel, meter: ErrorMonitor):
        self.model, self.meter = model, meter
        self.guard = Guard()
        self.readings: dict[int, tuple[StageErrors, float]] = {}
        self.slider = widgets.SelectionSlider(
            options=COUNTS,
            value=1,
            description="orientations K",
            tooltip="Number of orientations in the average of stage 2; arrow keys change it",
            continuous_update=False,
            style={"description_width": "110px"},
            layout=widgets.Layout(width="auto", flex="1 1 320px"),
        )
        self.reset_button = widgets.Button(
            description="Reset",
            tooltip="Delete the measured points and return to one orientation",
            layout=widgets.Layout(width="auto"),
        )
        self.plot, self.text = widgets.HTML(), widgets.HTML()
        self._choose = self.guard(lambda change: self._measure(int(change["new"])))
        self.slider.observe(self._choose, "value")
        self.reset_button.on_click(self.guard(lambda _: self.reset()))
        super().__init__(self._layout())
        self._measure(1)

    def reset(self) -> None:
        """Delete all measured points and measure one orientation again."""
        self.readings.clear()
        if self.slider.value == 1:
            self._measure(1)
        else:
            self.slider.value = 1

    def _layout(self) -> list[widgets.Widget]:
        title = widgets.HTML("<b>Averaging over orientations</b>")
        head = group(widgets.Box, "wb-head", [title, self.reset_button])
        row = group(widgets.Box, "wb-stops", [self.slider])
        body = group(widgets.Box, "wb-body", [self.plot, self.text])
        body.add_class("wb-turn")
        return [lab_style(), head, self.guard.panel, row, body]

    def _measure(self, count: int) -> None:
        self.text.value = f'<p class="wb-note">measuring K = {count} …</p>'
        errors = self.meter.read(self.model, count)
        self.readings[count] = errors, self.meter.milliseconds(self.model, count)
        points = {
            K: (e.symmetry_mev, e.inversion_mev, e.error_mev) for K, (e, _) in self.readings.items()
        }
        self.plot.value = averages_plot(points, count)
        self.text.value = self._words(count)

    def _words(self, count: int) -> str:
        """The measured numbers in words and as a table, HTML."""
        errors, milliseconds = self.readings[count]
        sentence = (
            f"K = {count}: equivariance error {milli(errors.symmetry_mev)} meV under rotations, "
            f"{milli(errors.inversion_mev)} meV under inversion, error against the reference "
            f"{milli(errors.error_mev)} meV, time {milliseconds:.1f} ms."
        )
        rows = "".join(self._row(K, count) for K in sorted(self.readings))
        n, turns = len(self.meter.structures), len(self.meter.rotations)
        return (
            f'<p aria-live="polite"><b>{sentence}</b></p><table class="wb-errors"><thead>'
            '<tr><td></td><th colspan="3">equivariance error, meV</th><td colspan="2"></td></tr>'
            "<tr><th>K</th><th>rotations</th><th>expected from 1/√K</th><th>inversion</th>"
            "<th>error, meV</th>"
            f"<th>time, ms</th></tr></thead><tbody>{rows}</tbody></table>"
            f'<p class="wb-note">Means over {n} structures in {turns} orientations each; the time '
            "is the median of three predictions of one structure.</p>"
        )

    def _row(self, count: int, chosen: int) -> str:
        errors, milliseconds = self.readings[count]
        expected = (
            milli(self.readings[1][0].symmetry_mev / count**0.5) if 1 in self.readings else "–"
        )
        name = f"→ {count}" if count == chosen else str(count)
        values: tuple[Any, ...] = (
            milli(errors.symmetry_mev),
            expected,
            milli(errors.inversion_mev),
            milli(errors.error_mev),
            f"{milliseconds:.1f}",
        )
        cells = "".join(f"<td>{value}</td>" for value in values)
        return f'<tr><th scope="row">{name}</th>{cells}</tr>'
