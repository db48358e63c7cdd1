"""The verdict on an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Verdict", "compared", "same"]

_CLOSE = 1e-8  # relative; allows for rounding in another way of computing the numbers
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
        word, _, _ = str(self).partition(":")
        return (
            f'<div role="status" style="border-left:5px solid {colour};padding:.4em .8em;'
            f'font-size:15px;max-width:46em"><b style="color:{colour}">{sign} {word}.</b> '
            f"{escape(self.why)}</div>"
        )


def compared(
    answer: ArrayLike, right: ArrayLike, done: str, wrong: Mapping[str, ArrayLike], hint: str = ""
) -> Verdict:
    """Compare numbers with the right ones and with the results of typical mistakes.

    Args:
        answer: eV, of the shape of `right`.
        right: the right numbers, eV.
        done: text for a right answer.
        wrong: text -> the numbers, eV, that this mistake gives.
        hint: text after the deviation if no known mistake explains the answer.

    >>> from workbench.course.verdict import compared
    >>> compared([2.0, 4.0], [1.0, 2.0], "half of it.", {"twice too large.": [2.0, 4.0]})
    Not yet: twice too large.
    """
    if same(answer, right):
        return Verdict(True, done)
    for why, mistaken in wrong.items():
        if same(answer, mistaken):
            return Verdict(False, why)
    error = np.abs(np.asarray(answer) - np.asarray(right)).max()
    return Verdict(False, f"some element is off by {error:.3g} eV{hint and '; '}{hint}.")


def same(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether two arrays of one shape are equal up to rounding.

    >>> from workbench.course.verdict import same
    >>> same([1.0, 2.0], [1.0, 2.0 + 1e-12]), same([1.0, 2.0], [1.0, 2.1])
    (True, False)
    """
    a, b = np.asarray(a), np.asarray(b)
    return bool(np.abs(a - b).max() <= _CLOSE * max(np.abs(b).max(), 1e-12))
