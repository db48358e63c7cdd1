"""FeatureBars: what a network knows of one atom, irrep by irrep, while the structure turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets
import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.structures.loading import rotate
from workbench.views.irrep_bars import Group, bar_groups, plain
from workbench.views.numbers import orientation
from workbench.views.style import number
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.choices import dropdown
from workbench.widgets.parts.guard import Guard
from workbench.widgets.parts.turning import Turning
from workbench.widgets.structure_view import StructureView

if TYPE_CHECKING:  # models need torch, which the page need not wait for
    from workbench.models.prediction import Prediction

_NONE = 1e-9  # of the largest norm: an irrep below it is rounding

Parts = dict[str, NDArray[np.float64]]


class Predicting(Protocol):
    """A model, or whatever predicts with features on the way."""

    def predict(self, atoms: Atoms) -> Prediction:
        """Both stages' Hamiltonians, and stage 1's features."""
        ...


class FeatureBars(Lab):
    """Stage 1's features of an atom as bars, each irrep in units of its norm at R = 1.

    Every orientation is predicted anew. One copy of each irrep is shown; the sentence below is
    about all atoms and all copies.

    Args:
        atoms: the structure; its present orientation is R = 1.
        models: name -> model, to choose among.
        atom: shown at first, counted from 0.

    Raises:
        ValueError: for no model, or an atom that is not there.

    >>> wb.FeatureBars(atoms, {"stage 1": model})  # doctest: +SKIP
    """

    def __init__(self, atoms: Atoms, models: Mapping[str, Predicting], atom: int = 0):
        if not models:
            raise ValueError('Give at least one model, e.g. {"stage 1": model}.')
        if not 0 <= atom < len(atoms):
            raise ValueError(f"There is no atom {atom}: count from 0 to {len(atoms) - 1}.")
        self.models, self._atoms, self._first = dict(models), atoms, atom
        self._upright = {name: self._features(name, atoms) for name in self.models}
        self._now = self._upright[next(iter(self.models))]
        self._turn = np.eye(3)
        self.guard = Guard()
        self._style = lab_style("block_inspector")  # first: see there
        self._build()
        self._connect()
        super().__init__(self._layout(), "wb-features")
        self._repaint()

    # ---- what the user can do from code as well ---------------------------------------------

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present orientation R (3, 3)."""
        return self._turn

    @property
    def features(self) -> Parts:
        """Irrep -> (atoms, copies, 2l+1) of the chosen model, now."""
        return self._now

    @property
    def moved(self) -> tuple[float, float]:
        """Largest change since R = 1 of a norm and of a component, over the largest norm."""
        before = self._upright[str(self.model.value)]
        largest = max(float(_norms(x).max()) for x in before.values())
        norms = max(np.abs(_norms(self._now[k]) - _norms(x)).max() for k, x in before.items())
        parts = max(np.abs(self._now[k] - x).max() for k, x in before.items())
        return float(norms) / largest, float(parts) / largest

    def turn_to(self, R: ArrayLike) -> None:
        """Turn to a rotation matrix (3, 3)."""
        self.turning.to(R)

    def reset(self) -> None:
        """Back to R = 1, and everything chosen as at first."""
        self.controls.reset()
        self.model.value = next(iter(self.models))
        self.atom.value, self.copy.value = self._first, 0
        self.turn_to(np.eye(3))

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        atoms = self._atoms
        names = [f"{symbol}{k + 1}" for k, symbol in enumerate(atoms.get_chemical_symbols())]
        copies = min(x.shape[1] for parts in self._upright.values() for x in parts.values())
        self.view = StructureView(atoms, height=220, hint="drag, or arrow keys")
        self.turning = Turning(self.view, self.guard, lambda R, _: self._show(R))
        self.controls = self.turning.controls
        self.model = dropdown(list(self.models), "network", "Whose features are shown", "260px")
        places = list(zip(names, range(len(names)), strict=True))
        self.atom = dropdown(places, "atom", "Click an atom in the picture to choose it", "130px")
        numbers = [(str(k + 1), k) for k in range(copies)]
        self.copy = dropdown(numbers, "copy", "Which channel: one copy of each irrep", "130px")
        self.atom.value = self._first
        self.reset_button = widgets.Button(description="Reset", tooltip="Everything as at first")
        self.bars, self.said = widgets.HTML(), widgets.HTML()

    def _connect(self) -> None:
        guard = self.guard
        self.view.observe(guard(self._clicked), "pair")
        self.model.observe(guard(lambda _: self._show(self._turn)), "value")
        for choice in (self.atom, self.copy):
            choice.observe(guard(lambda _: self._repaint()), "value")
        self.reset_button.on_click(guard(lambda _: self.reset()))

    def _layout(self) -> list[widgets.Widget]:
        title = widgets.HTML("<b>Features of an atom</b>")
        head = [title, self.model, self.atom, self.copy, self.reset_button]
        left = group(widgets.VBox, "wb-left", [self.view, self.controls.box])
        right = group(widgets.VBox, "wb-right", [self.bars, self.said])
        body = group(widgets.Box, "wb-body", [left, right])
        return [self._style, group(widgets.Box, "wb-head", head), self.guard.panel, body]

    # ---- reacting ---------------------------------------------------------------------------

    def _features(self, name: str, atoms: Atoms) -> Parts:
        found = self.models[name].predict(atoms).features.by_irrep()
        return {irrep: x.double().cpu().numpy() for irrep, x in found.items()}

    def _clicked(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.atom.value = change["new"][-1]

    def _show(self, R: NDArray[np.float64]) -> None:
        self._turn = R
        self._now = self._features(str(self.model.value), rotate(self._atoms, R))
        self._repaint()

    def _repaint(self) -> None:
        """Send everything that moves to the browser."""
        atom, copy = int(self.atom.value or 0), int(self.copy.value or 0)
        self.view.pair = [atom, atom]
        before = {k: x[atom, copy] for k, x in self._upright[str(self.model.value)].items()}
        now = {k: x[atom, copy] for k, x in self._now.items()}
        norms = {k: float(np.linalg.norm(x)) for k, x in before.items()}
        largest = max(norms.values())
        groups = [
            Group(k, x, before[k], norms[k] if norms[k] > _NONE * largest else largest)
            for k, x in now.items()
        ]
        names = {k: name for name, k in self.atom.options}
        label = f"Components of copy {copy + 1} of each irrep of {names[atom]}"
        self.bars.value = bar_groups(groups, 1.0, label)
        moved = [plain(x) for x in self.moved]
        self.said.value = (
            '<p class="wb-note">Bars in units of the irrep\'s norm at R = 1; dashed: where they '
            f"stood. Structure {orientation(self._turn)}.</p>"
            '<p class="wb-said">Since R = 1, all atoms and copies: norms moved by at most '
            f"<b>{moved[0]}</b>, components by <b>{moved[1]}</b> of the largest norm.</p>"
        )
        shown = ", ".join(f"{k} {number(float(np.linalg.norm(x)))}" for k, x in now.items())
        self.view.announcement = (
            f"Structure {orientation(self._turn)}. {self.model.value}, {names[atom]}, copy "
            f"{copy + 1}: norms {shown}. Since R = 1 norms moved by at most {moved[0]}, components "
            f"by {moved[1]} of the largest norm."
        )


def _norms(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(parts, axis=-1)
