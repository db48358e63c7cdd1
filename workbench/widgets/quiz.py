"""A multiple-choice question that explains why each answer is right or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from workbench.course import Verdict
from workbench.widgets.page import ClosedOnRerun


class Quiz(ClosedOnRerun, widgets.VBox):
    """A multiple-choice question with immediate feedback; it can be answered again.

    Args:
        question: plain text.
        answers: answer -> explanation why it is right or wrong.
        right: the correct answer.

    Attributes:
        choice: the radio buttons.
        verdict: verdict on the last choice; None before the first choice.

    Raises:
        ValueError: if there are fewer than two answers, or `right` is not one of them.

    >>> quiz = wb.Quiz("What does a rotation keep?", {"norms": "yes", "components": "no"}, "norms")
    >>> quiz.choice.value = "norms"
    >>> quiz.verdict.right
    True
    """

    def __init__(self, question: str, answers: Mapping[str, str], right: str):
        if len(answers) < 2 or right not in answers:
            raise ValueError("A quiz needs at least two answers, and `right` must be one of them.")
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
