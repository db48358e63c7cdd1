"""SymmetriseSlider: what an average over K orientations buys, and what it costs."""

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
"""Orientations to choose from."""


class SymmetriseSlider(Lab):
    """A slider over the number K of orientations of which a model's stage 2 takes the mean.

    Each move measures anew: the symmetry error and the error of the matrix on the meter's
    structures, and the time of one prediction. What was measured stays in the picture, beside
    the law of chance, 1/sqrt(K), drawn through the first point.

    Args:
        model: of two stages.
        meter: structures with their references, and the rotations to try.

    Attributes:
        slider: one of `COUNTS`.
        readings: K -> errors and milliseconds, as measured so far.

    >>> wb.SymmetriseSlider(model, Meter.of(dataset))  # doctest: +SKIP
    """

    def __init__(self, model: TwoStageModel, meter: ErrorMonitor):
        self.model, self.meter = model, meter
        self.guard = Guard()
        self.readings: dict[int, tuple[StageErrors, float]] = {}
        self.slider = widgets.SelectionSlider(
            options=COUNTS,
            value=1,
            description="orientations K",
            tooltip="How many orientations stage 2 is averaged over; arrow keys move it",
            continuous_update=False,
            style={"description_width": "110px"},
            layout=widgets.Layout(width="auto", flex="1 1 320px"),
        )
        self.reset_button = widgets.Button(
            description="Reset",
            tooltip="Forget what was measured, and back to one orientation",
            layout=widgets.Layout(width="auto"),
        )
        self.plot, self.text = widgets.HTML(), widgets.HTML()
        self._choose = self.guard(lambda change: self._measure(int(change["new"])))
        self.slider.observe(self._choose, "value")
        self.reset_button.on_click(self.guard(lambda _: self.reset()))
        super().__init__(self._layout())
        self._measure(1)

    def reset(self) -> None:
        """One orientation, measured anew, and nothing else in the picture."""
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
        read = self.meter.read(self.model, count)
        self.readings[count] = read, self.meter.milliseconds(self.model, count)
        errors = {
            K: (found.symmetry_mev, found.error_mev) for K, (found, _) in self.readings.items()
        }
        self.plot.value = averages_plot(errors, count)
        self.text.value = self._words(count)

    def _words(self, count: int) -> str:
        """What was measured in words and numbers, as HTML."""
        read, spent = self.readings[count]
        said = (
            f"K = {count}: breaks the rotation law by {milli(read.symmetry_mev)} meV, differs from "
            f"the reference by {milli(read.error_mev)} meV, takes {spent:.1f} ms."
        )
        rows = "".join(self._row(K, count) for K in sorted(self.readings))
        n, turns = len(self.meter.structures), len(self.meter.rotations)
        return (
            f'<p aria-live="polite"><b>{said}</b></p><table class="wb-errors"><thead><tr><th>K</th>'
            "<th>symmetry error, meV</th><th>1/√K says</th><th>error, meV</th><th>time, ms</th>"
            f"</tr></thead><tbody>{rows}</tbody></table>"
            f'<p class="wb-note">Means over {n} structures in {turns} orientations each; the time '
            "is of one structure, the median of three.</p>"
        )

    def _row(self, count: int, chosen: int) -> str:
        read, spent = self.readings[count]
        law = milli(self.readings[1][0].symmetry_mev / count**0.5) if 1 in self.readings else "–"
        name = f"→ {count}" if count == chosen else str(count)
        values: tuple[Any, ...] = (
            milli(read.symmetry_mev),
            law,
            milli(read.error_mev),
            f"{spent:.1f}",
        )
        cells = "".join(f"<td>{value}</td>" for value in values)
        return f'<tr><th scope="row">{name}</th>{cells}</tr>'
