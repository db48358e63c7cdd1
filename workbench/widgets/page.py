"""Layout of labs on the page: named boxes, style sheets, and closing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets

__all__ = ["ClosedOnRerun", "Lab", "Names", "OwnKeys", "close_inside", "group", "lab_style"]

_STATIC = Path(__file__).parent / "static"


class ClosedOnRerun:
    """Marks a widget class whose instances are closed when their cell runs again.

    See `workbench.widgets.parts.rerun`.
    """


class Names(ClosedOnRerun, anywidget.AnyWidget):
    """Invisible part of a lab that names sliders, buttons and choices for screen readers.

    ipywidgets gives no accessible name to sliders, groups of buttons or radio buttons, and does not
    tell which button is pressed. The names are taken from descriptions, labels and tooltips.
    """

    _esm = _STATIC / "names.js"

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))


class OwnKeys(ClosedOnRerun, anywidget.AnyWidget):
    """Invisible part of a lab that keeps arrow keys for its lists, buttons and sliders.

    Without it JupyterLab moves to another cell when an arrow key is pressed in a list.
    """

    _esm = _STATIC / "keys.js"

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))


def lab_style(*more: str) -> widgets.Box:
    """An invisible child of a lab: the common style sheet, further sheets, `Names` and `OwnKeys`.

    A lab creates it before its pictures. While a browser is busy with pictures, a module that comes
    after them may load more slowly than anywidget's timeout.
    """
    sheets = ((_STATIC / f"{name}.css").read_text() for name in ("rotation_lab", *more))
    text = "".join(sheets)
    sheet = widgets.HTML(f"<style>{text}</style>")
    return widgets.Box([sheet, Names(), OwnKeys()], layout=widgets.Layout(display="none"))


def group(kind: type[widgets.Box], name: str, children: Sequence[widgets.Widget]) -> widgets.Box:
    """A box with a CSS class that the style sheet uses."""
    box = kind(children)
    box.add_class(name)
    return box


def close_inside(widget: widgets.Widget) -> None:
    """Close everything inside a widget and remove all callbacks, also its own; it stays open."""
    for inner in _inside(widget):
        inner.unobserve_all()
        if inner is not widget:
            inner.close()


def _inside(widget: widgets.Widget) -> list[widgets.Widget]:
    """A widget, everything inside it, and their layouts and styles."""
    inner = [widget]
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, widgets.Widget):
            inner.append(part)
    for child in getattr(widget, "children", ()):
        inner += _inside(child)
    return inner


class Lab(ClosedOnRerun, widgets.VBox):
    """A box that fills the width of a cell; `close` also closes everything inside.

    Args:
        children: the widgets, from top to bottom; one of them is `lab_style()`.
        name: CSS class of this kind of lab.
    """

    def __init__(self, children: Sequence[widgets.Widget], name: str = "") -> None:
        super().__init__(children)
        self.add_class("wb-lab")
        if name:
            self.add_class(name)

    def close(self) -> None:
        """Remove the lab from the page: close every widget inside and remove all callbacks."""
        close_inside(self)
        super().close()
