"""What belongs to one structure, made anew when another is chosen."""

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
    """A box that holds what `build` makes of the structure that a picker has chosen.

    When another is chosen the old widget is closed, its successor is built, and meanwhile a line
    says so; what goes wrong is said in the panel, and nothing of another structure is left to see.

    Args:
        picker: has a traitlet `atoms`.
        build: atoms -> a widget, e.g. a lab; may take seconds.

    Attributes:
        inside: the present widget, None if it could not be built.
    """

    def __init__(self, picker: traitlets.HasTraits, build: Callable[[Atoms], widgets.Widget]):
        self._picker, self._make = picker, build
        self.guard = Guard()
        self.inside: widgets.Widget | None = None
        self._busy = widgets.HTML()
        super().__init__([lab_style(), self._busy, self.guard.panel])
        self.add_class("wb-driven")
        # One function for good: `unobserve` finds it again by that.
        self._changed = self.guard(lambda change: self._rebuild(change["new"]))
        picker.observe(self._changed, "atoms")
        self.guard(self._rebuild)(picker.trait_values()["atoms"])

    def close(self) -> None:
        """Stop following the picker, and take everything inside off the page."""
        self._picker.unobserve(self._changed, "atoms")
        self._close_inside()  # whose place goes with this one, or has gone before it
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
            made = self._make(atoms)
            if not isinstance(made, widgets.Widget):
                raise ValueError(f"build returned a {type(made).__name__}: return a widget.")
            self.inside = made
            self.children = [*self.children, made]
        finally:
            self._busy.value = ""
