"""Training in a background thread that can be paused, stopped, continued and monitored.

The thread iterates `workbench.training.loop.train`, so that other code can run at the same time:
the heavy work is done outside Python's interpreter lock or in steps of a few milliseconds. The
state can be queried at any moment. The display is in `workbench.widgets.training_panel`.
"""

from __future__ import annotations

import atexit
import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import closing, suppress
from os import PathLike
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from workbench.datasets.dataset import Dataset
from workbench.evaluation.equivariance import equivariance
from workbench.models.checkpoint import load_model
from workbench.models.config import ModelConfig
from workbench.models.twostage import TwoStageModel
from workbench.training.config import TrainConfig, TrainingError
from workbench.training.curves import Curves
from workbench.training.loop import train
from workbench.training.run import Run, described
from workbench.training.stage_loop import StepRecord

__all__ = ["LiveTraining"]

READY, RUNNING, PAUSED, STOPPED, FINISHED, FAILED = (
    "ready",
    "running",
    "paused",
    "stopped",
    "finished",
    "failed",
)

SHARE = 0.05
"""Largest share of the time that is spent on measuring the equivariance error."""

_ROTATIONS = 2  # random rotations per measurement
_EXIT_SECONDS = 4.0  # that a snapshot may take when the process ends
_UNDER_WAY: WeakValueDictionary[Path, LiveTraining] = WeakValueDictionary()
_STARTED: WeakSet[LiveTraining] = WeakSet()


