"""The lists and buttons of all labs: with a visible name and a tooltip."""

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
    """A list of options; the first is selected unless a value is given."""
    selection = {} if value is None else {"value": value}
    return widgets.Dropdown(
        options=options,
        description=name,
        tooltip=tooltip,
        style={"description_width": name_width},
        layout=widgets.Layout(width=width),
        **selection,
    )


def button(name: str, tooltip: str, icon: str = "") -> widgets.Button:
    """A button that is as wide as its name."""
    return widgets.Button(
        description=name, tooltip=tooltip, icon=icon, layout=widgets.Layout(width="auto")
    )
