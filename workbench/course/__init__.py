"""What the notebooks check answers with: one module per topic, each task one function.

A task takes an answer and returns a `Verdict`: right or not, and why. The reasons are computed from
the answer, so that a wrong one is told what is wrong with it.
"""

from workbench.course.verdict import Verdict

__all__ = ["Verdict"]
