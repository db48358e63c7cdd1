"""Training as a generator: stage 1, then, with stage 1 frozen, stage 2.

Notebook, command line and tests consume the same records. A run with a directory leaves snapshots
there; a run that was stopped or killed goes on from the last one. Everything random is drawn
from (seed, phase, step) alone, so with budgets in steps an interrupted run ends with the same
weights, bit for bit, as an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from workbench.datasets.dataset import Dataset
from workbench.hamiltonians.basis import Basis
from workbench.models.applicability import ApplicabilityDomain
from workbench.models.config import ModelConfig
from workbench.models.twostage import TwoStageModel
from workbench.training.config import Budget, TrainConfig, TrainingError
from workbench.training.initial_model import guess_charges, untrained
from workbench.training.run import Run
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.stage2_objective import Stage2Objective
from workbench.training.training_set import TrainingSet
from workbench.training.transfer import start_from, take_over

Phase = Stage1Objective | Stage2Objective


@dataclass(frozen=True)
class StepRecord:
    """What happened in one step.

    Attributes:
        phase: "stage 1" or "stage 2"; with ", solved" when the step solved for the readouts.
        step: from 1, of this phase.
        progress: share of this phase's budget that is used.
        loss_ev: MAE over the mini-batch, eV; none when readouts were solved.
        valid_mae_ev: MAE over the validation set with the averaged weights, eV, when measured.
        learning_rate: of this step.
        cpu_seconds: spent in this phase so far.
        finished: whether this is the run's last record.
        model: the model as it stands; after the last record it holds the averaged weights.
    """

    phase: str
    step: int
    progress: float
    loss_ev: float | None
    valid_mae_ev: float | None
    learning_rate: float
    cpu_seconds: float
    finished: bool
    model: TwoStageModel = field(repr=False)


def train(
    config: ModelConfig,
    dataset: Dataset,
    train_config: TrainConfig | None = None,
    directory: str | Path | None = None,
    stage1: TwoStageModel | None = None,
    start: TwoStageModel | None = None,
) -> Generator[StepRecord, None, None]:
    """Train both stages; iterate to make it go on, stop iterating to stop.

    Args:
        config: sizes of the model.
        dataset: needs the splits "train" and "valid".
        train_config: how.
        directory: where snapshots and, at the end, ``model.safetensors`` go; a run that is there
            already is continued. None keeps nothing on disk: take the last record's ``model``.
        stage1: a trained model of the same basis and stage-1 sizes whose stage 1 is taken over as
            it is; its budget is then not used.
        start: a trained model of the same stage-1 sizes, and of at least the dataset's elements,
            whose stage 1 training goes on from: to train longer, or to adapt a general model to one
            system. A lower learning rate is in order, such as 1e-3. Its basis and scaling stay.

    Yields:
        One record a step, and a last one that is ``finished``; nothing if the run was finished.

    Raises:
        TrainingError: if the directory holds a run of other settings or one that is under way, a
            split is empty, or the given model has other sizes or lacks an element.
    """
    how = train_config or TrainConfig()
    given, basis = _given(stage1, start, dataset)
    run = Run(
        config,
        dataset,
        how,
        Path(directory) if directory is not None else None,
        {"stage1": stage1, "start": start},
    )
    with run.owned():
        yield from _phases(run, dataset, given, basis, stage1, start)


def _phases(
    run: Run,
    dataset: Dataset,
    given: TwoStageModel | None,
    basis: Basis,
    stage1: TwoStageModel | None,
    start: TwoStageModel | None,
) -> Generator[StepRecord, None, None]:
    """The records of a run whose directory is ours; arguments as `train` has found them."""
    config, how = run.config, run.how
    splits = [dataset.split("train"), dataset.split("valid")]
    if not all(len(s) for s in splits):
        raise TrainingError(f"{dataset.path} has an empty train or valid split: label more.")
    config.check(basis)  # refused before hours of reading
    device = run.fabric.device
    charges = given.scaling.charges if given else guess_charges(dataset, splits[0], config)
    training, valid = (
        TrainingSet.read(dataset, s, config, basis, charges).to(device) for s in splits
    )
    torch.manual_seed(how.seed)
    model = untrained(basis, config, training, charges).to(device)
    if start is not None:
        start_from(model, start)
    before = {name: tensor.clone() for name, tensor in model.baseline.state_dict().items()}
    if stage1 is not None and run.phase == 0:
        take_over(model, stage1)
        run.phase = 1
    run.restore_model(model)
    last: StepRecord | None = None
    for number, (phase, budget, rate) in enumerate(
        (
            (partial(Stage1Objective, start=before), how.stage1, how.learning_rate),
            (partial(Stage2Objective, turning=how.turning), how.stage2, how.refiner_learning_rate),
        )
    ):
        if number < run.phase or budget is None:
            continue
        loop = _Loop(phase(model, training, valid), run, number, budget, rate)
        yield from loop
        last = loop.record
    run.finish(model, ApplicabilityDomain.of([dataset.atoms(int(i)) for i in splits[0]]))
    if last is not None:
        yield StepRecord(**{**vars(last), "finished": True, "model": model})


def _given(
    stage1: TwoStageModel | None, start: TwoStageModel | None, dataset: Dataset
) -> tuple[TwoStageModel | None, Basis]:
    """The model that was given, if any, and the basis to train in."""
    if stage1 is not None and start is not None:
        raise TrainingError("Give a model as stage1, to keep it, or as start, to train it on.")
    given = stage1 or start
    if given is None:
        return None, dataset.basis
    try:
        if given.basis.merged(dataset.basis) == given.basis:
            return given, given.basis
    except ValueError as error:
        raise TrainingError(f"The given model does not fit {dataset.path.name}: {error}") from error
    raise TrainingError(
        f"The given model knows {', '.join(given.elements)}, and {dataset.path.name} holds more: "
        "start from a model of all its elements, or from none."
    )


class _Packed:
    """Arguments that Fabric hands on untouched.

    It would round all tensors it finds to bfloat16 in mixed precision, distances in A included,
    and fails at frozen dataclasses.
    """

    def __init__(self, given: tuple[object, ...]) -> None:
        self.given = given


class _Unpacking(nn.Module):
    """A network behind packed arguments."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, packed: _Packed) -> object:
        """What the network makes of them."""
        return self.network(*packed.given)


