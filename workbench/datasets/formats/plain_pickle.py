"""Pickles of plain values, read without running them: a pickle may call any function when loaded.

The instructions are listed by `pickletools` and followed here. Those with which Python 3 builds
numbers, texts, bytes and dictionaries are known; any other ends the reading.
"""

from __future__ import annotations

import pickletools
from typing import Any

__all__ = ["UnsafePickleError", "plain"]

_MOST_STEPS = 1000
_MARK = object()

_VALUES = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    }
)
"""Instructions whose argument is the value."""
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = frozenset({"PROTO", "FRAME"})


class UnsafePickleError(ValueError):
    """A pickle that is damaged, or holds more than plain values; the message is no sentence."""


def plain(data: bytes) -> object:
    """The value of a pickle of numbers, texts, bytes and dictionaries of them.

    Raises:
        UnsafePickleError: for any other content.

    >>> import pickle
    >>> from workbench.datasets.formats.plain_pickle import plain
    >>> plain(pickle.dumps({"id": 7, "pos": b"abc"}))
    {'id': 7, 'pos': b'abc'}
    >>> plain(pickle.dumps(print))
    Traceback (most recent call last):
    workbench.datasets.formats.plain_pickle.UnsafePickleError: it has the instruction STACK_GLOBAL
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for steps, (code, argument, _) in enumerate(pickletools.genops(data)):
            if code.name == "STOP" and len(stack) == 1:
                return stack[0]
            if steps > _MOST_STEPS:
                raise UnsafePickleError("it has too many values")
            _follow(code.name, argument, stack, memo)
    except UnsafePickleError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise UnsafePickleError("it is damaged") from error
    raise UnsafePickleError("it has no end")


def _follow(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """Follow one instruction."""
    if name in _VALUES:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("SETITEM", "SETITEMS"):
        _set_items(stack, len(stack) - 2 if name == "SETITEM" else _after_mark(stack))
    elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
        memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name not in _IGNORED:
        raise UnsafePickleError(f"it has the instruction {name}")


def _after_mark(stack: list[Any]) -> int:
    """Remove the last mark; the position of what came after it."""
    position = max(k for k, value in enumerate(stack) if value is _MARK)
    del stack[position]
    return position


def _set_items(stack: list[Any], start: int) -> None:
    """Put the keys and values from a position on into the dictionary before it."""
    items, target = stack[start:], stack[start - 1]
    if start < 1 or len(items) % 2 or type(target) is not dict or _MARK in items:
        raise UnsafePickleError("it is damaged")
    target.update(zip(items[::2], items[1::2], strict=True))
    del stack[start:]
