"""Long computations in the kernel's event loop, in short slices, so that the page responds."""

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

_SLICE = 0.05  # s of work, after which the kernel handles other requests of the page
_PAUSE = 0.01  # s; without it, messages of the browser would wait until the work ends


class Background:
    """Runs an iterator in the background; a new iterator replaces the present one.

    Between two slices the kernel answers the page and runs cells. A step of the iterator is never
    interrupted: a PySCF calculation of one second blocks the kernel for one second.

    Args:
        show: called after each slice, and once when the work ends or is stopped.

    Attributes:
        guard: shows an error, which ends the work.
        task: the present or last asyncio task; None before the first.
    """

    def __init__(self, show: Callable[[], None]):
        self.guard = Guard()
        self.running = False
        self.task: asyncio.Task[None] | None = None
        self._show = show
        self._steps: Iterator[Any] = iter(())

    def start(self, steps: Iterator[Any]) -> bool:
        """Start the steps; return False, without starting, if no event loop runs."""
        self.stop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._steps, self.running = steps, True
        self.task = loop.create_task(self._work(steps))
        return True

    def run(self, steps: Iterator[Any]) -> None:
        """Run all steps now; the page waits."""
        self.stop()
        for _ in steps:
            pass
        self._show()

    def stop(self) -> None:
        """Stop after the present step."""
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
    """A button that starts and stops a computation, with a progress bar and text.

    Args:
        steps: returns the iterator of the work; each step is one or a few evaluations.
        counted: returns evaluations done, evaluations in total, and seconds per evaluation.
        show: called after each slice to paint the present results.
        noun: name of the counted evaluations, e.g. "axes".
        tooltip: tooltip of the button.

    Attributes:
        box: button, bar and text; errors appear below them.
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
        """Whether the computation is running."""
        return self.background.running

    def start(self) -> None:
        """Compute in the background."""
        self.background.start(self._begin())
        self.refresh()

    def stop(self) -> None:
        """Stop after the present step; the results stay."""
        self.background.stop()

    def run(self) -> None:
        """Run the computation now; the page waits."""
        self.background.run(self._begin())

    def toggle(self) -> None:
        """Start the computation, or stop it if it is running."""
        if self.running:
            self.stop()
        else:
            self.start()

    def refresh(self) -> None:
        """Update the progress and show the present results."""
        done, total, each = self._counted()
        left = max(total - done, 0) * each
        self.progress.max, self.progress.value = max(total, 1), done
        self.button.description = "stop" if self.running else "compute"
        self.button.tooltip = "Stops; the results stay" if self.running else self._tooltip
        remaining = f", about {seconds(left)} left" if done < total else ""
        self.said.value = (
            f'<span class="wb-note" role="status">{done} of {total} {self._noun}{remaining} '
            f"({milli(1000 * each)} ms each)</span>"
        )
        self._show()
