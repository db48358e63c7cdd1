"""How labs lie on the page: named boxes, style sheets, and taking them off again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets

__all__ = ["close_inside", "group", "lab_style"]

_STATIC = Path(__file__).parent / "static"


def lab_style(*more: str) -> widgets.HTML:
    """The style sheet of all labs, and further ones by name, as an invisible child of one."""
    sheets = ((_STATIC / f"{name}.css").read_text() for name in ("rotation_lab", *more))
    text = "".join(sheets)
    return widgets.HTML(f"<style>{text}</style>", layout=widgets.Layout(display="none"))


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
