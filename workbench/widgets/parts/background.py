"""Long computations on the kernel's own loop, in slices, so that the page stays alive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets

from workbench.views.numbers import milli, seconds
from workbench.widgets.page import group
from workbench.widgets.parts.guard import Guard

__all__ = ["Background", "Job"]

_SLICE = 0.05  # s of work; then whatever else the page has asked for has its turn
_PAUSE = 0.01  # s; with none, messages of the browser would wait until all is done


class Background:
    """Works through one iterator after the other; a new one takes the place of the present one.

    Between two slices the kernel answers the page and runs cells. One step of the iterator is never
    cut: a step of PySCF's holds the kernel for its second.

    Args:
        show: called after each slice, and once when the work has ended or has been stopped.

    Attributes:
        guard: where an error is shown; the work ends with it.
        task: the present or last one, to wait for; None before the first.
    """

    def __init__(self, show: Callable[[], None]):
        self.guard = Guard()
        self.running = False
        self.task: asyncio.Task[None] | None = None
        self._show = show
        self._steps: Iterator[Any] = iter(())

    def start(self, steps: Iterator[Any]) -> bool:
        """Begin with the steps; returns False, and does nothing, where no loop runs."""
        self.stop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._steps, self.running = steps, True
        self.task = loop.create_task(self._work(steps))
        return True

    def run(self, steps: Iterator[Any]) -> None:
        """Work through all steps at once; the page waits."""
        self.stop()
        for _ in steps:
            pass
        self._show()

    def stop(self) -> None:
        """End after the present step."""
        if self.running:
            self.running, self._steps = False, iter(())
            self._show()

    async def _work(self, steps: Iterator[Any]) -> None:
        work = self.guard(lambda: self._slice(steps))
        while self.running and self._steps is steps:
            try:
                work()
            except Exception:
                self.running = False
                raise
            await asyncio.sleep(_PAUSE)

    def _slice(self, steps: Iterator[Any]) -> None:
        until, ended = time.perf_counter() + _SLICE, True
        try:
            for _ in steps:
                if time.perf_counter() >= until:
                    ended = False
                    break
        finally:
            self.running = not ended
            self._show()


class Job:
    """A button that starts and stops a computation, with its progress in a bar and in words.

    Args:
        steps: begins the work; each step is one or a few evaluations.
        counted: evaluations done, evaluations in all, seconds that each takes.
        show: called with everything that was found so far painted anew.
        noun: what is counted, e.g. "axes".
        tooltip: what the button does.

    Attributes:
        box: button, bar and words; errors appear below them.
    """

    def __init__(
        self,
        steps: Callable[[], Iterator[Any]],
        counted: Callable[[], tuple[int, int, float]],
        show: Callable[[], None],
        noun: str,
        tooltip: str,
    ):
        self._begin, self._counted, self._show = steps, counted, show
        self._noun, self._tooltip = noun, tooltip
        self.background = Background(self.refresh)
        self.button = widgets.Button(layout=widgets.Layout(width="auto"))
        self.button.on_click(self.background.guard(lambda _: self.toggle()))
        self.progress = widgets.IntProgress(layout=widgets.Layout(width="110px"))
        self.said = widgets.HTML()
        row = [self.button, self.progress, self.said, self.background.guard.panel]
        self.box = group(widgets.Box, "wb-row", row)

    @property
    def running(self) -> bool:
        """Whether it computes."""
        return self.background.running

    def start(self) -> None:
        """Compute in the background."""
        self.background.start(self._begin())
        self.refresh()

    def stop(self) -> None:
        """End after the present step; what was found stays."""
        self.background.stop()

    def run(self) -> None:
        """Compute now, while the page waits."""
        self.background.run(self._begin())

    def toggle(self) -> None:
        """Start, or stop."""
        if self.running:
            self.stop()
        else:
            self.start()

    def refresh(self) -> None:
        """Say how far it is, and show what was found."""
        done, total, each = self._counted()
        left = max(total - done, 0) * each
        self.progress.max, self.progress.value = max(total, 1), done
        self.button.description = "stop" if self.running else "compute"
        self.button.tooltip = "Stops; what was found stays" if self.running else self._tooltip
        rest = f", about {seconds(left)} left" if done < total else ""
        self.said.value = (
            f'<span class="wb-note" role="status">{done} of {total} {self._noun}{rest} '
            f"({milli(1000 * each)} ms each)</span>"
        )
        self._show()
