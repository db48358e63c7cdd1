"""The answer to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Verdict", "compared", "same"]

_CLOSE = 1e-8  # relative; the same numbers by another way
_LOOKS = {True: ("#0f766e", "✓"), False: ("#c2410c", "✗")}  # colour and sign: neither alone


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and why; notebooks show it in a frame.

    Attributes:
        right: whether it is.
        why: one or two sentences.
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
        colour, sign = _LOOKS[self.right]
        word, _, _ = str(self).partition(":")
        return (
            f'<div role="status" style="border-left:5px solid {colour};padding:.4em .8em;'
            f'font-size:15px;max-width:46em"><b style="color:{colour}">{sign} {word}.</b> '
            f"{escape(self.why)}</div>"
        )


def compared(
    answer: ArrayLike, right: ArrayLike, done: str, wrong: Mapping[str, ArrayLike], hint: str = ""
) -> Verdict:
    """An answer in numbers, against the right ones and those that typical mistakes give.

    Args:
        answer: eV, of the shape of `right`.
        right: eV.
        done: what to say if it is right.
        wrong: what to say -> the numbers, eV, to which it is the answer.
        hint: goes after the deviation of an answer that no mistake explains.
    """
    if same(answer, right):
        return Verdict(True, done)
    for why, mistaken in wrong.items():
        if same(answer, mistaken):
            return Verdict(False, why)
    off = np.abs(np.asarray(answer) - np.asarray(right)).max()
    return Verdict(False, f"some element is off by {off:.3g} eV{hint and '; '}{hint}.")


def same(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether two arrays of one shape hold the same numbers, up to rounding."""
    a, b = np.asarray(a), np.asarray(b)
    return bool(np.abs(a - b).max() <= _CLOSE * max(np.abs(b).max(), 1e-12))