class _Loop:
    """One phase: an iterator of records that keeps optimiser and average in step with the run."""

    def __init__(self, phase: Phase, run: Run, number: int, budget: Budget, rate: float) -> None:
        self.phase, self.run, self.budget, self.rate = phase, run, budget, rate
        self.number = number
        self.parameters: list[Tensor] = list(phase.module.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.best = [p.clone() for p in self.average]
        optimizer = torch.optim.AdamW(
            self.parameters, lr=rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self._restore(optimizer)
        network, self.optimizer = run.fabric.setup(_Unpacking(phase.module), optimizer)
        self.network: Callable[..., object] = lambda *given: network(_Packed(given))
        self.record: StepRecord | None = None
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __iter__(self) -> Iterator[StepRecord]:
        run, kept = self.run, time.monotonic()
        progress = self.budget.progress(run.step, run.cpu_seconds)
        if progress == 0:
            self._compare(self.phase.validate())
        try:
            while progress < 1:
                # What the consumer does between two records, or a pause, is not training.
                started = time.process_time() - run.cpu_seconds
                rate = self._set_rate(progress)
                loss = self._step()
                run.step += 1
                run.cpu_seconds = time.process_time() - started
                before, progress = progress, self.budget.progress(run.step, run.cpu_seconds)
                valid = self._validated(before, progress)
                self.record = StepRecord(
                    self.phase.name,
                    run.step,
                    progress,
                    loss,
                    valid,
                    rate,
                    run.cpu_seconds,
                    False,
                    self.phase.model,
                )
                if time.monotonic() - kept > run.how.snapshot_seconds:
                    run.snapshot(self.phase.model, self._state())
                    kept = time.monotonic()
                yield self.record
        except (GeneratorExit, KeyboardInterrupt):
            run.snapshot(self.phase.model, self._state())
            raise
        started = time.process_time() - run.cpu_seconds
        self._adopt(self.best if run.how.keep_best else self.average)
        valid = self.phase.solve()
        run.cpu_seconds = time.process_time() - started
        name = f"{self.phase.name}, solved"
        self._note(name, valid)
        self.record = StepRecord(
            name, run.step, 1.0, None, valid, 0.0, run.cpu_seconds, False, self.phase.model
        )
        run.phase, run.step, run.cpu_seconds, run.best = self.number + 1, 0, 0.0, math.inf
        run.tensors = {}
        run.snapshot(self.phase.model, {})
        yield self.record

    # ---- one step ---------------------------------------------------------------------------

    def _step(self) -> float:
        """Draw a mini-batch, take its gradient, move weights and average; the loss in eV."""
        run, how = self.run, self.run.how
        loss = self.phase.loss(self.network, self._batch(), (how.seed, self.number, run.step))
        self.optimizer.zero_grad()
        # In units of what there is to learn: Adam's epsilon would swallow gradients of 1e-5 eV.
        run.fabric.backward(loss / self.phase.unit_ev)
        nn.utils.clip_grad_norm_(self.parameters, how.clip)
        self.optimizer.step()
        decay = min(how.ema, (1 + run.step) / (10 + run.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        mean = run.fabric.all_reduce(loss.detach(), reduce_op="mean")
        return float(cast("Tensor", mean))

    def _batch(self) -> Tensor:
        """This process's share of the step's mini-batch, from a permutation per epoch."""
        run, size = self.run, min(self.run.how.batch_size, len(self.phase.train.store))
        per_epoch = len(self.phase.train.store) // size
        epoch, at = divmod(run.step, per_epoch)
        if self._order[0] != epoch:
            rng = np.random.default_rng([run.how.seed, self.number, epoch, 1])
            self._order = (epoch, torch.from_numpy(rng.permutation(len(self.phase.train.store))))
        mine = self._order[1][at * size : (at + 1) * size]
        return mine[run.fabric.global_rank :: run.fabric.world_size].to(run.fabric.device)

    def _set_rate(self, progress: float) -> float:
        """Linear warm-up, then half a cosine to zero."""
        rising = min(1.0, (progress + 1e-3) / max(self.run.how.warmup, 1e-9))
        rate = self.rate * rising * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _validated(self, before: float, now: float) -> float | None:
        """Validation MAE in eV whenever another share of the budget is used up."""
        parts = self.run.how.validations
        if int(before * parts) == int(now * parts):
            return None
        weights = [p.detach().clone() for p in self.parameters]
        self._adopt(self.average)
        mae = self.phase.validate()
        self._adopt(weights)
        self._compare(mae)
        self._note(self.phase.name, mae)
        return mae

    def _compare(self, valid_mae_ev: float) -> None:
        """Keep the averaged weights, of this error, if none before had a smaller one.

        Stage 2 may learn its training set by heart; what it had before is then the better model,
        and be it no correction at all.
        """
        if valid_mae_ev <= self.run.best:
            self.run.best = valid_mae_ev
            torch._foreach_copy_(self.best, self.average)

    def _note(self, phase: str, valid_mae_ev: float) -> None:
        self.run.history.append(
            {
                "phase": phase,
                "step": self.run.step,
                "cpu_seconds": round(self.run.cpu_seconds, 2),
                "valid_mae_ev": valid_mae_ev,
            }
        )

    @torch.no_grad()
    def _adopt(self, weights: list[Tensor]) -> None:
        torch._foreach_copy_(self.parameters, weights)

    # ---- snapshot ---------------------------------------------------------------------------

    def _state(self) -> dict[str, Tensor]:
        """Average, best average and optimiser moments, by number of the parameter."""
        state = self.optimizer.state_dict()["state"]
        tensors = {f"average.{k}": t for k, t in enumerate(self.average)}
        tensors |= {f"best.{k}": t for k, t in enumerate(self.best)}
        for k, entry in state.items():
            tensors |= {f"adam.{k}.{name}": torch.as_tensor(v) for name, v in entry.items()}
        return tensors

    def _restore(self, optimizer: torch.optim.Optimizer) -> None:
        saved = self.run.tensors
        if not any(name.startswith("average.") for name in saved):
            return
        with torch.no_grad():
            for k, (average, best) in enumerate(zip(self.average, self.best, strict=True)):
                average.copy_(saved[f"average.{k}"])
                best.copy_(saved[f"best.{k}"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in saved.items():
            if name.startswith("adam."):
                _, k, entry = name.split(".")
                state.setdefault(int(k), {})[entry] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
