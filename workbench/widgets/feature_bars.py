"""FeatureBars: a network's features of one atom, by irrep, while the structure is rotated."""

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

if TYPE_CHECKING:  # models need torch, and the page should not wait for it
    from workbench.models.prediction import Prediction

_ROUNDING = 1e-9  # an irrep below this fraction of the largest norm is rounding error

Features = dict[str, NDArray[np.float64]]


class Predicting(Protocol):
    """A model, or any object whose predictions include features."""

    def predict(self, atoms: Atoms) -> Prediction:
        """Both stages' Hamiltonians, and stage 1's features."""
        ...


class FeatureBars(Lab):
    """Bars of stage 1's features of an atom, each irrep in units of its norm at R = 1.

    The features are predicted again at every orientation. The bars show one copy (channel) of each
    irrep; the sentence below them refers to all atoms and all copies.

    Args:
        atoms: the structure; its present orientation is R = 1.
        models: name -> model; the user chooses one of them.
        atom: atom that is shown first, counted from 0.

    Raises:
        ValueError: if there is no model, or no such atom.

    >>> bars = wb.FeatureBars(wb.load("water"), {"water": wb.load_model("water")})
    >>> bars.turn_to(wb.rotation((1, 1, 0), 40))
    >>> norms, components = bars.moved  # a rotation mixes components and keeps norms
    >>> norms < 1e-5, components > 0.1
    (True, True)
    """

    def __init__(self, atoms: Atoms, models: Mapping[str, Predicting], atom: int = 0):
        if not models:
            raise ValueError('Give at least one model, e.g. {"stage 1": model}.')
        if not 0 <= atom < len(atoms):
            raise ValueError(f"There is no atom {atom}: the atoms are 0 to {len(atoms) - 1}.")
        self.models, self._atoms, self._first = dict(models), atoms, atom
        self._upright = {name: self._features(name, atoms) for name in self.models}
        self._now = self._upright[next(iter(self.models))]
        self._turn = np.eye(3)
        self.guard = Guard()
        self._style = lab_style("block_inspector")  # first, see `lab_style`
        self._build()
        self._connect()
        super().__init__(self._layout(), "wb-features")
        self._repaint()

    # ---- also available from code ---------------------------------------------

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The present orientation R (3, 3)."""
        return self._turn

    @property
    def features(self) -> Features:
        """Irrep -> features (atoms, copies, 2l+1) of the chosen model at this orientation."""
        return self._now

    @property
    def moved(self) -> tuple[float, float]:
        """Largest change of a norm and of a component since R = 1, relative to the largest norm."""
        before = self._upright[str(self.model.value)]
        largest = max(float(_norms(x).max()) for x in before.values())
        norms = max(np.abs(_norms(self._now[k]) - _norms(x)).max() for k, x in before.items())
        components = max(np.abs(self._now[k] - x).max() for k, x in before.items())
        return float(norms) / largest, float(components) / largest

    def turn_to(self, R: ArrayLike) -> None:
        """Rotate the structure to a rotation matrix R (3, 3)."""
        self.turning.to(R)

    def reset(self) -> None:
        """Restore R = 1 and the initial choices."""
        self.controls.reset()
        self.model.value = next(iter(self.models))
        self.atom.value, self.copy.value = self._first, 0
        self.turn_to(np.eye(3))

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        atoms = self._atoms
        names = [f"{symbol}{k + 1}" for k, symbol in enumerate(atoms.get_chemical_symbols())]
        copies = min(x.shape[1] for features in self._upright.values() for x in features.values())
        self.view = StructureView(atoms, height=220, hint="drag, or arrow keys")
        self.turning = Turning(self.view, self.guard, lambda R, _: self._show(R))
        self.controls = self.turning.controls
        self.model = dropdown(
            list(self.models), "network", "Network whose features are shown", "260px"
        )
        places = list(zip(names, range(len(names)), strict=True))
        self.atom = dropdown(places, "atom", "You can also click an atom in the picture", "130px")
        numbers = [(str(k + 1), k) for k in range(copies)]
        self.copy = dropdown(numbers, "copy", "Channel: one copy of each irrep", "130px")
        self.atom.value = self._first
        self.reset_button = widgets.Button(description="Reset", tooltip="Restore the initial state")
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

    def _features(self, name: str, atoms: Atoms) -> Features:
        features = self.models[name].predict(atoms).features.by_irrep()
        return {irrep: x.double().cpu().numpy() for irrep, x in features.items()}

    def _clicked(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.atom.value = change["new"][-1]

    def _show(self, R: NDArray[np.float64]) -> None:
        self._turn = R
        self._now = self._features(str(self.model.value), rotate(self._atoms, R))
        self._repaint()

    def _repaint(self) -> None:
        """Send everything that depends on the orientation to the browser."""
        atom, copy = int(self.atom.value or 0), int(self.copy.value or 0)
        self.view.pair = [atom, atom]
        before = {k: x[atom, copy] for k, x in self._upright[str(self.model.value)].items()}
        now = {k: x[atom, copy] for k, x in self._now.items()}
        norms = {k: float(np.linalg.norm(x)) for k, x in before.items()}
        largest = max(norms.values())
        groups = [
            Group(k, x, before[k], norms[k] if norms[k] > _ROUNDING * largest else largest)
            for k, x in now.items()
        ]
        names = {k: name for name, k in self.atom.options}
        label = f"Components of copy {copy + 1} of each irrep of {names[atom]}"
        self.bars.value = bar_groups(groups, 1.0, label)
        changes = [plain(x) for x in self.moved]
        self.said.value = (
            '<p class="wb-note">Bars in units of the irrep\'s norm at R = 1; dashed: the bars at '
            f"R = 1. Structure {orientation(self._turn)}.</p>"
            '<p class="wb-said">Since R = 1 (all atoms and copies): norms changed by at most '
            f"<b>{changes[0]}</b>, components by at most <b>{changes[1]}</b> of the largest "
            "norm.</p>"
        )
        present = ", ".join(f"{k} {number(float(np.linalg.norm(x)))}" for k, x in now.items())
        self.view.announcement = (
            f"Structure {orientation(self._turn)}. {self.model.value}, {names[atom]}, copy "
            f"{copy + 1}: norms {present}. Since R = 1 norms changed by at most {changes[0]}, "
            f"components by at most {changes[1]} of the largest norm."
        )


def _norms(features: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(features, axis=-1)
