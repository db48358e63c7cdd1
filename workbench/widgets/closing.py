"""Taking a widget off the page together with everything inside it."""

from __future__ import annotations

import ipywidgets as widgets


def close_inside(widget: widgets.Widget) -> None:
    """Close what a widget holds, and drop all callbacks; the widget itself stays open."""
    for part in _inside(widget):
        part.unobserve_all()
        part.close() if part is not widget else None


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
