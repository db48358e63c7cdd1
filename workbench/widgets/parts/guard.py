"""Show errors of callbacks, which traitlets and comms would otherwise swallow."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import ipywidgets as widgets

RAISE = "WORKBENCH_RAISE"
"""Environment variable: if it is set, as in tests, errors are shown and then raised."""


class Guard:
    """Wraps callbacks: an error becomes a sentence in `panel`; the next success clears it.

    A callback is connected as ``button.on_click(guard(callback))``.
    """

    def __init__(self) -> None:
        self.panel = widgets.HTML()
        self.panel.add_class("wb-error")

    def __call__(self, callback: Callable[..., object]) -> Callable[..., None]:
        """The callback, guarded."""

        @wraps(callback)
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                callback(*args, **kwargs)
            except Exception as error:
                self.panel.value = f'<div role="alert">{sentence(error)}</div>'
                if os.environ.get(RAISE):
                    raise
            else:
                self.panel.value = ""

        return guarded


def sentence(error: Exception) -> str:
    """The message of an error as HTML; the type is named unless it is a ValueError."""
    text = str(error).strip().partition("\n")[0]
    named = text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
    return html.escape(named.rstrip(": "))
