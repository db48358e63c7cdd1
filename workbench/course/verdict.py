"""The answer to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

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
