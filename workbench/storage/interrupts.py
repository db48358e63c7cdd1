"""Ctrl-C and SIGTERM that wait until a piece of work is complete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["deferred_interrupts"]


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Note SIGINT and SIGTERM during the block; they act at its end, if it raised no error.

    Signals reach the main thread only; in another thread this does nothing. A signal that Python
    does not handle (SIGTERM by default ends the process at once) is left as it is.

    >>> import signal
    >>> from workbench.storage.interrupts import deferred_interrupts
    >>> try:
    ...     with deferred_interrupts():
    ...         signal.raise_signal(signal.SIGINT)
    ...         completed = True
    ... except KeyboardInterrupt:
    ...     completed
    True
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append((number, frame))

    first, second = (signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM))
    try:
        _replace(signal.SIGINT, first, note)
        _replace(signal.SIGTERM, second, note)
        yield
    finally:
        try:  # Ctrl-C may strike as soon as the first one is back
            _replace(signal.SIGTERM, second, second)
        finally:
            _replace(signal.SIGINT, first, first)
    for number, frame in noted:
        handler: Any = first if number == signal.SIGINT else second
        handler(number, frame)


def _replace(number: int, present: Any, handler: Any) -> None:
    """Install a handler if the present one is a Python function."""
    if callable(present):
        signal.signal(number, handler)
