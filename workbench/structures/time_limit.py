"""A limit in time for code of other libraries that runs in Python, such as ASE's readers.

A signal would work in the main thread only, and a child process would cost a second for every file.
Here a second thread raises an exception in the thread that reads, at its next step in Python. A
single call into compiled code is not interrupted.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["time_limit"]

_AGAIN = 1.0  # s; a reader may catch the exception and go on


class _TimeUpError(BaseException):
    """Not an Exception, since readers catch those."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop the block after some time.

    Raises:
        TimeoutError: after ``seconds`` in the block.

    >>> from workbench.structures.time_limit import time_limit
    >>> with time_limit(0.1):
    ...     while True:
    ...         pass
    Traceback (most recent call last):
    TimeoutError
    """
    reader, ended, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def watch() -> None:
        wait = seconds
        while not ended.wait(wait):
            with lock:
                if not ended.is_set():
                    _raise_in(reader, _TimeUpError)
            wait = _AGAIN

    def end() -> None:
        with lock:
            ended.set()
        _raise_in(reader, None)  # takes back an exception that is still on its way

    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            yield
        finally:
            end()
    except _TimeUpError:
        end()  # again, should the exception have come before the first call
        raise TimeoutError from None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next step in Python; None takes it back."""
    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
