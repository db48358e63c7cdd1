"""A widget of one structure that is rebuilt when another structure is selected."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as widgets
import traitlets
from ase import Atoms

from workbench.widgets.page import ClosedOnRerun, lab_style
from workbench.widgets.parts.guard import Guard


class Driven(ClosedOnRerun, widgets.VBox):
    """A box with the widget that `build` makes of the structure selected in a picker.

    When another structure is selected, the old widget is closed and a new one is built; a line of
    text says so meanwhile. An error is shown in a panel, and the widget of the old structure is
    removed in this case, too.

    Args:
        picker: an object with a traitlet `atoms`.
        build: atoms -> a widget, e.g. a lab; may take seconds.

    Attributes:
        inside: the present widget; None if it could not be built.
    """

    def __init__(self, picker: traitlets.HasTraits, build: Callable[[Atoms], widgets.Widget]):
        self._picker, self._make = picker, build
        self.guard = Guard()
        self.inside: widgets.Widget | None = None
        self._busy = widgets.HTML()
        super().__init__([lab_style(), self._busy, self.guard.panel])
        self.add_class("wb-driven")
        # Stored, because `unobserve` needs the same function object.
        self._changed = self.guard(lambda change: self._rebuild(change["new"]))
        picker.observe(self._changed, "atoms")
        self.guard(self._rebuild)(picker.trait_values()["atoms"])

    def close(self) -> None:
        """Stop following the picker and remove everything inside from the page."""
        self._picker.unobserve(self._changed, "atoms")
        self._close_inside()
        super().close()

    def _empty(self) -> None:
        self.children = self.children[:3]
        self._close_inside()

    def _close_inside(self) -> None:
        if self.inside is not None:
            self.inside.close()
        self.inside = None

    def _rebuild(self, atoms: Any) -> None:
        self._empty()
        formula = escape(atoms.get_chemical_formula("hill"))
        self._busy.value = f'<p class="wb-said" role="status">Computing {formula} …</p>'
        try:
            widget = self._make(atoms)
            if not isinstance(widget, widgets.Widget):
                raise ValueError(f"build returned a {type(widget).__name__}: return a widget.")
            self.inside = widget
            self.children = [*self.children, widget]
        finally:
            self._busy.value = ""
