"""Training in the background: started, paused, stopped and gone on with, and watched meanwhile.

A thread iterates `workbench.training.loop.train`, so that other code runs meanwhile. All that is
heavy happens outside Python's interpreter lock or in pieces of a few milliseconds. The state can
be asked for at any moment; nothing here draws (see `workbench.widgets.training_panel`).
"""

from __future__ import annotations

import atexit
import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from os import PathLike
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from workbench.datasets.dataset import Dataset
from workbench.evaluation.equivariance import equivariance
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.checkpoint import load_model
from workbench.models.config import ModelConfig
from workbench.models.twostage import TwoStageModel
from workbench.training.config import TrainConfig, TrainingError
from workbench.training.curves import Curves
from workbench.training.loop import train
from workbench.training.run import Run
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
"""Of the time that measuring symmetry may take."""

_TURNS = 2  # random rotations per measurement
_LAST_WORD = 4.0  # seconds that a snapshot may take when the process ends
_UNDER_WAY: WeakValueDictionary[Path, LiveTraining] = WeakValueDictionary()
_STARTED: WeakSet[LiveTraining] = WeakSet()


class LiveTraining:
    """A run of `train` in a thread of its own.

    With a directory, stopping writes a snapshot, and so does an orderly end of the process; a
    killed one loses what came after the last regular snapshot, and going on repeats it to the same
    bits. Without a directory a stopped run waits in memory.

    Args:
        config, dataset, train_config, directory, stage1, start: as `train` takes them. The dataset
            is opened anew by the thread, and may be closed or be a path.

    Attributes:
        state: "ready", "running", "paused", "stopped", "finished" or "failed".
        curves: all that was measured so far, also before this process began.
        latest: the last record; None before the first one of this process.
        error: what ended a failed run.

    Raises:
        TrainingError: if the directory holds a run of other settings.
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
        self.given = {"stage1": stage1, "start": start}
        self.path = dataset.path if isinstance(dataset, Dataset) else Path(dataset)
        self.state, self.latest, self.error = READY, None, None
        self._wanted, self._thread = RUNNING, None
        self._changed, self._asked = threading.Condition(), SimpleQueue()
        self._records: Generator[StepRecord, None, None] | None = None
        self._model: TwoStageModel | None = None
        self._pace: deque[tuple[float, float]] = deque(maxlen=40)
        self._measured, self._cost, self._kept = 0.0, 0.0, time.monotonic()
        with Dataset(self.path) as data:
            run = Run(config, data, self.how, self.directory, self.given)
            train_set = [data.atoms(int(i)) for i in data.split("train")]
            valid = data.split("valid")
            self.example = data.atoms(int(valid[0])) if len(valid) else train_set[0]
        self.settings = run.settings
        self._info = {**run.settings, "domain": ApplicabilityDomain.of(train_set).to_json()}
        self.curves = Curves.of(self.directory, run.progress)
        self._look_at(run)

    def or_under_way(self) -> LiveTraining:
        """The run that this process already has under way in the same directory, or else this one.

        A cell that is executed again thus shows its run instead of starting a second one.
        """
        running = _UNDER_WAY.get(self.directory) if self.directory is not None else None
        active = running is not None and running.state in (RUNNING, PAUSED)
        return running if running is not None and active else self

    # ---- what one can do --------------------------------------------------------------------

    def go(self) -> None:
        """Start, or go on after a pause, a stop or a failure; returns at once.

        Raises:
            TrainingError: if the run is finished.
        """
        with self._changed:
            if self.state == FINISHED:
                raise TrainingError(
                    "This run is finished: take .model, or train with a larger budget in a new "
                    "directory."
                )
            if self.state == RUNNING and self._wanted == RUNNING:
                return
            waiting, self._wanted = self._thread is not None, RUNNING
            self.state, self.error = RUNNING, None
            self._changed.notify_all()
            if waiting:  # the thread takes its orders between two steps
                return
            _STARTED.add(self)
            if self.directory is not None:
                _UNDER_WAY[self.directory] = self
            self._thread = threading.Thread(target=self._work, daemon=True, name="training")
            self._thread.start()

    def pause(self) -> None:
        """Hold still after the present step, everything in memory."""
        self._ask_for(PAUSED)

    def stop(self, wait: bool = True) -> None:
        """End after the present step; with a directory everything is on disk then.

        Args:
            wait: until it has happened.
        """
        self._ask_for(STOPPED)
        if wait and (thread := self._thread) is not None:
            thread.join()

    def wait(self, timeout: float | None = None, meanwhile: Callable[[], Any] = int) -> bool:
        """Until the run is no longer running; interrupting the wait does not end the run.

        Args:
            timeout: seconds; None for as long as it takes.
            meanwhile: called some times a second.

        Returns:
            Whether it ended in time.

        Raises:
            Exception: what ended a failed run.
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
        """A copy of the model as it stands.

        While a stage trains these are the weights of its last step, whose readouts are not yet
        solved for; of a finished run, the trained model.

        Raises:
            TrainingError: before the first step.
        """
        found = self._between_steps(lambda: self._copy() if self._model is not None else None)
        if found is None:
            raise TrainingError("There is no model before the first step: start, and wait.")
        return found

    @property
    def seconds_left(self) -> float | None:
        """Until the present stage's budget is used up, from the pace of the last steps; or None."""
        if self.state != RUNNING or self.latest is None or len(self._pace) < 2:
            return None
        gains = sum(gain for _, gain in self._pace)
        seconds = sum(s for s, _ in self._pace)
        return (1 - self.latest.progress) * seconds / gains if gains > 0 else None

    @property
    def stopping(self) -> bool:
        """Whether a stop or pause waits for the present step to end."""
        return self.state == RUNNING and self._wanted != RUNNING

    # ---- the thread -------------------------------------------------------------------------

    def _ask_for(self, state: str) -> None:
        with self._changed:
            if self.state in (RUNNING, PAUSED):
                self._wanted = state
                self._changed.notify_all()

    def _work(self) -> None:
        state: str = FAILED
        try:
            if self._records is None:
                self._records = self._opened()
            state, before = FINISHED, time.monotonic()
            for record in self._records:
                self._note(record, time.monotonic() - before)
                if not self._may_go_on():
                    state = STOPPED
                    break
                before = time.monotonic()
            self._leave(state)
        except Exception as error:
            state, self.error = FAILED, error
            self._close()
        with self._changed:
            # An order to go on that came while the thread was ending would otherwise be lost.
            again = state == STOPPED and self._wanted == RUNNING
            self.state = RUNNING if again else state
            self._thread = threading.Thread(target=self._work, daemon=True) if again else None
            self._answer()
            if self._thread is not None:
                self._thread.start()
            self._changed.notify_all()

    def _opened(self) -> Generator[StepRecord, None, None]:
        with (
            Dataset(self.path) as data,
            closing(train(self.config, data, self.how, self.directory, **self.given)) as records,
        ):
            yield from records

    def _note(self, record: StepRecord, seconds: float) -> None:
        """Keep what a record says."""
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
        if time.monotonic() - self._kept > self.how.snapshot_seconds:
            self._keep_curves()

    def _measure_symmetry(self, record: StepRecord) -> None:
        """How far both stages are from the law of turning, where that takes little of the time."""
        start = time.monotonic()
        if record.loss_ev is not None and self._cost > SHARE * (start - self._measured):
            return
        model = self._copy()  # what inference leaves in a model's caches cannot be trained through
        predictors = {"baseline": model.stage1, "refined": model}
        found = equivariance(predictors, self.example, samples=_TURNS)
        self.curves.add_symmetry(record, *(found[name].mae_mev for name in predictors))
        self._measured = time.monotonic()
        self._cost = self._measured - start

    def _may_go_on(self) -> bool:
        """Between two steps: answer questions, hold still while paused, or end."""
        with self._changed:
            self._answer()
            while self._wanted == PAUSED:
                self.state = PAUSED
                self._changed.notify_all()
                self._changed.wait()
                self._answer()
            if self._wanted == RUNNING:
                self.state = RUNNING
            return self._wanted == RUNNING

    def _leave(self, state: str) -> None:
        """Put on disk what is not there yet."""
        if self._model is not None:
            self._model = self._copy()
        if state == FINISHED or self.directory is not None:
            self._close()
        self._keep_curves()

    def _close(self) -> None:
        """Close the generator: unless it has ended, this writes the state."""
        records, self._records = self._records, None
        if records is not None:
            records.close()

    def _keep_curves(self) -> None:
        if self.directory is not None:
            self.curves.write(self.directory)
        self._kept = time.monotonic()

    # ---- the model --------------------------------------------------------------------------

    def _between_steps(self, question: Callable[[], Any]) -> Any:
        """The answer to a question about the model, which must not be asked during a step."""
        answer: Future[Any] = Future()
        with self._changed:
            if self._thread is None:
                return question()
            self._asked.put((question, answer))
            self._changed.notify_all()
        return answer.result()

    def _answer(self) -> None:
        while True:
            try:
                question, answer = self._asked.get_nowait()
            except Empty:
                return
            try:
                answer.set_result(question())
            except Exception as error:
                answer.set_exception(error)

    def _copy(self) -> TwoStageModel:
        assert self._model is not None
        made = copy.deepcopy(self._model).eval()
        made.zero_grad()
        made.info = made.info or {**self._info, "history": list(self.curves.history)}
        return made

    def _look_at(self, run: Run) -> None:
        """What an earlier process has left: a run to go on with, or a finished one."""
        last = 1 if self.how.stage2 is None else 2
        finished = self.directory is not None and self.directory / "model.safetensors"
        if finished and run.progress.stage >= last and finished.is_file():
            self._model, self.state = load_model(finished), FINISHED
        elif run.progress.history or run.progress.step or run.progress.stage:
            self.state = STOPPED


@atexit.register
def _stop_all() -> None:
    """An orderly end of the process is a stop: kernels are shut down and restarted that way."""
    for run in list(_STARTED):
        run.stop(wait=False)
        if (thread := run._thread) is not None:
            thread.join(_LAST_WORD)
        if run._thread is None:
            run._close()  # one held in memory, while there still is an interpreter to do it
