"""TrainingPanel: train both stages in the background and follow the errors."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from os import PathLike

import ipywidgets as widgets

from workbench.datasets.dataset import Dataset
from workbench.models.config import ModelConfig
from workbench.models.twostage import TwoStageModel
from workbench.training.background import FAILED, PAUSED, READY, RUNNING, STOPPED, LiveTraining
from workbench.training.config import TrainConfig
from workbench.training.curves import Curves
from workbench.views.training_plot import error_plot, symmetry_plot
from workbench.widgets.page import Lab, group, lab_style
from workbench.widgets.parts.choices import button
from workbench.widgets.parts.guard import Guard
from workbench.widgets.training_words import announcement, heading, state_line, table

_REPAINT_SECONDS = 0.5
_ANNOUNCE_SECONDS = 1.0  # shortest time between two announcements


class TrainingPanel(Lab):
    """Shows the errors of both stages while `workbench.train` runs in the background.

    The buttons start, pause, resume and stop the training. Other cells can run at the same time,
    while a separate thread repaints the panel; a click is handled when the kernel is free. The run
    belongs to the kernel, not to the page: it continues after the tab is closed. With a directory
    it also survives the kernel: the same call shows the stored run and resumes it with bitwise
    identical results. A call with the directory of an active run shows that run.

    Args:
        config, dataset, train_config, directory, stage1, start: arguments of `workbench.train`.

    Attributes:
        run: the `LiveTraining`.

    Raises:
        TrainingError: if the directory contains a run with other settings.

    >>> budget = wb.Budget(steps=0)  # only solves for the readouts
    >>> panel = wb.TrainingPanel(
    ...     wb.ModelConfig(lmax=2, channels=4, layers=1),
    ...     "water",
    ...     wb.TrainConfig(stage1=budget, stage2=None),
    ... )
    >>> panel.run.state
    'ready'
    """

    def __init__(
        self,
        config: ModelConfig,
        dataset: Dataset | str | PathLike[str],
        train_config: TrainConfig | None = None,
        directory: str | PathLike[str] | None = None,
        stage1: TwoStageModel | None = None,
        start: TwoStageModel | None = None,
    ):
        run = LiveTraining(config, dataset, train_config, directory, stage1, start)
        self.run = run.or_under_way()
        self.guard = Guard()
        self._spoken, self._said, self._drawn, self._painted = 0.0, "", (-1, -1), 0.0
        self._painter: threading.Thread | None = None
        self._painting, self._closed = threading.RLock(), threading.Event()
        self._build()
        super().__init__(self._layout(), "wb-training")
        self.refresh()
        self._follow()

    # ---- also available from code ---------------------------------------------

    @property
    def model(self) -> TwoStageModel:
        """A copy of the present model; after a finished run, the trained model."""
        return self.run.model

    @property
    def curves(self) -> Curves:
        """All errors measured so far."""
        return self.run.curves

    def start(self) -> None:
        """Start, or resume after a pause, a stop or a failure; returns immediately."""
        self.run.go()
        self.refresh()
        self._follow()

    resume = start

    def pause(self) -> None:
        """Pause after the present step; the state stays in memory."""
        self.run.pause()
        self.refresh()

    def stop(self, wait: bool = True) -> None:
        """Stop after the present step; with a directory the state is then on disk."""
        self.run.stop(wait)
        self.refresh()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run ends, and repaint the panel; an interrupt does not stop the run.

        Args:
            timeout: longest time to wait, s; None to wait without limit.

        Returns:
            Whether the run ended in time.

        Raises:
            Exception: the error of a failed run.
        """
        ended = self.run.wait(timeout, self._paint_sometimes)
        self.refresh()
        return ended

    def close(self) -> None:
        """Remove the panel from the page; the run continues unless it is stopped."""
        self._closed.set()
        with self._painting:
            super().close()

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.title, self.errors, self.symmetry, self.numbers = (widgets.HTML() for _ in range(4))
        self.status, self.spoken = widgets.HTML(), widgets.HTML()
        where = "on disk" if self.run.directory is not None else "in memory"
        self.buttons = {
            "Start": button("Start", "Start the training", "play"),
            "Pause": button("Pause", "Pause after this step; the state stays in memory", "pause"),
            "Resume": button("Resume", "Continue with the next step", "play"),
            "Stop": button("Stop", f"Stop after this step; the state stays {where}", "stop"),
        }
        actions = {
            "Start": self.start,
            "Pause": self.pause,
            "Resume": self.start,
            "Stop": lambda: self.stop(wait=False),
        }
        for name, act in actions.items():
            self.buttons[name].on_click(self.guard(lambda _, act=act: act()))

    def _layout(self) -> list[widgets.Widget]:
        pictures = [self.errors, self.symmetry]
        return [
            lab_style("training"),
            group(widgets.Box, "wb-head", [self.title, *self.buttons.values()]),
            self.guard.panel,
            self.status,
            group(widgets.Box, "wb-curves", pictures),
            self.numbers,
            self.spoken,
        ]

    # ---- showing ----------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the present state."""
        with self._painting:
            self._paint()

    def _paint(self) -> None:
        run, state = self.run, self.run.state
        if run.error is not None:
            with suppress(Exception):  # the panel shows it; `wait` raises it
                self.guard(_raise)(run.error)
        possible = {
            "Start": state in (READY, FAILED),
            "Pause": state == RUNNING and not run.stopping,
            "Resume": state in (PAUSED, STOPPED),
            "Stop": (state == RUNNING and not run.stopping) or state == PAUSED,
        }
        for name, can in possible.items():
            self.buttons[name].disabled = not can
        self.title.value = heading(run)
        self.status.value = state_line(run)
        self.numbers.value = table(run)
        now = (len(run.curves.losses), len(run.curves.history) + len(run.curves.symmetry))
        if now != self._drawn:
            self._drawn = now
            self.errors.value = error_plot(run.curves)
            self.symmetry.value = symmetry_plot(run.curves)
        self._announce()

    def _announce(self) -> None:
        """Announce news to screen readers, at most once a second."""
        sentence, now = announcement(self.run), time.monotonic()
        if sentence == self._said or (
            now - self._spoken < _ANNOUNCE_SECONDS and self.run.state == RUNNING
        ):
            return
        self._said, self._spoken = sentence, now
        self.spoken.value = f'<div class="wb-unseen" aria-live="polite">{sentence}</div>'

    def _paint_sometimes(self) -> None:
        if time.monotonic() - self._painted > _REPAINT_SECONDS or self.run.state != RUNNING:
            self._painted = time.monotonic()
            self.refresh()

    def _follow(self) -> None:
        """Repaint from a thread while the run is active: the kernel may be busy with a cell."""
        with self._painting:
            idle = self._painter is None or not self._painter.is_alive()
            if idle and self.run.state in (RUNNING, PAUSED):
                self._painter = threading.Thread(target=self._repaint, daemon=True, name="panel")
                self._painter.start()

    def _repaint(self) -> None:
        show = self.guard(self._paint_sometimes)
        while not self._closed.wait(_REPAINT_SECONDS):
            with self._painting:
                if self._closed.is_set():
                    return
                show()
                if self.run.state not in (RUNNING, PAUSED):
                    self.refresh()  # the run may have ended since `show`, which clears errors
                    self._painter = None
                    return


def _raise(error: Exception) -> None:
    raise error
