"""Checks of the tasks in the notebooks: one module per topic, one function per task.

A task takes an answer and returns a `Verdict`: right or not, and why. The reason is computed from
the answer, so that it explains the mistake in a wrong answer.
"""

from workbench.course.verdict import Verdict

__all__ = ["Verdict"]
