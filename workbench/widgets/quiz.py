"""A question with answers to choose from, each of which is told why it is right or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from workbench.course import Verdict
from workbench.widgets.page import ClosedOnRerun


class Quiz(ClosedOnRerun, widgets.VBox):
    """A multiple-choice question that answers at once and can be answered again.

    Args:
        question: plain text.
        answers: each answer -> why it is right or wrong.
        right: the right one.

    Attributes:
        choice: the radio buttons.
        verdict: of the last choice; None before the first.

    Raises:
        ValueError: for fewer than two answers, or a right one that is not among them.

    >>> Quiz("1 + 1?", {"2": "one more", "11": "that is written side by side"}, "2")
    Quiz(...)
    """

    def __init__(self, question: str, answers: Mapping[str, str], right: str):
        if len(answers) < 2 or right not in answers:
            raise ValueError("A quiz needs at least two answers, the right one among them.")
        self.verdict: Verdict | None = None
        self._answers, self._right = dict(answers), right
        self._question = widgets.Label(question, style={"font_weight": "600"})
        self.choice = widgets.RadioButtons(
            options=list(answers),
            value=None,
            layout=widgets.Layout(width="auto"),
            tooltip=question,
        )
        self._said = widgets.HTML()
        self.choice.observe(self._chosen, "value")
        super().__init__([self._question, self.choice, self._said])
        self.add_class("wb-quiz")

    def __repr__(self) -> str:
        return f"Quiz({self._question.value!r}, {len(self._answers)} answers)"

    def _chosen(self, change: dict[str, Any]) -> None:
        chosen = change["new"]
        if chosen is None:
            return
        self.verdict = Verdict(chosen == self._right, self._answers[chosen])
        self._said.value = self.verdict._repr_html_()
