"""The optimisation of one stage, as an iterator with a record per step."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from workbench.hamiltonians.conventions import MEV
from workbench.models.twostage import TwoStageModel
from workbench.storage.interrupts import deferred_interrupts
from workbench.training.config import Budget, TrainingError
from workbench.training.history import history_row, phase_label
from workbench.training.objective import Objective
from workbench.training.run import Run

__all__ = ["StageLoop", "StepRecord"]


@dataclass(frozen=True)
class StepRecord:
    """What happened in one step.

    A stage's last record reports no gradient step: its readouts were refitted by ridge regression.

    Attributes:
        phase: the stage that trains, "stage 1" or "stage 2".
        solved: whether the readouts of this stage are refitted.
        step: gradient steps of this stage so far, from 1.
        progress: share of this stage's budget that is used, 0 to 1.
        loss_ev: MAE on the mini-batch, eV; None when the readouts were refitted.
        valid_mae_ev: MAE on the validation set with the averaged weights, eV; None between
            validations.
        learning_rate: of this step.
        cpu_seconds: spent in this stage so far.
        finished: whether this is the run's last record.
        model: the model as it stands; after the last record it has the averaged weights.

    >>> small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    >>> budgets = wb.TrainConfig(stage1=wb.Budget(steps=2), stage2=None, batch_size=4)
    >>> with wb.Dataset("uracil") as uracil:
    ...     first, *_, last = wb.train(small, uracil, budgets)
    >>> first.phase, first.step, first.progress, first.solved
    ('stage 1', 1, 0.5, False)
    >>> last.solved, last.finished, last.valid_mae_ev < first.loss_ev
    (True, True, True)
    """

    phase: str
    solved: bool
    step: int
    progress: float
    loss_ev: float | None
    valid_mae_ev: float | None
    learning_rate: float
    cpu_seconds: float
    finished: bool
    model: TwoStageModel = field(repr=False)

    @property
    def label(self) -> str:
        """The stage's name, with ", solved" after its readouts were refitted."""
        return phase_label(self.phase, self.solved)


class _DivergenceError(ArithmeticError):
    """A loss, a validation error or a weight is no finite number; the message says which."""


class _Packed:
    """Arguments that Fabric passes on unchanged.

    Otherwise, in mixed precision, Fabric rounds every tensor it finds to bfloat16, even distances
    in A, and it fails at frozen dataclasses.
    """

    def __init__(self, arguments: tuple[object, ...]) -> None:
        self.arguments = arguments


class _Unpacking(nn.Module):
    """A network that takes its arguments packed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, packed: _Packed) -> object:
        """The network's output for these arguments."""
        return self.network(*packed.arguments)


