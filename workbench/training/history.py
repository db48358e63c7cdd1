"""Rows of a run's history, one per validation, as snapshots and ``model.info`` hold them.

In files a row names its stage and whether the readouts were refitted in one string, its "phase":
"stage 1", or "stage 1, solved". This module alone writes and reads that string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["STAGES", "history_row", "is_solved", "phase_label", "stage_name"]

STAGES = ("stage 1", "stage 2")
_SOLVED = ", solved"


def history_row(
    stage: str, solved: bool, step: int, cpu_seconds: float, valid_mae_ev: float
) -> dict[str, Any]:
    """A JSON-able row.

    Args:
        stage: "stage 1" or "stage 2".
        solved: whether the readouts had just been refitted by ridge regression.
        step: gradient steps of this stage.
        cpu_seconds: spent in this stage.
        valid_mae_ev: MAE on the validation set, eV.
    """
    return {
        "phase": phase_label(stage, solved),
        "step": step,
        "cpu_seconds": cpu_seconds,
        "valid_mae_ev": valid_mae_ev,
    }


def phase_label(stage: str, solved: bool) -> str:
    """The stage's name, followed by ", solved" once its readouts are refitted."""
    return f"{stage}{_SOLVED}" if solved else stage


def stage_name(row: Mapping[str, Any]) -> str:
    """The stage of a row, "stage 1" or "stage 2"."""
    return row["phase"].removesuffix(_SOLVED)


def is_solved(row: Mapping[str, Any]) -> bool:
    """Whether the readouts had been refitted at this row."""
    return row["phase"].endswith(_SOLVED)
