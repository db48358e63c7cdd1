"""Lists and buttons as all labs have them: with a visible name and a tooltip."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets

__all__ = ["button", "dropdown"]


def dropdown(
    options: Sequence[object],
    name: str,
    tooltip: str,
    width: str,
    value: object = None,
    name_width: str = "initial",
) -> widgets.Dropdown:
    """A list to choose from; the first option is chosen unless a value is given."""
    chosen = {} if value is None else {"value": value}
    return widgets.Dropdown(
        options=options,
        description=name,
        tooltip=tooltip,
        style={"description_width": name_width},
        layout=widgets.Layout(width=width),
        **chosen,
    )


def button(name: str, tooltip: str, icon: str = "") -> widgets.Button:
    """A button as wide as its name."""
    return widgets.Button(
        description=name, tooltip=tooltip, icon=icon, layout=widgets.Layout(width="auto")
    )
