"""What a command line says of a model and its training: ``name=value`` settings and budgets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import workbench as wb  # lazily: a help page is not worth importing torch

__all__ = ["assignments", "budget", "configured", "second_budget"]


def assignments(settings: Sequence[str]) -> dict[str, Any]:
    """What ``name=value`` settings say; values are JSON, and words need no quotes.

    Raises:
        ValueError: for one that is no assignment.
    """
    given: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            given[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            if not value.isidentifier():
                raise ValueError(
                    f"'{setting}' is no setting: write name=value, e.g. layers=2 or guess=none."
                ) from None
            given[name.strip()] = value
    return given


def budget(text: str) -> wb.Budget:
    """``600s`` as CPU seconds, ``5000`` as steps.

    Raises:
        ValueError: for other text.
    """
    try:
        if text.endswith("s"):
            return wb.Budget(cpu_seconds=float(text[:-1]))
        return wb.Budget(steps=int(text))
    except ValueError:
        raise ValueError(
            f"'{text}' is no budget: give CPU seconds like 600s, or a number of steps like 5000."
        ) from None


def second_budget(text: str) -> wb.Budget | None:
    """As `budget`; ``none`` is a stage 2 that is left out.

    Raises:
        ValueError: for other text.
    """
    return None if text == "none" else budget(text)


def configured(
    settings: Sequence[str], model: wb.ModelConfig, training: wb.TrainConfig
) -> tuple[wb.ModelConfig, wb.TrainConfig]:
    """Both configurations with ``name=value`` settings, each given to the one that has it.

    Raises:
        ValueError: for a setting that neither has, or that is no assignment.
    """
    given = assignments(settings)
    model_names = {field.name for field in fields(wb.ModelConfig)}
    train_names = {field.name for field in fields(wb.TrainConfig)}
    unknown = given.keys() - model_names - train_names
    if unknown:
        raise ValueError(
            f"There is no setting '{min(unknown)}': see workbench.ModelConfig and wb.TrainConfig."
        )
    return (
        replace(model, **{name: given[name] for name in given.keys() & model_names}),
        replace(training, **{name: given[name] for name in given.keys() & train_names}),
    )
