"""The table of what ``--set`` can set, made of the two configurations and their docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

from workbench.storage.value_checks import words_of

__all__ = ["settings_table"]

_OWN_OPTIONS = ("stage1", "stage2")
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)


def settings_table() -> str:
    """Each setting of a training with its default, its kind, and what it is.

    >>> from workbench.cli.settings_table import settings_table
    >>> print(settings_table())
    Settings of the model (--set name=value):
      guess=orbitals ...
    """
    from workbench.models.config import ModelConfig
    from workbench.training.config import TrainConfig

    parts = []
    for title, kind in (("the model", ModelConfig), ("the training", TrainConfig)):
        parts.append(f"Settings of {title} (--set name=value):")
        parts += _rows(kind)
        parts.append("")
    return "\n".join(parts).rstrip()


def _rows(kind: type) -> Iterator[str]:
    """Two lines for each field: its default and what it is, and its values."""
    hints, said = get_type_hints(kind, include_extras=True), _described(kind)
    for field in fields(kind):
        if field.name not in _OWN_OPTIONS:
            yield f"  {f'{field.name}={_default(field)}':<28} {said[field.name]}"
            yield f"      {words_of(hints[field.name])}"


def _described(kind: type) -> dict[str, str]:
    """The first sentence of each attribute in the docstring of a class."""
    _, _, text = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    attributes = {name: " ".join(words.split()) for name, words in _ATTRIBUTE.findall(text)}
    return {
        name: re.split(r"(?<=[.;])\s", words)[0].rstrip(".;") for name, words in attributes.items()
    }


def _default(field: Field[Any]) -> str:
    """The default of a field, as ``--set`` reads it."""
    assert field.default is not MISSING
    return field.default if isinstance(field.default, str) else json.dumps(field.default)
