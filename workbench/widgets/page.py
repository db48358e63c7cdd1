"""How labs lie on the page: named boxes, style sheets, and taking them off again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import ipywidgets as widgets

__all__ = ["Names", "OwnKeys", "close_inside", "group", "lab_style"]

_STATIC = Path(__file__).parent / "static"


class Names(anywidget.AnyWidget):
    """Invisible in a lab: names its sliders and choices for those who do not see them.

    ipywidgets gives sliders no name, groups of buttons and of answers neither, and does not say
    which button is chosen. The names are the descriptions, labels and tooltips that are there.
    """

    _esm = _STATIC / "names.js"

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))


class OwnKeys(anywidget.AnyWidget):
    """Invisible in a lab: keeps the arrow keys of its lists, buttons and sliders for these.

    JupyterLab takes an arrow key that is pressed in a list for a move to another cell.
    """

    _esm = _STATIC / "keys.js"

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))


def lab_style(*more: str) -> widgets.Box:
    """The style sheet of all labs, further ones by name, names and keys: an invisible child of one.

    A lab makes it before its pictures: a browser that is busy with those takes longer over a module
    that comes after them than anywidget waits for one.
    """
    sheets = ((_STATIC / f"{name}.css").read_text() for name in ("rotation_lab", *more))
    text = "".join(sheets)
    sheet = widgets.HTML(f"<style>{text}</style>")
    return widgets.Box([sheet, Names(), OwnKeys()], layout=widgets.Layout(display="none"))


def group(kind: type[widgets.Box], name: str, children: Sequence[widgets.Widget]) -> widgets.Box:
    """A box of these widgets with a name that the style sheet knows."""
    box = kind(children)
    box.add_class(name)
    return box


def close_inside(widget: widgets.Widget) -> None:
    """Close everything below a widget and drop all callbacks, its own too; it stays open."""
    for inner in _inside(widget):
        inner.unobserve_all()
        if inner is not widget:
            inner.close()


def _inside(widget: widgets.Widget) -> list[widgets.Widget]:
    """A widget, everything below it, and their layouts and styles."""
    found = [widget]
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, widgets.Widget):
            found.append(part)
    for child in getattr(widget, "children", ()):
        found += _inside(child)
    return found
