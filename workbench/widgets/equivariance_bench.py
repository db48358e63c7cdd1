"""TestBench: all equivariance tests of any structure and any predictors."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.evaluation.equivariance import Predictor
from workbench.evaluation.errors import Errors, pair_name
from workbench.evaluation.rotation_errors import RotationErrors
from workbench.evaluation.rotation_report import RotationReport, Series
from workbench.storage.atomic_write import atomic_write
from workbench.structures.loading import load, rotate
from workbench.views.numbers import milli, orientation
from workbench.views.rotation_report import report_html
from workbench.widgets.bench_panels import AxisPanel, RandomPanel, WorstPanel
from workbench.widgets.page import Lab, close_inside, group, lab_style
from workbench.widgets.parts.choices import dropdown
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.readout import operation_name
from workbench.widgets.parts.turning import Turning
from workbench.widgets.sphere_map import SphereMap
from workbench.widgets.structure_view import StructureView

_NO_MODEL = "no model"
_TABS = ("all axes", "random rotations", "one axis", "worst rotation")


class TestBench(Lab):
    """Tests the rotation law ``f(g x) = D(g) f(x) D(g)^+`` on any structure.

    On the left is the structure, rotated by hand or to the operation selected on the right, with
    the errors at that operation by predictor and by shells, beside the errors under inversion. On
    the right are maps over all axes, random rotations, a scan about one axis, and a search for the
    worst rotation. All measured errors can be written to a report.

    Args:
        structure: a name, a file, "smiles:CCO", or Atoms.
        model: a name for `load_model`, a model as for `RotationLab`, or None.
        predictors: callables atoms -> BlockMatrix by name; all are selected at first.
        axes: initial number of axes of the maps.
        folder: folder for reports.

    Attributes:
        sphere, random, axis, worst: the panels; each starts and stops, and stores its results.

    Raises:
        ValueError: if there is no predictor, or no such structure.

    >>> bench = wb.TestBench("water", "water")
    >>> bench.turn_to(wb.rotation((1, 1, 0), 40))
    >>> errors = bench.errors.under([bench.rotation])[0]  # predictor -> errors at this operation
    >>> errors["refined"].mae_mev < 0.01
    True
    """

    __test__ = False  # pytest would collect every class named Test...

    def __init__(
        self,
        structure: str | Atoms = "water",
        model: Any = "water",
        predictors: Mapping[str, Predictor] | None = None,
        *,
        axes: int = 100,
        folder: str | Path = "reports",
    ):
        self.guard, self.folder = Guard(), Path(folder)
        self._style = lab_style("sphere_lab")  # first, see `lab_style`
        self._offered, self._axes = dict(predictors or {}), axes
        self._given = {"given": model} if model is not None and not isinstance(model, str) else {}
        self._loaded: dict[str, Any] = dict(self._given)
        self._own = structure if isinstance(structure, Atoms) else None
        self.sphere: SphereMap | None = None
        name = "given" if self._given else (model or _NO_MODEL)
        self._build(structure if isinstance(structure, str) else "as given", str(name))
        super().__init__(self._layout(), "wb-bench")
        self.begin()

    # ---- also available from code ---------------------------------------------

    @property
    def errors(self) -> RotationErrors:
        """Evaluates the errors of the present structure and predictors."""
        return self._session.errors

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present operation (3, 3), improper if the map shows improper operations."""
        return -self._R if self._session.improper else self._R

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate the structure to a proper rotation matrix R (3, 3)."""
        self.turning.to(R)

    def begin(self) -> None:
        """Load the chosen structure and predictors, and start a new session."""
        atoms = self._structure()
        predictors = {name: self._offered[name] for name in self.predictors.value}
        errors = RotationErrors(atoms, self._model(), predictors)
        self._close_session()
        self._R = np.eye(3)
        self.sphere = SphereMap(atoms, errors=errors, axes=self._axes)
        self.sphere.foot.layout.display = "none"
        self.random, self.axis = RandomPanel(self.sphere), AxisPanel(self.sphere)
        self.worst = WorstPanel(self.sphere, self._go)
        self.view = StructureView(atoms, height=224, hint="drag, or arrow keys")
        self.turning = Turning(self.view, self.guard, self._show)
        self._wire(self.sphere)
        self.body.children = self._session_layout(self.sphere)
        self._show(np.eye(3), 0)

    def report(self) -> RotationReport:
        """A report of all errors measured so far."""
        sphere = self._session
        known, errors = sphere.known()
        then = ", then x → −x" if sphere.improper else ""
        degrees = float(sphere.picked[1])
        series = {"picked": Series.of(self._operation(), {}, [self.rotation], [self._now])}
        if errors:
            what = f"{degrees:.0f}° about {len(known)} axes{then}"
            settings = {"degrees": degrees, "improper": sphere.improper}
            series["sphere"] = Series.of(what, settings, known, errors)
        others = {
            "random": self.random.series,
            "scan": self.axis.series,
            "worst": self.worst.series,
            "worst inverted": self.worst.inverted_series,
        }
        series |= {key: measured for key, measured in others.items() if measured is not None}
        source = str(self.structure.value)
        return RotationReport.of(self.errors, sphere.chosen_measure, series, source)

    def export(self) -> list[Path]:
        """Write the report as JSON and as an HTML page; return both paths."""
        report = self.report()
        stem = f"rotations-{report.structure['formula']}"
        data = report.write(self.folder / f"{stem}.json")
        page = atomic_write(self.folder / f"{stem}.html", report_html(report))
        links = " and ".join(f"<b>{escape(str(path))}</b>" for path in (data, page))
        names = ", ".join(each.what for each in report.series.values())
        self.exported.value = f'<p role="status">Written: {links}. Contents: {escape(names)}.</p>'
        return [data, page]

    def close(self) -> None:
        """Stop the computations and remove the test bench from the page."""
        self._close_session()
        super().close()

    # ---- building ---------------------------------------------------------------------------

    def _build(self, structure: str, model: str) -> None:
        from workbench.storage.bundled import data_path

        names = sorted(path.stem for path in data_path("checkpoints").glob("*.safetensors"))
        self.structure = widgets.Text(
            value=structure,
            description="structure",
            tooltip="A name (water), a file, or smiles:CCO",
            continuous_update=False,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="220px"),
        )
        options = list(dict.fromkeys([*self._given, model, *names, _NO_MODEL]))
        self.model = dropdown(options, "model", "Model whose two stages are tested", "165px", model)
        self.predictors = widgets.SelectMultiple(
            options=list(self._offered),
            value=list(self._offered),
            rows=min(max(len(self._offered), 1), 3),
            description="predictors",
            tooltip="Further predictors; Ctrl and click, or Shift and arrow keys, select several",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="220px"),
        )
        self.open_button = widgets.Button(
            description="Open",
            tooltip="Loads structure and predictors; deletes the measured errors",
            layout=widgets.Layout(width="auto"),
        )
        self.export_button = widgets.Button(
            description="Export report",
            tooltip="Writes the measured errors as JSON and as a self-contained HTML page",
            layout=widgets.Layout(width="auto"),
        )
        self.exported, self.table, self.shells = (widgets.HTML() for _ in range(3))
        self.body = group(widgets.Box, "wb-body", [])
        self.open_button.on_click(self.guard(lambda _: self.begin()))
        self.export_button.on_click(self.guard(lambda _: self._export()))

    def _layout(self) -> list[widgets.Widget]:
        title = widgets.HTML("<b>Test bench</b>")
        choices = [self.structure, self.model]
        if self._offered:
            choices.append(self.predictors)
        head = [title, *choices, self.open_button, self.export_button]
        return [
            self._style,
            group(widgets.Box, "wb-row", head),
            self.guard.panel,
            self.exported,
            self.body,
        ]

    def _session_layout(self, sphere: SphereMap) -> list[widgets.Widget]:
        left = [self.view, self.turning.controls.box, self.table, self.shells]
        pages = [sphere, self.random.box, self.axis.box, self.worst.box]
        self.tabs = widgets.Tab(pages, titles=_TABS)
        return [group(widgets.VBox, "wb-left", left), group(widgets.VBox, "wb-right", [self.tabs])]

    def _wire(self, sphere: SphereMap) -> None:
        guard = self.guard
        sphere.observe(guard(lambda _: self._go(sphere.rotation)), "picked")
        sphere.operations.observe(guard(lambda _: self._invert()), "value")
        sphere.measure.observe(guard(lambda _: self._measure_changed()), "value")

    def _close_session(self) -> None:
        if self.sphere is None:
            return
        for panel in (self.random, self.axis, self.worst):
            panel.job.stop()
        self.sphere.close()
        close_inside(self.body)
        self.sphere = None

    # ---- reacting ---------------------------------------------------------------------------

    @property
    def _session(self) -> SphereMap:
        if self.sphere is None:
            raise ValueError("No structure is open: correct its name and press Open.")
        return self.sphere

    def _export(self) -> None:
        self.export()

    def _structure(self) -> Atoms:
        if self._own is not None and self.structure.value == "as given":
            return load(self._own)
        return load(str(self.structure.value))

    def _model(self) -> Any:
        name = str(self.model.value)
        if name == _NO_MODEL:
            return None
        if name not in self._loaded:
            from workbench.models.checkpoint import load_model

            self._loaded[name] = load_model(name)
        return self._loaded[name]

    def _go(self, operation: NDArray[np.float64]) -> None:
        """Rotate the structure to an operation of the tested kind."""
        self.turning.to(np.linalg.det(operation) * operation)

    def _show(self, R: NDArray[np.float64], _: int) -> None:
        """Measure and show the errors at the orientation of the structure."""
        self._R = R
        self._now = self.errors.under([self.rotation])[0]
        self._describe()

    def _invert(self) -> None:
        """Show the structure or its inversion, in the present orientation."""
        atoms = self.errors.atoms
        self.view.show(rotate(atoms, -np.eye(3)) if self._session.improper else atoms)
        self._show(self._R, 0)

    def _measure_changed(self) -> None:
        for panel in (self.random, self.axis, self.worst):
            panel.show()

    def _operation(self) -> str:
        return orientation(self._R) + (", then x → −x" if self._session.improper else "")

    def _describe(self) -> None:
        inversion = self.errors.inversion
        self.table.value = _bench_table(
            self._operation(), self._now, inversion, self._session.improper
        )
        self.shells.value = shell_table(self._now)
        errors = ", ".join(
            f"{n} {milli(e.mae_mev)} meV, {milli(inversion[n].mae_mev)} under inversion"
            for n, e in self._now.items()
        )
        self.view.announcement = (
            f"Structure {self._operation()}. Mean equivariance errors: {errors}."
        )


def _bench_table(
    operation: str, now: Mapping[str, Errors], inversion: Mapping[str, Errors], improper: bool
) -> str:
    """HTML table, meV: errors at the present operation and under inversion, by predictor."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f"<td>{milli(e.mae_mev)}</td><td>{milli(e.max_mev)}</td>"
            for e in (now[name], inversion[name])
        )
        + "</tr>"
        for name in now
    )
    return (
        f'<table class="wb-errors"><caption>{operation}; equivariance errors, meV</caption><thead>'
        f'<tr><td></td><th colspan="2">{operation_name(improper)}</th>'
        '<th colspan="2">inversion</th></tr>'
        f"<tr><td></td>{'<th>mean</th><th>largest</th>' * 2}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def shell_table(errors: Mapping[str, Errors]) -> str:
    """HTML table, meV: mean error of each pair of shells (H is symmetric: each pair once)."""
    pairs = sorted({(a, b) for e in errors.values() for a, b in e.shell_pairs if a <= b})
    heads = "".join(f"<th>{escape(name)}</th>" for name in errors)
    rows = []
    for pair in pairs:
        cells = []
        for predictor in errors.values():
            most = max(mean for (a, b), (mean, _) in predictor.shell_pairs.items() if a <= b)
            mean = predictor.shell_pairs.get(pair, (np.nan, np.nan))[0]
            text = milli(mean) if np.isfinite(mean) else "–"
            cells.append(f"<td><b>{text}</b></td>" if mean == most else f"<td>{text}</td>")
        name = f"{pair_name(pair)[0]} – {pair_name(pair)[1]}"
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (
        '<table class="wb-errors"><caption>mean error by shells, meV; largest in bold</caption>'
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
