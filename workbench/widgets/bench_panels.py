"""Panels of a test bench: random rotations, a scan about one axis, and the worst rotation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.errors import Errors
from workbench.evaluation.rotation_errors import Measure, about, in_mev
from workbench.evaluation.rotation_report import Series
from workbench.evaluation.rotation_search import SearchStep, worst_rotation
from workbench.hamiltonians.rotations import random_rotations
from workbench.views.numbers import milli, orientation
from workbench.views.rotation_errors import angle_scan, error_histogram
from workbench.widgets.page import group
from workbench.widgets.parts.background import Job
from workbench.widgets.parts.choices import dropdown
from workbench.widgets.sphere_map import SphereMap

__all__ = ["AxisPanel", "RandomPanel", "WorstPanel"]

_STEP = 10  # degrees between the angles of a scan
_STARTS = 2  # number of random operations that a search refines


class RandomPanel:
    """A histogram of the errors under random operations.

    Args:
        sphere: selects predictors, kind of operations and measure.

    Attributes:
        box: the widget to show.
        job: runs the computation.
    """

    def __init__(self, sphere: SphereMap):
        self._sphere, self._settings = sphere, (0, 0, False)
        self._operations, self._errors = np.zeros((0, 3, 3)), []
        self.samples = _number("rotations", 30, 2, 2000, "Number of random rotations")
        self.seed = _number(
            "seed", 0, 0, 2**31 - 1, "Random seed: the same seed gives the same rotations"
        )
        self.job = Job(
            self._steps,
            self._counted,
            self.show,
            "rotations",
            "Draws random rotations and measures the errors",
        )
        self.picture = widgets.HTML()
        self.box = _page([self.samples, self.seed, self.job.box], self.picture)
        self.job.refresh()

    @property
    def series(self) -> Series | None:
        """The measured errors, or None."""
        if not self._errors:
            return None
        count, (_, seed, improper) = len(self._errors), self._settings
        kind = "rotations with an inversion" if improper else "rotations"
        what = f"{count} random {kind}, seed {seed}"
        settings = {"seed": seed, "samples": count, "improper": improper}
        return Series.of(what, settings, self._operations[:count], self._errors)

    def show(self) -> None:
        """Draw the errors measured so far."""
        series, measure = self.series, self._sphere.chosen_measure
        if series is None:
            self.picture.value = _nothing("a histogram of the errors under random rotations")
        else:
            title = f"{series.what}, {measure} error"
            inversion = inversion_values(self._sphere)
            self.picture.value = error_histogram(series.values(measure), title, inversion).svg

    def _counted(self) -> tuple[int, int, float]:
        return len(self._errors), int(self.samples.value), self._sphere.errors.seconds

    def _steps(self) -> Iterator[None]:
        self._settings = (int(self.samples.value), int(self.seed.value), self._sphere.improper)
        samples, seed, improper = self._settings
        self._operations = random_rotations(samples, seed, "all" if improper else "none")
        self._errors = []
        for R in self._operations:
            self._errors += self._sphere.errors.under([R])
            yield


class AxisPanel:
    """The errors against the rotation angle, about the axis selected on the map.

    Args:
        sphere: selects predictors, kind of operations, measure and axis.
    """

    def __init__(self, sphere: SphereMap):
        self._sphere, self._improper = sphere, False
        self._axis = np.array([0.0, 0.0, 1.0])
        self._errors: list[dict[str, Errors]] = []
        self.degrees = np.arange(0, 361, _STEP)
        self.job = Job(
            self._steps, self._counted, self.show, "angles", "Rotates about the selected axis"
        )
        self.picture = widgets.HTML()
        self.box = _page([self.job.box], self.picture)
        self.job.refresh()

    @property
    def series(self) -> Series | None:
        """The measured errors, or None."""
        if not self._errors:
            return None
        degrees = self.degrees[: len(self._errors)]
        then = ", then x → −x" if self._improper else ""
        what = f"Rotations about {_vector(self._axis)}{then}"
        settings = {"axis": self._axis.tolist(), "degrees": degrees.tolist()}
        operations = [about([self._axis], d, self._improper)[0] for d in degrees]
        return Series.of(what, settings | {"improper": self._improper}, operations, self._errors)

    def show(self) -> None:
        """Draw the errors measured so far."""
        series, measure = self.series, self._sphere.chosen_measure
        if series is None or len(self._errors) < 2:
            self.picture.value = _nothing("the error against the angle, about the selected axis")
        else:
            values = series.values(measure)
            title = f"{series.what}, {measure} error"
            inversion = inversion_values(self._sphere)
            degrees = series.settings["degrees"]
            self.picture.value = angle_scan(degrees, values, title, inversion).svg

    def _counted(self) -> tuple[int, int, float]:
        return len(self._errors), len(self.degrees), self._sphere.errors.seconds

    def _steps(self) -> Iterator[None]:
        self._axis, self._improper = np.array(self._sphere.picked[0]), self._sphere.improper
        self._errors = []
        for degrees in self.degrees:
            R = about([self._axis], float(degrees), self._improper)
            self._errors += self._sphere.errors.under(R)
            yield


class WorstPanel:
    """A search for the operation with the largest error of one predictor.

    Args:
        sphere: selects predictors, kind of operations and measure.
        go: called with the worst operation (3, 3) when the user wants to see it.
    """

    def __init__(self, sphere: SphereMap, go: Callable[[NDArray[np.float64]], None]):
        self._sphere, self._improper = sphere, False
        self._measure: Measure = sphere.chosen_measure
        self.step: SearchStep | None = None
        self.finished, self._searched, self._drawn = False, "", 0
        names = sphere.errors.names
        tooltip = "Predictor whose worst operation is searched for"
        self.predictor = dropdown(names, "predictor", tooltip, "220px", names[-1])
        self.samples = _number(
            "random first", 30, 1, 1000, "Number of random operations before the search"
        )
        self.seed = _number("seed", 0, 0, 2**31 - 1, "Random seed")
        self.job = Job(self._steps, self._counted, self.show, "evaluations", "Starts the search")
        self.button = widgets.Button(
            description="rotate there",
            tooltip="Rotates the structure to the worst operation found",
            layout=widgets.Layout(width="auto"),
        )
        self.button.on_click(self.job.background.guard(lambda _: self.step and go(self.worst)))
        self.said = widgets.HTML()
        controls = [self.predictor, self.samples, self.seed, self.job.box, self.button]
        self.box = _page(controls, self.said)
        self.job.refresh()

    @property
    def worst(self) -> NDArray[np.float64]:
        """The worst operation found (3, 3); the identity before the search."""
        return np.eye(3) if self.step is None else self.step.worst_R

    @property
    def series(self) -> Series | None:
        """The worst operation found and its errors, or None."""
        return self._series(f"Worst operation found for {self._searched}: {self._where()}", 1)

    @property
    def inverted_series(self) -> Series | None:
        """The worst operation found with an inversion and its errors, or None."""
        return self._series(f"Worst operation found for {self._searched}, {self._other}", -1)

    def _series(self, what: str, sign: int) -> Series | None:
        """The errors at the worst operation, or with sign -1 at its product with the inversion."""
        if self.step is None:
            return None
        operation = sign * self.worst
        settings: dict[str, Any] = {
            "seed": int(self.seed.value),
            "samples": self._drawn,
            "improper": self._improper == (sign > 0),
            "measure": self._measure,
            "evaluations": self.step.evaluations,
            "largest of the random ones, meV": self.step.drawn,
            "finished": self.finished,
        }
        errors = self._sphere.errors.under([operation], [self._searched])
        return Series.of(what, settings, [operation], errors)

    def show(self) -> None:
        """Show the worst operation found so far."""
        self.button.disabled = self.step is None
        if self.step is None:
            self.said.value = _nothing("the operation with the largest error")
            return
        state = "Done" if self.finished else "So far" if self.job.running else "Stopped"
        step, inverted = self.step, ""
        if step.inverted is not None:
            inverted = f"The worst operation {self._other}: {milli(step.inverted)} meV. "
        alone = inversion_values(self._sphere, self._measure)[self._searched]
        self.said.value = (
            f'<p class="wb-said" role="status">{state}, after {step.evaluations} '
            f"evaluations: the {self._measure} error of {self._searched} is "
            f"<b>{milli(step.worst)} meV</b> {self._where()}. Largest of the random ones: "
            f"{milli(step.drawn)} meV. {inverted}Inversion alone: {milli(alone)} meV.</p>"
        )

    @property
    def _other(self) -> str:
        """How the product of the worst operation with the inversion differs from it."""
        return "without the inversion" if self._improper else "followed by x → −x"

    def _where(self) -> str:
        proper = -self.worst if self._improper else self.worst
        return orientation(proper) + (", then x → −x" if self._improper else "")

    def _counted(self) -> tuple[int, int, float]:
        """Evaluations done, in total and seconds each; the total is an estimate until the end."""
        done = self.step.evaluations if self.step else 0
        total = done if self.finished else max(int(self.samples.value) + 60 * _STARTS, done + 1)
        return done, total, self._sphere.errors.seconds

    def _steps(self) -> Iterator[None]:
        sphere, self.finished, self.step = self._sphere, False, None
        self._improper, self._measure = sphere.improper, sphere.chosen_measure
        self._searched, self._drawn = str(self.predictor.value), int(self.samples.value)
        for step in worst_rotation(
            sphere.errors,
            self._searched,
            samples=self._drawn,
            seed=int(self.seed.value),
            starts=_STARTS,
            measure=self._measure,
            improper=self._improper,
        ):
            self.step = step
            yield
        self.finished = True


def inversion_values(sphere: SphereMap, measure: Measure | None = None) -> dict[str, float]:
    """Predictor -> error under inversion, meV; in the sphere's measure by default."""
    chosen = measure or sphere.chosen_measure
    return {name: in_mev(errors, chosen) for name, errors in sphere.errors.inversion.items()}


def _vector(axis: NDArray[np.float64]) -> str:
    numbers = ", ".join(f"{c + 0.0:.2f}".replace("-0.00", "0.00") for c in axis)
    return f"({numbers})".replace("-", "−")


def _page(controls: list[widgets.Widget], picture: widgets.Widget) -> widgets.VBox:
    return widgets.VBox([group(widgets.Box, "wb-row", controls), picture])


def _nothing(what: str) -> str:
    return f'<p class="wb-note">Press "compute" for {what}.</p>'


def _number(name: str, value: int, low: int, high: int, tooltip: str) -> widgets.BoundedIntText:
    return widgets.BoundedIntText(
        value=value,
        min=low,
        max=high,
        description=name,
        tooltip=tooltip,
        style={"description_width": "initial"},
        layout=widgets.Layout(width="150px"),
    )