class LiveTraining:
    """A run of `train` in its own thread.

    With a directory, a snapshot is written when the run is stopped and when the process exits
    normally. A killed process loses the steps after its last regular snapshot; when the run
    continues, it repeats them bit for bit. Without a directory a stopped run stays in memory.

    Args:
        config, dataset, train_config, directory, stage1, start: as for `train`. The thread opens
            the dataset again, so it may be a closed `Dataset` or a path.

    Attributes:
        state: "ready", "running", "paused", "stopped", "finished" or "failed".
        curves: the errors measured so far, including those of earlier processes.
        latest: the last record; None before the first one of this process.
        error: the exception that ended a failed run, or None.
        notice: the sentence that `train` announced about the cutoff, or None.

    Raises:
        TrainingError: if the directory holds a run with other settings.

    >>> from workbench.training.background import LiveTraining
    >>> small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    >>> budgets = wb.TrainConfig(stage1=wb.Budget(steps=2), stage2=None, batch_size=4)
    >>> with wb.Dataset("uracil") as uracil:
    ...     run = LiveTraining(small, uracil, budgets)
    >>> run.go()
    >>> run.wait(), run.state
    (True, 'finished')
    >>> [point.step for point in run.curves.losses]
    [1, 2]
    """

    def __init__(
        self,
        config: ModelConfig,
        dataset: Dataset | str | PathLike[str],
        train_config: TrainConfig | None = None,
        directory: str | PathLike[str] | None = None,
        stage1: TwoStageModel | None = None,
        start: TwoStageModel | None = None,
    ) -> None:
        self.config, self.how = config, train_config or TrainConfig()
        self.directory = Path(directory).resolve() if directory is not None else None
        self._sources = {"stage1": stage1, "start": start}
        self.path = dataset.path if isinstance(dataset, Dataset) else Path(dataset)
        self.state, self.latest, self.error = READY, None, None
        self.notice: str | None = None
        self._requested, self._thread = RUNNING, None
        self._changed, self._questions = threading.Condition(), SimpleQueue()
        self._records: Generator[StepRecord, None, None] | None = None
        self._model: TwoStageModel | None = None
        self._pace: deque[tuple[float, float]] = deque(maxlen=40)
        self._measured, self._cost, self._written = 0.0, 0.0, time.monotonic()
        with Dataset(self.path) as data:
            run = Run(config, data, self.how, self.directory, self._sources)
            self._info = described(run.settings, data)
            valid = data.split("valid")
            self.example = data.atoms(int((valid if len(valid) else data.split("train"))[0]))
        self.settings = run.settings
        self.curves = Curves.of(self.directory, run.progress)
        self._resume_from(run)

    def or_under_way(self) -> LiveTraining:
        """The run that this process already has under way in the same directory, or else this one.

        A cell that is executed again thus shows its run instead of starting a second one.
        """
        running = _UNDER_WAY.get(self.directory) if self.directory is not None else None
        active = running is not None and running.state in (RUNNING, PAUSED)
        return running if running is not None and active else self

    # ---- control ----------------------------------------------------------------------------

    def go(self) -> None:
        """Start, or continue after a pause, a stop or a failure; returns immediately.

        Raises:
            TrainingError: if the run is finished.
        """
        with self._changed:
            if self.state == FINISHED:
                raise TrainingError(
                    "This run is finished: take .model, or train with a larger budget in a new "
                    "directory."
                )
            if self.state == RUNNING and self._requested == RUNNING:
                return
            waiting, self._requested = self._thread is not None, RUNNING
            self.state, self.error = RUNNING, None
            self._changed.notify_all()
            if waiting:  # the thread reads requests between two steps
                return
            _STARTED.add(self)
            if self.directory is not None:
                _UNDER_WAY[self.directory] = self
            self._thread = threading.Thread(target=self._work, daemon=True, name="training")
            self._thread.start()

    def pause(self) -> None:
        """Pause after the present step; the run stays in memory."""
        self._request(PAUSED)

    def stop(self, wait: bool = True) -> None:
        """Stop after the present step; with a directory the run is then complete on disk.

        Args:
            wait: return only after the run has stopped.
        """
        self._request(STOPPED)
        if wait and (thread := self._thread) is not None:
            thread.join()

    def wait(self, timeout: float | None = None, meanwhile: Callable[[], Any] = int) -> bool:
        """Wait until the run is no longer running; interrupting the wait does not stop the run.

        Args:
            timeout: seconds; None waits without limit.
            meanwhile: called about four times a second.

        Returns:
            Whether the run ended before the timeout.

        Raises:
            Exception: the error of a failed run.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.state == RUNNING:
            meanwhile()
            if end is not None and time.monotonic() > end:
                return False
            with self._changed:
                self._changed.wait(0.25)
        meanwhile()
        if self.error is not None:
            raise self.error
        return True

    @property
    def model(self) -> TwoStageModel:
        """A copy of the present model.

        While a stage trains it has the weights of the last step and readouts that are not yet
        refitted. After a finished run it is the trained model.

        Raises:
            TrainingError: before the first step.
        """
        model = self._between_steps(lambda: self._copy() if self._model is not None else None)
        if model is None:
            raise TrainingError("There is no model before the first step: start the run and wait.")
        return model

    @property
    def seconds_left(self) -> float | None:
        """Seconds until this stage's budget is used up, from the pace of the last steps.

        None if the run is not running or has made fewer than two steps.
        """
        if self.state != RUNNING or self.latest is None or len(self._pace) < 2:
            return None
        gains = sum(gain for _, gain in self._pace)
        seconds = sum(s for s, _ in self._pace)
        return (1 - self.latest.progress) * seconds / gains if gains > 0 else None

    @property
    def stopping(self) -> bool:
        """Whether a requested stop or pause waits for the present step to end."""
        return self.state == RUNNING and self._requested != RUNNING

    # ---- the thread -------------------------------------------------------------------------

    def _request(self, state: str) -> None:
        with self._changed:
            if self.state in (RUNNING, PAUSED):
                self._requested = state
                self._changed.notify_all()

    def _work(self) -> None:
        state: str = FAILED
        try:
            if self._records is None:
                self._records = self._open_records()
            state, before = FINISHED, time.monotonic()
            for record in self._records:
                self._note(record, time.monotonic() - before)
                if not self._may_continue():
                    state = STOPPED
                    break
                before = time.monotonic()
            self._conclude(state)
        except Exception as error:
            state, self.error = FAILED, error
            with suppress(Exception):  # the same fault, such as a full disk, would hide the first
                self._close()
        with self._changed:
            # A request to continue that arrived while the thread ended would otherwise be lost.
            again = state == STOPPED and self._requested == RUNNING
            self.state = RUNNING if again else state
            self._thread = threading.Thread(target=self._work, daemon=True) if again else None
            self._answer()
            if self._thread is not None:
                self._thread.start()
            self._changed.notify_all()

    def _open_records(self) -> Generator[StepRecord, None, None]:
        def announce(sentence: str) -> None:
            self.notice = sentence

        with (
            Dataset(self.path) as data,
            closing(
                train(
                    self.config,
                    data,
                    self.how,
                    self.directory,
                    stage1=self._sources["stage1"],
                    start=self._sources["start"],
                    announce=announce,
                )
            ) as records,
        ):
            yield from records

    def _note(self, record: StepRecord, seconds: float) -> None:
        """Add a record to the curves and measure the equivariance error after a validation."""
        if self.latest is not None and record.label == self.latest.label:
            self._pace.append((seconds, record.progress - self.latest.progress))
        else:
            self._pace.clear()
        self.latest, self._model = record, record.model
        if record.finished:
            return
        self.curves.add(record)
        if record.valid_mae_ev is not None:
            self._measure_symmetry(record)
        if time.monotonic() - self._written > self.how.snapshot_seconds:
            self._write_curves()

    def _measure_symmetry(self, record: StepRecord) -> None:
        """Measure the equivariance error of both stages, in a share `SHARE` of the time."""
        start = time.monotonic()
        if record.loss_ev is not None and self._cost > SHARE * (start - self._measured):
            return
        model = self._copy()  # inference fills caches with tensors that cannot be trained through
        predictors = {"baseline": model.stage1, "refined": model}
        report = equivariance(predictors, self.example, samples=_ROTATIONS)
        rotations, inversion = (
            [errors[name].mae_mev for name in predictors]
            for errors in (report.errors, report.inversion)
        )
        self.curves.add_symmetry(record, rotations, inversion)
        self._measured = time.monotonic()
        self._cost = self._measured - start

    def _may_continue(self) -> bool:
        """Between two steps: answer questions, wait while paused; whether to train further."""
        with self._changed:
            self._answer()
            while self._requested == PAUSED:
                self.state = PAUSED
                self._changed.notify_all()
                self._changed.wait()
                self._answer()
            if self._requested == RUNNING:
                self.state = RUNNING
            return self._requested == RUNNING

    def _conclude(self, state: str) -> None:
        """Write model, snapshot and curves, unless the run stays in memory."""
        if self._model is not None:
            self._model = self._copy()
        self._write_curves()
        if state == FINISHED or self.directory is not None:
            self._close()

    def _close(self) -> None:
        """Close the generator, which writes a snapshot unless the generator has ended."""
        records, self._records = self._records, None
        if records is not None:
            records.close()

    def _write_curves(self) -> None:
        if self.directory is not None:
            self.curves.write(self.directory)
        self._written = time.monotonic()

    # ---- the model --------------------------------------------------------------------------

    def _between_steps(self, question: Callable[[], Any]) -> Any:
        """The result of a function of the model, which must not be called during a step."""
        answer: Future[Any] = Future()
        with self._changed:
            if self._thread is None:
                return question()
            self._questions.put((question, answer))
            self._changed.notify_all()
        return answer.result()

    def _answer(self) -> None:
        while True:
            try:
                question, answer = self._questions.get_nowait()
            except Empty:
                return
            try:
                answer.set_result(question())
            except Exception as error:
                answer.set_exception(error)

    def _copy(self) -> TwoStageModel:
        assert self._model is not None
        model = copy.deepcopy(self._model).eval()
        model.zero_grad()
        model.info = model.info or {**self._info, "history": list(self.curves.history)}
        return model

    def _resume_from(self, run: Run) -> None:
        """Set state and model from an earlier process's run, which may be finished."""
        stages = 1 if self.how.stage2 is None else 2
        checkpoint = self.directory is not None and self.directory / "model.safetensors"
        if checkpoint and run.progress.stage >= stages and checkpoint.is_file():
            self._model, self.state = load_model(checkpoint), FINISHED
        elif run.progress.history or run.progress.step or run.progress.stage:
            self.state = STOPPED


@atexit.register
def _stop_all() -> None:
    """Stop all runs at a normal exit, such as the shutdown or the restart of a kernel."""
    for run in list(_STARTED):
        run.stop(wait=False)
        if (thread := run._thread) is not None:
            thread.join(_EXIT_SECONDS)
        if run._thread is None:
            run._close()  # a run held in memory, as long as the interpreter can close it
