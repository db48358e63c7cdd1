"""Processes that must not outlive the one they work for."""

from __future__ import annotations

import os
import threading
import time
from functools import cache

__all__ = ["end_with"]


@cache
def end_with(parent: int) -> None:
    """From now on this process ends when its parent is gone.

    A killed process has no chance to tell those that it started.

    Args:
        parent: number of the process that started this one.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