class StageLoop:
    """The optimisation of one stage, as an iterator of records."""

    def __init__(
        self, objective: Objective, run: Run, number: int, budget: Budget, rate: float
    ) -> None:
        self.objective, self.run, self.budget, self.rate = objective, run, budget, rate
        self.number = number
        self._permutation: tuple[int, Tensor] = (-1, torch.empty(0))  # epoch, order
        self.state = run.begin_stage(objective.module, rate)
        if run.fabric.world_size > 1:
            self._leave_out_unused()
        network, self.optimizer = run.fabric.setup(
            _Unpacking(objective.module), self.state.optimizer
        )
        self.network: Callable[..., object] = lambda *arguments: network(_Packed(arguments))
        self.record: StepRecord | None = None
        self._is_whole = True  # whether the state is that between two steps
        self._written = time.monotonic()  # when the last snapshot was

    def __iter__(self) -> Iterator[StepRecord]:
        now = self.run.progress
        progress = self.budget.progress(now.step, now.cpu_seconds)
        if progress == 0:
            self._compare(*self.run.mean(self.objective.validate()))
        try:
            while progress < 1:
                with self._whole_step():
                    self.record = self._advance(progress)
                    progress = self.record.progress
                yield self.record
        except (GeneratorExit, KeyboardInterrupt):
            self._snapshot()
            raise
        except _DivergenceError as error:  # the state is that of half a step and is not saved
            self._go_on_with_the_best(error)
        self._snapshot()  # a run that is stopped while its readouts are refitted goes on from here
        yield self._solve()

    @contextmanager
    def _whole_step(self) -> Iterator[None]:
        """The block is a step; Ctrl-C and SIGTERM act at its end.

        After any other exception in the block the state is that of half a step and is not saved:
        the run continues from the last snapshot.
        """
        with deferred_interrupts():
            self._is_whole = False
            yield
            self._is_whole = True

    def _go_on_with_the_best(self, error: ArithmeticError) -> None:
        """End the gradient steps of a run that diverged, if weights from before are kept.

        Raises:
            TrainingError: if none are.
        """
        settings, best = self.run.train_config, self.run.progress.best_ev
        name = "learning_rate" if self.number == 0 else "refiner_learning_rate"
        said = f"{self.objective.name.capitalize()} diverged ({error})"
        if not (settings.keep_best and math.isfinite(best)):
            raise TrainingError(
                f"{said}, and nothing of it is written: train in a new directory with a lower "
                f"{name} than {self.rate:g}."
            ) from error
        warnings.warn(
            f"{said}: it ends with its best weights, of a validation error of "
            f"{MEV * best:.4g} meV; a lower {name} than {self.rate:g} trains longer.",
            stacklevel=3,
        )

    def _snapshot(self) -> None:
        """Save the run, unless its state is that of half a step."""
        with deferred_interrupts():
            if self._is_whole:
                self.run.snapshot(self.objective.model)
                self._written = time.monotonic()

    def _advance(self, progress: float) -> StepRecord:
        """One step from this share of the budget on, with its validation and snapshot if due."""
        run, now = self.run, self.run.progress
        # What the consumer does between two records, or a pause, is not training.
        started = time.process_time() - now.cpu_seconds
        rate = self._set_rate(progress)
        loss = self._step()
        now.step += 1
        loss, now.cpu_seconds, unsaved = run.mean(
            loss, time.process_time() - started, time.monotonic() - self._written
        )
        if not math.isfinite(loss):
            raise _DivergenceError(f"the loss of step {now.step} is {loss}")
        reached = self.budget.progress(now.step, now.cpu_seconds)
        valid = self._validated(progress, reached)
        if unsaved > run.train_config.snapshot_seconds:
            if not self.state.is_finite():
                raise _DivergenceError(f"a weight after step {now.step} is no finite number")
            run.snapshot(self.objective.model)
            self._written = time.monotonic()
        return self._record(reached, loss, valid, rate)

    def _solve(self) -> StepRecord:
        """Refit the readouts of the averaged weights, which ends the stage."""
        run, now = self.run, self.run.progress
        started = time.process_time() - now.cpu_seconds
        self.state.load(self.state.best if run.train_config.keep_best else self.state.average)
        [valid] = run.mean(self.objective.solve())
        if not math.isfinite(valid):
            raise TrainingError(
                f"The readouts of {self.objective.name} cannot be refitted, since the validation "
                f"error is {valid}: train in a new directory with a lower learning rate."
            )
        now.cpu_seconds = time.process_time() - started
        self._note(valid, solved=True)
        self.record = self._record(1.0, None, valid, 0.0, solved=True)
        run.end_stage(self.number, self.objective.model)
        return self.record

    def _record(
        self,
        progress: float,
        loss: float | None,
        valid: float | None,
        rate: float,
        solved: bool = False,
    ) -> StepRecord:
        now = self.run.progress
        return StepRecord(
            phase=self.objective.name,
            solved=solved,
            step=now.step,
            progress=progress,
            loss_ev=loss,
            valid_mae_ev=valid,
            learning_rate=rate,
            cpu_seconds=now.cpu_seconds,
            finished=False,
            model=self.objective.model,
        )

    # ---- one step ---------------------------------------------------------------------------

    def _step(self) -> float:
        """Draw a mini-batch, descend its gradient, update the average; the loss in eV.

        Of several processes each returns its share of the loss, whose mean is the loss.
        """
        run, settings, step = self.run, self.run.train_config, self.run.progress.step
        batch, seed = self._batch(), (settings.seed, self.number, step)
        loss = self.objective.loss(self.network, batch, seed, run.share)
        if run.fabric.world_size > 1:  # the mean over processes is that over the elements
            elements = self.objective.train.store.elements[batch]
            loss = loss * (run.fabric.world_size * elements[run.share].sum() / elements.sum())
        self.optimizer.zero_grad()
        # In units of the targets: in eV gradients of 1e-5 would vanish beside Adam's epsilon.
        run.fabric.backward(loss / self.objective.unit_ev)
        nn.utils.clip_grad_norm_(self.state.parameters, settings.clip)
        self.optimizer.step()
        self.state.update_average(min(settings.ema, (1 + step) / (10 + step)))
        return float(loss.detach())

    def _batch(self) -> Tensor:
        """The step's mini-batch, from one permutation per epoch."""
        run, structures = self.run, len(self.objective.train.store)
        size = min(run.train_config.batch_size, structures)
        epoch, batch = divmod(run.progress.step, structures // size)
        if self._permutation[0] != epoch:
            rng = np.random.default_rng([run.train_config.seed, self.number, epoch, 1])
            self._permutation = (epoch, torch.from_numpy(rng.permutation(structures)))
        return self._permutation[1][batch * size : (batch + 1) * size].to(run.fabric.device)

    def _leave_out_unused(self) -> None:
        """No gradients of parameters that the loss does not use: no process waits for them.

        Without d shells, for example, orders above those of a block have no channel.
        """
        with self.run.fabric.autocast():
            self.objective.loss(self.objective.module, self._batch(), (0, 0, 0)).backward()
        for parameter in self.state.parameters:
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None

    def _set_rate(self, progress: float) -> float:
        """Linear warm-up, then half a cosine to zero."""
        rising = min(1.0, (progress + 1e-3) / max(self.run.train_config.warmup, 1e-9))
        rate = self.rate * rising * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _validated(self, before: float, now: float) -> float | None:
        """Validation MAE in eV, each time a further 1 / ``validations`` of the budget is used."""
        validations = self.run.train_config.validations
        if int(before * validations) == int(now * validations):
            return None
        weights = [p.detach().clone() for p in self.state.parameters]
        self.state.load(self.state.average)
        try:
            [mae] = self.run.mean(self.objective.validate())
        finally:
            self.state.load(weights)
        if not math.isfinite(mae):
            step = self.run.progress.step
            raise _DivergenceError(f"the validation error after step {step} is {mae}")
        self._compare(mae)
        self._note(mae)
        return mae

    def _compare(self, valid_mae_ev: float) -> None:
        """Keep the averaged weights if this validation error is the lowest so far.

        Stage 2 can overfit; then the best weights may be the initial ones, i.e. no correction.
        """
        if valid_mae_ev <= self.run.progress.best_ev:
            self.run.progress.best_ev = valid_mae_ev
            self.state.keep_average()

    def _note(self, valid_mae_ev: float, solved: bool = False) -> None:
        """Append a validation to the history."""
        now, name = self.run.progress, self.objective.name
        seconds = round(now.cpu_seconds, 2)
        now.history.append(history_row(name, solved, now.step, seconds, valid_mae_ev))
