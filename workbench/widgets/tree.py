"""Widgets inside widgets: grouping them under a style, and finding them all to close them."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets

__all__ = ["close_inside", "group"]


def group(kind: type[widgets.Box], name: str, children: Sequence[widgets.Widget]) -> widgets.Box:
    """A box of these widgets with a name that the style sheet knows."""
    box = kind(children)
    box.add_class(name)
    return box


def close_inside(widget: widgets.Widget) -> None:
    """Close everything below a widget and drop all callbacks, its own too."""
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
