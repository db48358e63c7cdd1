"""TrainingPanel: train both stages, watch the errors fall, and use the notebook meanwhile."""

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

_OFTEN = 0.5  # seconds between two pictures
_SPEAK = 1.0  # seconds between two announcements, at least


class TrainingPanel(Lab):
    """Live errors of both stages while `workbench.train` runs in the background.

    The buttons start, pause, stop and go on; other cells run meanwhile, and a thread of its own
    paints the panel while they do (a click waits until the kernel is free). The run belongs to the
    kernel, not to the page: closing the tab leaves it going. With a directory it outlives the
    kernel too: the same call shows what was there and goes on from it, to the same bits; a call
    with the directory of a run that is under way shows that run.

    Args:
        config, dataset, train_config, directory, stage1, start: as `workbench.train` takes them.

    Attributes:
        run: the `LiveTraining`.

    Raises:
        TrainingError: if the directory holds a run of other settings.

    >>> panel = wb.TrainingPanel(wb.ModelConfig(), data, directory="runs/mine")  # doctest: +SKIP
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

    # ---- what the user can do from code as well ---------------------------------------------

    @property
    def model(self) -> TwoStageModel:
        """A copy of the model as it stands; of a finished run, the trained model."""
        return self.run.model

    @property
    def curves(self) -> Curves:
        """All errors measured so far."""
        return self.run.curves

    def start(self) -> None:
        """Start, or go on after a pause, a stop or a failure; returns at once."""
        self.run.go()
        self.refresh()
        self._follow()

    resume = start

    def pause(self) -> None:
        """Hold still after the present step, everything in memory."""
        self.run.pause()
        self.refresh()

    def stop(self, wait: bool = True) -> None:
        """End after the present step; with a directory everything is on disk then."""
        self.run.stop(wait)
        self.refresh()

    def wait(self, timeout: float | None = None) -> bool:
        """Until the run is no longer running, painting meanwhile; interrupting it stops nothing.

        Args:
            timeout: seconds; None for as long as it takes.

        Returns:
            Whether it ended in time; raises what ended a failed run.
        """
        ended = self.run.wait(timeout, self._paint_sometimes)
        self.refresh()
        return ended

    def close(self) -> None:
        """Take the panel off the page; the run goes on unless it is stopped."""
        self._closed.set()
        with self._painting:
            super().close()

    # ---- building ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.title, self.errors, self.symmetry, self.numbers = (widgets.HTML() for _ in range(4))
        self.status, self.spoken = widgets.HTML(), widgets.HTML()
        where = "on disk" if self.run.directory is not None else "in memory"
        self.buttons = {
            "Start": button("Start", "Begin to train", "play"),
            "Pause": button("Pause", "Hold still after this step, in memory", "pause"),
            "Resume": button("Resume", "Go on where it stood", "play"),
            "Stop": button("Stop", f"End after this step; everything stays {where}", "stop"),
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
        """Show how things stand now."""
        with self._painting:
            self._paint()

    def _paint(self) -> None:
        run, state = self.run, self.run.state
        if run.error is not None:
            with suppress(Exception):  # shown in the panel; `wait` raises it
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
        self._speak()

    def _speak(self) -> None:
        """The text twin: what is new, at most once a second."""
        said, now = announcement(self.run), time.monotonic()
        if said == self._said or (now - self._spoken < _SPEAK and self.run.state == RUNNING):
            return
        self._said, self._spoken = said, now
        self.spoken.value = f'<div class="wb-unseen" aria-live="polite">{said}</div>'

    def _paint_sometimes(self) -> None:
        if time.monotonic() - self._painted > _OFTEN or self.run.state != RUNNING:
            self._painted = time.monotonic()
            self.refresh()

    def _follow(self) -> None:
        """Repaint while the run is under way, from a thread: the kernel may be busy with a cell."""
        with self._painting:
            resting = self._painter is None or not self._painter.is_alive()
            if resting and self.run.state in (RUNNING, PAUSED):
                self._painter = threading.Thread(target=self._repaint, daemon=True, name="panel")
                self._painter.start()

    def _repaint(self) -> None:
        show = self.guard(self._paint_sometimes)
        while not self._closed.wait(_OFTEN):
            with self._painting:
                if self._closed.is_set():
                    return
                show()
                if self.run.state not in (RUNNING, PAUSED):
                    self.refresh()  # it may have ended since, and `show` clears what failed
                    self._painter = None
                    return


def _raise(error: Exception) -> None:
    raise error
