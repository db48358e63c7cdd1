"""How labs are laid out on the page: named boxes and one style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets

_CSS = (Path(__file__).parent / "static" / "rotation_lab.css").read_text()


def lab_style() -> widgets.HTML:
    """The style sheet of all labs, as an invisible child of one."""
    return widgets.HTML(f"<style>{_CSS}</style>", layout=widgets.Layout(display="none"))


def group(kind: type[widgets.Box], name: str, children: Sequence[widgets.Widget]) -> widgets.Box:
    """A box of widgets with a class for the style sheet."""
    box = kind(children)
    box.add_class(name)
    return box
