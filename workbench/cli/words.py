"""Words beside results: warnings, notes and progress on stderr, or none with ``--quiet``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import typer

__all__ = ["heard_warnings", "say", "shows_progress", "spoken"]


@dataclass(frozen=True)
class _Words:
    """What one command says.

    Attributes:
        quiet: whether it says nothing but errors.
        warnings: the sentences of its warnings so far, each once.
    """

    quiet: bool
    warnings: list[str] = field(default_factory=list)


_CURRENT: ContextVar[_Words | None] = ContextVar("words", default=None)


@contextmanager
def spoken(quiet: bool) -> Iterator[None]:
    """Print the warnings of a command as sentences, without the place in the code.

    Args:
        quiet: print none; they are still in the output of ``--json``.
    """
    words = _Words(quiet)
    token = _CURRENT.set(words)

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        if (sentence := str(message)) not in words.warnings:
            words.warnings.append(sentence)
            say(f"Warning: {sentence}")

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = show_warning
            yield
    finally:
        _CURRENT.reset(token)


def say(sentence: str) -> None:
    """Print a sentence that is not a result, unless the command is quiet."""
    if not _is_quiet():
        typer.echo(sentence, err=True)


def heard_warnings() -> list[str]:
    """The sentences of the warnings of this command so far."""
    words = _CURRENT.get()
    return [] if words is None else list(words.warnings)


def shows_progress(as_json: bool = False) -> bool:
    """Whether a progress bar is shown: on a terminal only, and not beside an object of JSON."""
    return sys.stderr.isatty() and not as_json and not _is_quiet()


def _is_quiet() -> bool:
    words = _CURRENT.get()
    return words is not None and words.quiet
