"""Parse ``name=value`` settings and training budgets from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from workbench.storage.value_checks import brief

if TYPE_CHECKING:  # imported when a command runs: a help page should not wait for PyTorch
    from workbench.models.config import ModelConfig
    from workbench.training.config import Budget, TrainConfig

__all__ = ["assignments", "budget", "configured", "second_budget"]

_WORD = re.compile(r"(?:\d+-)?[A-Za-z]\w*(?:-\w+)*")
"""A value without quotes, such as none or bf16-mixed."""


def assignments(settings: Sequence[str]) -> dict[str, Any]:
    """Parse ``name=value`` settings; values are JSON, and words need no quotes.

    Raises:
        ValueError: if a setting is not of the form ``name=value``.

    >>> from workbench.cli.settings import assignments
    >>> assignments(["layers=2", "guess=none", "mesh=[3,3,1]"])
    {'layers': 2, 'guess': 'none', 'mesh': [3, 3, 1]}
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            values[name.strip()] = json.loads(value)
        except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
            if not _WORD.fullmatch(value):
                raise ValueError(
                    f"{brief(setting)} is not a setting: write name=value, e.g. layers=2 or "
                    "guess=none."
                ) from None
            values[name.strip()] = value
    return values


def budget(text: str) -> Budget:
    """Parse a training budget: ``600s`` is CPU seconds, ``5000`` is optimiser steps.

    Raises:
        ValueError: for any other text.

    >>> from workbench.cli.settings import budget
    >>> budget("600s")
    Budget(steps=None, cpu_seconds=600.0)
    """
    from workbench.training.config import Budget

    try:
        if text.endswith("s"):
            return Budget(cpu_seconds=float(text[:-1]))
        return Budget(steps=int(text))
    except ValueError:
        raise ValueError(
            f"'{text[:40]}' is not a budget: give CPU seconds such as 600s, or a number of steps "
            "such as 5000."
        ) from None


def second_budget(text: str) -> Budget | None:
    """Parse the budget of stage 2: as `budget`, or ``none`` to leave stage 2 out.

    Raises:
        ValueError: for any other text.
    """
    return None if text == "none" else budget(text)


def configured(
    settings: Sequence[str], model: ModelConfig, training: TrainConfig
) -> tuple[ModelConfig, TrainConfig]:
    """Both configurations, with each ``name=value`` setting applied to the one that has the field.

    Raises:
        ValueError: if neither configuration has the field, a value is not one that the field can
            have, or a setting is not ``name=value``.
    """
    values = assignments(settings)
    if budgets := values.keys() & {"stage1", "stage2"}:
        raise ValueError(f"'{min(budgets)}' has an option of its own: --{min(budgets)} 600s.")
    model_names = {field.name for field in fields(model)}
    train_names = {field.name for field in fields(training)}
    unknown = values.keys() - model_names - train_names
    if unknown:
        raise ValueError(
            f"There is no setting {brief(min(unknown))}: `python -m workbench train --help` lists "
            "all of them."
        )
    return (
        replace(model, **{name: values[name] for name in values.keys() & model_names}),
        replace(training, **{name: values[name] for name in values.keys() & train_names}),
    )
