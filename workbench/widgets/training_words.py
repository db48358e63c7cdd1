"""Texts and tables of the training panel."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from workbench.training.background import (
    FAILED,
    FINISHED,
    PAUSED,
    READY,
    RUNNING,
    STOPPED,
    LiveTraining,
)
from workbench.training.config import Budget
from workbench.training.curves import STAGES, Point
from workbench.views.numbers import milli

__all__ = ["announcement", "duration", "heading", "state_line", "table"]

_DASH = "–"
_OPERATIONS = ("rotations", "inversion")


def heading(run: LiveTraining) -> str:
    """One line of HTML: the dataset, and where the run is stored."""
    where = run.directory.name if run.directory is not None else "in memory only"
    data = run.settings["dataset"]["name"]
    return f"<b>Training</b> <span>{escape(data)} · {escape(where)}</span>"


def duration(seconds: float) -> str:
    """A time in words, e.g. "40 s", "12 min" or "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def state_line(run: LiveTraining) -> str:
    """The state and the next action, as an HTML paragraph, and what the cutoff leaves out."""
    notice = f'<p class="wb-note">{escape(run.notice)}</p>' if run.notice else ""
    return (
        f'<p class="wb-state" data-state="{run.state}" aria-busy="{str(_busy(run)).lower()}">'
        f"<b>{_state(run)}</b> {escape(_outlook(run))}</p>{notice}"
    )


def table(run: LiveTraining) -> str:
    """Progress, errors and cost of each stage, as an HTML table."""
    rows = "".join(_row(run, stage) for stage in (0, 1))
    latest = run.latest
    rate = f"{latest.learning_rate:.2e}" if latest is not None else _DASH
    total = sum(max((p.cpu_seconds for p in _points(run, s)), default=0.0) for s in (0, 1))
    return (
        '<table class="wb-errors"><thead><tr><td colspan="5"></td>'
        '<th colspan="2">equivariance error, meV</th><td></td></tr>'
        "<tr><th></th><th>budget used</th><th>step</th><th>loss, meV</th><th>validation, meV</th>"
        "<th>rotations</th><th>inversion</th>"
        f"<th>CPU, s</th></tr></thead><tbody>{rows}</tbody></table>"
        f'<p class="wb-note">learning rate {rate} · {total:.1f} CPU-seconds in total · pale lines: '
        "loss of each step · points: validation of the averaged weights · ring: after the readouts "
        "were solved for</p>"
    )


def announcement(run: LiveTraining) -> str:
    """The panel in one or two sentences, new at each validation, for `aria-live`."""
    known = run.curves.validation
    text = f"{_state(run)}."
    if known:
        last = known[-1]
        solved = " with solved readouts" if last.solved else ""
        text += (
            f" {STAGES[last.stage]}, step {last.step}{solved}: validation error "
            f"{milli(last.values[0])} meV."
        )
    if run.curves.symmetry:
        values = run.curves.symmetry[-1].values
        for stage, name in enumerate(("stage 1", "both")):
            errors = [
                f"{operation} {milli(value)} meV"
                for operation, value in zip(_OPERATIONS, values[stage::2], strict=False)
            ]
            text += f" Equivariance error of {name}: {', '.join(errors)}."
    return escape(text)


def _busy(run: LiveTraining) -> bool:
    """Whether the next step will take a while."""
    return run.state == RUNNING and (run.latest is None or run.stopping or run.latest.progress >= 1)


def _state(run: LiveTraining) -> str:
    return run.state.capitalize()


def _outlook(run: LiveTraining) -> str:
    """The present activity, or the next possible action."""
    if run.state == RUNNING:
        return _running(run)
    place = _short(run.directory / "model.safetensors") if run.directory is not None else None
    return {
        READY: "press Start; other cells can run during the training.",
        PAUSED: "the state is in memory; Resume continues with the next step.",
        STOPPED: f"the state is {'on disk' if place else 'only in this kernel'}; Resume continues "
        "with the next step.",
        FINISHED: f"the trained model is panel.model, and {place}."
        if place
        else "the trained model is panel.model; save it.",
        FAILED: "see the message above; Start tries again from the last state.",
    }[run.state]


def _short(path: Path) -> str:
    """A path, relative to the working folder if it is inside it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _running(run: LiveTraining) -> str:
    if run.stopping:
        return "stopping after the present step …"
    latest = run.latest
    if latest is None:
        return "reading the data and preparing the networks …"
    if latest.progress >= 1:
        if latest.solved:
            return "preparing stage 2 …"
        return f"{latest.phase}: solving for the readouts …"
    left = run.seconds_left
    if left is None:
        return f"{latest.phase} …"
    then = ""
    if latest.phase == STAGES[0] and run.how.stage2 is not None:
        then = f", then {_budget(run.how.stage2)} of stage 2"
    return f"{latest.phase}, about {duration(left)} left{then}."


def _budget(budget: Budget) -> str:
    if budget.steps is not None:
        return f"{budget.steps} steps"
    return f"{budget.cpu_seconds:g} CPU-seconds"


def _points(run: LiveTraining, stage: int) -> list[Point]:
    return [p for p in [*run.curves.losses, *run.curves.validation] if p.stage == stage]


def _row(run: LiveTraining, stage: int) -> str:
    budget = (run.how.stage1, run.how.stage2)[stage]
    points = _points(run, stage)
    last = max(points, key=lambda p: p.step, default=None)
    used = 0.0
    if budget is not None and last is not None:
        used = budget.progress(last.step, last.cpu_seconds)
    if budget is not None and any(p.solved for p in points):
        used = 1.0
    loss = [p for p in run.curves.losses if p.stage == stage]
    known = [p for p in run.curves.validation if p.stage == stage]
    turned = [p for p in run.curves.symmetry if stage == 0 or p.stage == 1]
    cells = [
        _bar(f"stage {stage + 1}", used) if budget is not None else "not trained",
        str(last.step) if last else _DASH,
        milli(loss[-1].values[0]) if loss else _DASH,
        milli(known[-1].values[0]) if known else _DASH,
        *_symmetry(turned[-1].values[stage::2] if turned else ()),
        f"{max(p.cpu_seconds for p in points):.1f}" if points else _DASH,
    ]
    name = "stage 1" if stage == 0 else "stages 1+2"
    return (
        f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )


def _symmetry(errors: Sequence[float]) -> list[str]:
    """Cells of the errors under rotations and inversion; older runs have only the first."""
    cells = [milli(error) for error in errors]
    return cells + [_DASH] * (len(_OPERATIONS) - len(cells))


def _bar(name: str, used: float) -> str:
    return (
        f'<progress max="1" value="{used:.3f}" aria-label="budget of {name} used"></progress> '
        f"{100 * used:.0f} %"
    )
