"""The validation errors of a training in files: a table and a still picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from workbench.storage.atomic_write import atomic_write
from workbench.training.curves import Curves
from workbench.training.history import STAGES
from workbench.views.style import COLOURS

__all__ = ["write_curve"]

_COLUMNS = ("stage", "readouts_solved", "step", "cpu_seconds", "valid_mae_mev")
_DPI = 150


def write_curve(folder: Path, history: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write ``curve.csv`` and ``curve.png``, and return both paths.

    The table has a row for each validation: the stage, 1 if its readouts had just been solved for,
    its gradient steps and CPU seconds so far, and the mean error of the matrix, meV.

    Args:
        folder: where the files are written; files of these names are replaced.
        history: ``model.info["history"]``.

    Raises:
        WritingError: if a file cannot be written, e.g. for a full disk.

    >>> import tempfile
    >>> from workbench.views.curve_files import write_curve
    >>> history = wb.load_model("water").info["history"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table, picture = write_curve(Path(folder), history)
    ...     table.read_text().split()[0]
    'stage,readouts_solved,step,cpu_seconds,valid_mae_mev'
    """
    curves = Curves(history=list(history))
    paths = [folder / "curve.csv", folder / "curve.png"]
    for path, content in zip(paths, (_table(curves), _picture(curves)), strict=True):
        atomic_write(path, content)
    return paths


def _table(curves: Curves) -> str:
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for p in curves.validation:
        numbers = f"{p.cpu_seconds:.1f}", f"{p.values[0]:.6g}"
        table.writerow([p.stage + 1, int(p.solved), p.step, *numbers])
    return text.getvalue()


def _picture(curves: Curves) -> bytes:
    """Errors of both stages against CPU time, PNG; rings where the readouts were solved for."""
    from matplotlib.figure import Figure  # comes with ASE; takes half a second to import

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes: Any = figure.add_subplot()
    for stage, name in enumerate(STAGES):
        points = [p for p in curves.validation if p.stage == stage]
        before, colour = curves.offsets()[stage], COLOURS[stage]
        places = [(before + p.cpu_seconds, p.values[0]) for p in points]
        if places:
            axes.plot(*zip(*places, strict=True), "o-", color=colour, label=name, markersize=4)
        solved = [place for place, p in zip(places, points, strict=True) if p.solved]
        if solved:
            axes.plot(*zip(*solved, strict=True), "o", mfc="none", color=colour, markersize=10)
    axes.set(xlabel="CPU time in s", ylabel="validation MAE in meV", yscale="log")
    axes.grid(visible=True, alpha=0.3)
    if curves.validation:
        axes.legend()
    content = BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()
