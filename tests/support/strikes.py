"""A strike at each line of some files in turn, under a trace function of Python."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

Place = tuple[str, int]


class Strike:
    """A trace function of Python that calls ``act`` at the first line that is not in ``struck``."""

    def __init__(self, files: set[str | None], struck: set[Place], act: Callable[[], None]):
        self.files, self.struck, self.act = files, struck, act
        self.place: Place | None = None

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if self.place is not None or frame.f_code.co_filename not in self.files:
            return None
        place = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and place not in self.struck:
            self.place = place
            sys.settrace(None)  # the rest of the step is as fast as ever
            self.act()
        return self
