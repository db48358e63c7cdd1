"""The verdict on an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["HIDDEN", "Verdict", "compared", "explained", "same"]

HIDDEN = "But with these numbers a mistake gives the same, so choose others:"
"""Begins the sentence on an example that cannot tell a mistake from the right answer."""

_CLOSE = 1e-8  # relative; allows for rounding in another way of computing the numbers
_SHARE = 5e-3  # relative; small numbers may be rounded to two or three digits, not to nothing
_STYLES = {True: ("#0f766e", "✓"), False: ("#c2410c", "✗")}  # colour and sign


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and why; notebooks show it in a frame.

    Attributes:
        right: whether the answer is right.
        why: one or two sentences.

    >>> from workbench.course import Verdict
    >>> Verdict(False, "the sign is wrong.")
    Not yet: the sign is wrong.
    """

    right: bool
    why: str

    def __bool__(self) -> bool:
        """Whether the answer is right."""
        return self.right

    def __str__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'}: {self.why}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour, sign = _STYLES[self.right]
        word, _, _ = str(self).partition(":")  # the reason may begin with a symbol: no full stop
        return (
            f'<div role="status" style="border-left:5px solid {colour};padding:.4em .8em;'
            f'font-size:15px;max-width:46em"><b style="color:{colour}">{sign} {word}:</b> '
            f"{escape(self.why)}</div>"
        )


def explained(
    answer: ArrayLike,
    right: ArrayLike,
    done: str,
    wrong: Mapping[str, ArrayLike],
    otherwise: str,
    digits: int = 3,
) -> Verdict:
    """The verdict on numbers that may be right, or be what a known mistake gives.

    Right numbers may be rounded to `digits` decimals. Of several explanations the nearest counts.
    If a mistake gives the right numbers for this example, the verdict says so.

    Args:
        answer: of the shape of `right`.
        right: the right numbers.
        done: text for a right answer.
        wrong: text -> the numbers that this mistake gives.
        otherwise: text for other numbers.
        digits: decimals that the page prints.

    >>> from workbench.course.verdict import explained
    >>> explained(6.885, 6.88513, "LUMO minus HOMO.", {"wrong sign.": -6.88513}, "no difference.")
    Right: LUMO minus HOMO.
    """
    hidden = [why for why, mistaken in wrong.items() if same(mistaken, right)]
    told_apart = {why: mistaken for why, mistaken in wrong.items() if why not in hidden}
    distances = {why: _distance(answer, mistaken) for why, mistaken in told_apart.items()}
    distances[""] = _distance(answer, right)
    why = min(distances, key=lambda reason: distances[reason])
    if not distances[why] <= _rounding(right, digits):
        return Verdict(False, otherwise)
    note = f" {HIDDEN} {hidden[0]}" if hidden else ""
    return Verdict(False, why) if why else Verdict(True, done + note)


def compared(
    answer: ArrayLike,
    right: ArrayLike,
    done: str,
    wrong: Mapping[str, ArrayLike],
    hint: str = "",
    unit: str = "eV",
) -> Verdict:
    """Compare numbers with the right ones and with the results of typical mistakes.

    Args:
        answer: of the shape of `right`.
        right: the right numbers.
        done: text for a right answer.
        wrong: text -> the numbers that this mistake gives.
        hint: text after the deviation if no known mistake explains the answer.
        unit: unit of the numbers; empty if there is none.

    >>> from workbench.course.verdict import compared
    >>> compared([2.0, 4.0], [1.0, 2.0], "half of it.", {"twice too large.": [2.0, 4.0]})
    Not yet: twice too large.
    >>> compared([1.0, 2.5], [1.0, 2.0], "half of it.", {})
    Not yet: some element is off by 0.5 eV.
    """
    error = f"{_distance(answer, right):.3g}{unit and ' '}{unit}"
    otherwise = f"some element is off by {error}{hint and '; '}{hint}."
    return explained(answer, right, done, wrong, otherwise)


def same(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether two arrays of one shape are equal up to rounding errors of the arithmetic.

    >>> from workbench.course.verdict import same
    >>> same([1.0, 2.0], [1.0, 2.0 + 1e-12]), same([1.0, 2.0], [1.0, 2.1])
    (True, False)
    """
    return _distance(a, b) <= _CLOSE * max(float(np.abs(b).max()), 1e-12)


def _distance(a: ArrayLike, b: ArrayLike) -> float:
    """Largest difference of two elements."""
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


def _rounding(right: ArrayLike, digits: int) -> float:
    """A difference of two rounded numbers may be off by one unit of the last decimal."""
    return min(1.0001 * 10.0**-digits, _SHARE * float(np.abs(right).max())) + 1e-12
