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
    former: dict[int, Any] = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    former = {number: handler for number, handler in former.items() if callable(handler)}
    noted: list[tuple[int, FrameType | None]] = []
    is_deferred = True

    def note(number: int, frame: FrameType | None) -> None:
        if is_deferred:
            noted.append((number, frame))
        else:  # a signal that came before the former handler was back
            former[number](number, frame)

    try:
        for number in former:
            signal.signal(number, note)
        yield
    finally:
        is_deferred = False
        for number, handler in former.items():
            signal.signal(number, handler)
    for number, frame in noted:
        former[number](number, frame)
