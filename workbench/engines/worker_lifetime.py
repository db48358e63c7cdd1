"""Worker processes that end with the process that started them."""

from __future__ import annotations

import os
import threading
import time
from functools import cache

__all__ = ["end_with"]


@cache
def end_with(parent: int) -> None:
    """From now on this process ends when its parent process does.

    A killed parent cannot stop its workers itself.

    Args:
        parent: process ID of the process that started this one.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
