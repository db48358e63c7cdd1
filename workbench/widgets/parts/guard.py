"""One place for what goes wrong in a callback: traitlets and comms would swallow it."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import ipywidgets as widgets

RAISE = "WORKBENCH_RAISE"
"""Environment variable: set (by the tests), errors are raised after they have been shown."""


class Guard:
    """Wraps callbacks: an error becomes a sentence in `panel`, which the next success clears.

    >>> button.on_click(guard(callback))  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.panel = widgets.HTML()
        self.panel.add_class("wb-error")

    def __call__(self, callback: Callable[..., None]) -> Callable[..., None]:
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
    """What an error says, as HTML: a ValueError speaks for itself, others name their type."""
    text = str(error).strip().partition("\n")[0]
    named = text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
    return html.escape(named.rstrip(": "))
