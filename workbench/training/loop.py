"""Training as a generator: first stage 1, then stage 2 on top of the frozen stage 1.

Notebooks, the command line and tests consume the same records. A run with a directory writes
snapshots there; a run that was stopped or killed continues from the last one. All random numbers
depend on (seed, stage, step) alone. With budgets in steps an interrupted run therefore ends with
the same weights, bit for bit, as one that was not interrupted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.datasets.dataset import Dataset
from workbench.evaluation.ghost_levels import with_fitted_kappa
from workbench.hamiltonians.basis import Basis
from workbench.models.config import ModelConfig
from workbench.models.twostage import TwoStageModel
from workbench.training.config import Budget, TrainConfig, TrainingError
from workbench.training.cutoff import announcement
from workbench.training.initial_model import guess_charges, untrained
from workbench.training.launch import together
from workbench.training.objective import Objective
from workbench.training.run import Run, described
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.stage2_objective import Stage2Objective
from workbench.training.stage_loop import StageLoop, StepRecord
from workbench.training.training_set import TrainingSet
from workbench.training.transfer import start_from, take_over

__all__ = ["StepRecord", "train"]


def train(
    config: ModelConfig,
    dataset: Dataset,
    train_config: TrainConfig | None = None,
    directory: str | Path | None = None,
    stage1: TwoStageModel | None = None,
    start: TwoStageModel | None = None,
    announce: Callable[[str], object] = warnings.warn,
    progress: bool = True,
) -> Generator[StepRecord, None, None]:
    """Train both stages. Each iteration trains one step; leaving the loop stops the run.

    Args:
        config: sizes of the model.
        dataset: needs the splits "train" and "valid".
        train_config: budgets, learning rates and seed; the defaults train for 15 CPU minutes.
        directory: for snapshots and, at the end, ``model.safetensors``. A run that is there
            already is continued. None writes nothing: take the last record's ``model``.
        stage1: a trained model of the same basis and stage-1 sizes. Its stage 1 is taken over
            unchanged, and the budget of stage 1 is not used.
        start: a trained model of the same stage-1 sizes that knows at least the dataset's
            elements. Training continues from its stage 1, to train longer or to adapt a general
            model to one system; a lower learning rate such as 1e-3 is advisable. Its basis and
            scaling are kept.
        announce: called before the first step with a sentence, if the cutoff is shorter than the
            data reach: how many blocks are left out, and the error they cost.
        progress: show progress bars of what comes before the first and after the last step.

    Yields:
        One record a step, and a last one that is ``finished``; nothing if the run was finished.

    Raises:
        TrainingError: if the directory holds a run with other settings, a split is empty, or the
            model passed has other sizes or lacks an element.
        LockError: if the directory holds a run that is under way.

    Two gradient steps of stage 1, the ridge regression of its readouts, and the final record. Stage
    1 is equivariant however short it was trained:

    >>> small = wb.ModelConfig(guess="none", channels=4, layers=1, readout=8, pair_readout=8)
    >>> budgets = wb.TrainConfig(stage1=wb.Budget(steps=2), stage2=None, batch_size=4)
    >>> with wb.Dataset("uracil") as uracil:
    ...     records = list(wb.train(small, uracil, budgets))
    ...     atoms = uracil.atoms(0)
    >>> [(record.step, record.solved, record.finished) for record in records]
    [(1, False, False), (2, False, False), (2, True, False), (2, True, True)]
    >>> model = records[-1].model
    >>> wb.equivariance({"stage 1": model.stage1}, atoms)["stage 1"].mae_mev < 1e-3
    True
    """
    settings = train_config or TrainConfig()
    source, basis = _source(stage1, start, dataset)
    run = Run(
        config,
        dataset,
        settings,
        Path(directory) if directory is not None else None,
        {"stage1": stage1, "start": start},
    )
    with run.owned(), together():
        yield from _stages(run, dataset, source, basis, stage1, start, announce, progress)


def _stages(
    run: Run,
    dataset: Dataset,
    source: TwoStageModel | None,
    basis: Basis,
    stage1: TwoStageModel | None,
    start: TwoStageModel | None,
    announce: Callable[[str], object],
    progress: bool,
) -> Generator[StepRecord, None, None]:
    """The records of a run whose directory is locked; the arguments are those of `train`."""
    config, settings = run.config, run.train_config
    splits = _splits(dataset, settings.devices)
    config.check(basis)  # before the dataset is read, which may take hours
    device = run.fabric.device
    charges = source.scaling.charges if source else guess_charges(dataset, splits[0], config)
    training, valid = (
        TrainingSet.read(dataset, s, config, basis, charges, settings.gauge_free, progress).to(
            device
        )
        for s in splits
    )
    if sentence := announcement(config.longest_pair, training, valid):
        announce(sentence)
    torch.manual_seed(settings.seed)
    model = untrained(basis, config, training, charges).to(device)
    if start is not None:
        start_from(model, start)
    initial = {name: tensor.clone() for name, tensor in model.baseline.state_dict().items()}
    if stage1 is not None and run.progress.stage == 0:
        take_over(model, stage1)
        run.progress.stage = 1
    run.restore_model(model)
    objectives: tuple[tuple[Callable[..., Objective], Budget | None, float], ...] = (
        (
            partial(Stage1Objective, initial_weights=initial),
            settings.stage1,
            settings.learning_rate,
        ),
        (
            partial(Stage2Objective, turning=settings.turning),
            settings.stage2,
            settings.refiner_learning_rate,
        ),
    )
    last: StepRecord | None = None
    for number, (objective, budget, rate) in enumerate(objectives):
        if number < run.progress.stage or budget is None:
            continue
        loop = StageLoop(objective(model, training, valid), run, number, budget, rate)
        yield from loop
        last = loop.record
    with_fitted_kappa(model, dataset, splits[1].tolist(), progress)
    run.finish(model, described(run.settings, dataset))
    if last is not None:
        yield replace(last, finished=True, model=model)


def _splits(dataset: Dataset, devices: int) -> list[NDArray[np.int64]]:
    """The sample numbers of the training and of the validation set."""
    splits = [dataset.split("train"), dataset.split("valid")]
    if not all(len(s) for s in splits):
        raise TrainingError(f"{dataset.path} has an empty train or valid split: label more.")
    if not devices <= len(splits[0]):
        raise TrainingError(
            f"{devices} devices are more than the {len(splits[0])} structures of the training set: "
            "use fewer devices."
        )
    return splits


def _source(
    stage1: TwoStageModel | None, start: TwoStageModel | None, dataset: Dataset
) -> tuple[TwoStageModel | None, Basis]:
    """The trained model that was passed, if any, and the basis to train in."""
    if stage1 is not None and start is not None:
        raise TrainingError(
            "Pass a model either as stage1, to keep its stage 1, or as start, to train it further."
        )
    source = stage1 or start
    if source is None:
        return None, dataset.basis
    try:
        if source.basis.merged(dataset.basis) == source.basis:
            return source, source.basis
    except ValueError as error:
        raise TrainingError(
            f"The model passed does not fit {dataset.path.name}: {error}"
        ) from error
    raise TrainingError(
        f"The model passed knows only {', '.join(source.elements)}, and {dataset.path.name} has "
        "further elements: pass a model that knows all of them, or none."
    )
