"""Check numbers, words and records where they enter: against their annotations and ranges.

A range stands in the annotation: ``layers: Annotated[int, Range(1, 64)] = 2``. Records (frozen
dataclasses of settings) and functions are checked by the same rules, and so are records that are
read from JSON. A bool is never a number, and a float is never an integer.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = [
    "Range",
    "Seed",
    "brief",
    "check_arguments",
    "check_fields",
    "check_value",
    "from_json",
    "words_of",
]

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Range:
    """The allowed numbers, both ends included.

    Attributes:
        least: smallest allowed number.
        most: largest allowed number.
        above: whether `least` itself is excluded.

    >>> from workbench.storage.value_checks import Range
    >>> [2 in Range(1, 3), float("nan") in Range(1, 3), 0 in Range(0, 1, above=True)]
    [True, False, False]
    """

    least: float
    most: float
    above: bool = False

    def __contains__(self, number: float) -> bool:
        """Whether a number is allowed; NaN is not."""
        return self.least <= number <= self.most and not (self.above and number == self.least)

    def __str__(self) -> str:
        least, most = f"{self.least:.15g}", f"{self.most:.15g}"
        return f"above {least} and at most {most}" if self.above else f"from {least} to {most}"


Seed = Annotated[int, Range(0, 2**31 - 1)]
"""A seed of random numbers, as numpy, PyTorch and RDKit accept it."""


def check_fields(record: Any) -> None:
    """Check every field of a frozen dataclass; for its ``__post_init__``.

    Numbers of numpy become Python's, which JSON can hold.

    Raises:
        ValueError: one sentence that names the first wrong field and what it must be.

    >>> wb.Budget(steps=True)
    Traceback (most recent call last):
    ValueError: Budget.steps must be a whole number from 0 to 1000000000000 or None, not True.
    """
    kind = type(record)
    hints = _hints(kind)
    for field in fields(record):
        value = getattr(record, field.name)
        check_value(f"{kind.__name__}.{field.name}", hints[field.name], value)
        if isinstance(value, Real) and type(value) not in (bool, int, float):
            plain = int(value) if isinstance(value, Integral) else float(value)
            object.__setattr__(record, field.name, plain)


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Check some arguments of a function against its annotations.

    Args:
        function: its parameters are annotated.
        arguments: name -> value; each is a parameter of the function.

    Raises:
        ValueError: one sentence that names the first wrong argument and what it must be.

    >>> from workbench.storage.value_checks import Range, check_arguments
    >>> def draw(count: Annotated[int, Range(1, 100)]): ...
    >>> check_arguments(draw, {"count": 0})
    Traceback (most recent call last):
    ValueError: count must be a whole number from 1 to 100, not 0.
    """
    hints = _hints(function)
    for name, value in arguments.items():
        check_value(name, hints[name], value)


def from_json(kind: type[_Record], data: object) -> _Record:
    """A record of settings from what JSON gave; its fields are checked as it is made.

    Raises:
        ValueError: one sentence about a value that is no object, about an unknown or missing field,
            or as the record itself.

    >>> from workbench.storage.value_checks import from_json
    >>> from_json(wb.Budget, {"steps": 5})
    Budget(steps=5, cpu_seconds=None)
    >>> from_json(wb.Budget, {"hours": 5})
    Traceback (most recent call last):
    ValueError: Budget has no field 'hours': it has steps, cpu_seconds.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{kind.__name__} must be an object with fields, not {brief(data)}.")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in data:
        if name not in known:
            raise ValueError(
                f"{kind.__name__} has no field {brief(name)}: it has {', '.join(known)}."
            )
    values = {name: _nested(hints[name], value) for name, value in data.items()}
    try:
        return kind(**values)
    except TypeError as error:  # Python names the missing fields
        raise ValueError(f"{kind.__name__} is incomplete: {error}.") from error


@cache
def _hints(annotated: Any) -> dict[str, Any]:
    """The annotations of a function or record, with their ranges."""
    return get_type_hints(annotated, include_extras=True)


def _nested(hint: Any, value: object) -> object:
    """A value as a record, if that is what its field holds."""
    records = [kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)]
    return from_json(records[0], value) if records and isinstance(value, Mapping) else value  # type: ignore[arg-type]


def check_value(name: str, hint: Any, value: object) -> None:
    """Check one value against an annotation.

    Raises:
        ValueError: one sentence that begins with the name.

    >>> from workbench.storage.value_checks import Seed, check_value
    >>> check_value("The seed", Seed, -1)
    Traceback (most recent call last):
    ValueError: The seed must be a whole number from 0 to 2147483647, not -1.
    """
    if not _fits(hint, value):
        raise ValueError(f"{name} must be {words_of(hint)}, not {brief(value)}.")


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of the kind that a hint describes."""
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin is Annotated:
        base, *limits = get_args(hint)
        ranges = [limit for limit in limits if isinstance(limit, Range)]
        return _fits(base, value) and all(value in limit for limit in ranges)
    if origin in (Union, types.UnionType):
        return any(_fits(choice, value) for choice in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(hint))
    if origin is tuple:
        hints = get_args(hint)
        return (
            isinstance(value, Collection)
            and not isinstance(value, str | bytes | Mapping | Set)
            and len(value) == len(hints)
            and all(_fits(one, entry) for one, entry in zip(hints, value, strict=True))
        )
    return _is_a(hint, value)


def _is_a(kind: type, value: Any) -> bool:
    """Whether a value is of a kind without parameters; a bool is no number, NaN is none either."""
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if kind is float:
        # Integers are compared, not converted: one of a thousand digits has no float.
        return (
            isinstance(value, Real)
            and not isinstance(value, bool)
            and (isinstance(value, Integral) or math.isfinite(value))
        )
    return isinstance(value, get_origin(kind) or kind)


_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    types.NoneType: "None",
}


def words_of(hint: Any) -> str:
    """What an annotation asks for.

    >>> from workbench.storage.value_checks import Seed, words_of
    >>> words_of(Seed | None)
    'a whole number from 0 to 2147483647 or None'
    """
    origin, parameters = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [str(limit) for limit in parameters[1:] if isinstance(limit, Range)]
        return " ".join([words_of(parameters[0]), *limits])
    if origin in (Union, types.UnionType):
        return _either([words_of(choice) for choice in parameters])
    if origin is Literal:
        return _either([repr(choice) for choice in parameters])
    if origin is tuple:
        return f"a list of {len(parameters)} entries, each {words_of(parameters[0])}"
    return _NAMES.get(hint, f"of type {getattr(origin or hint, '__name__', hint)}")


def _either(choices: Sequence[str]) -> str:
    """The choices with commas, and "or" before the last one."""
    return " or ".join(part for part in (", ".join(choices[:-1]), choices[-1]) if part)


def brief(value: object) -> str:
    """A value for a sentence: on one line, and not longer than a few words.

    >>> from workbench.storage.value_checks import brief
    >>> brief(np.zeros((2, 2)))
    'array([[0., 0.], [0., 0.]])'
    """
    if isinstance(value, Integral) and abs(int(value)) >= 10**30:
        return "a number of more than 30 digits"
    if isinstance(value, Real) and type(value) not in (bool, int, float):
        value = float(value)  # numpy's repr names its type
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
