"""Numbers beside the pictures: error tables, and a sentence for screen readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from workbench.evaluation.errors import Errors, pair_name
from workbench.evaluation.orientation_comparison import Experiment, Floor, Snapshot
from workbench.hamiltonians.conventions import MEV
from workbench.views.numbers import milli, milli_signed, orientation
from workbench.views.page import facts

_DASH = "–"


def error_table(
    snapshot: Snapshot,
    inversion: Mapping[str, Errors],
    floor: Floor | None,
    program: str = "PySCF",
) -> str:
    """HTML table, meV: errors against the reference and of the symmetry laws, by predictor.

    Against the reference, also without the shift mu S of the zero of energy, and below it each mu.

    Args:
        snapshot: the errors at one orientation.
        inversion: predictor -> errors under x -> -x, measured at R = 1.
        floor: the errors of the reference program, or None.
        program: its name.
    """
    rows = [
        _rows(
            name,
            snapshot.errors.get(name),
            snapshot.gauge_free.get(name),
            snapshot.symmetry[name],
            inversion[name],
        )
        for name in snapshot.predictions
    ]
    if snapshot.reference is not None:
        known = (floor.errors, floor.inversion) if floor else (None, None)
        rows.append(_rows("DFT floor", None, None, *known, style="wb-floor"))
    return (
        '<table class="wb-errors wb-narrow"><caption>errors here and under inversion, meV'
        '</caption><thead><tr><td colspan="2"></td>'
        '<th title="f(Rx) against the reference: the prediction error">reference</th>'
        '<th title="the same without the shift of the zero of energy">without μS</th>'
        '<th title="f(Rx) against D f(x) D^T: the error of the rotation law">rotation</th>'
        '<th title="f(−x) against D f(x) D^T: the same for x → −x">inversion</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{_shift_note(snapshot)}"
        f"{_floor_note(snapshot, floor, program)}"
    )


def operation_table(
    errors: Mapping[str, Errors] | None,
    inversion: Mapping[str, Errors],
    axis: Sequence[float],
    degrees: float,
    improper: bool,
) -> str:
    """HTML table, meV: equivariance errors at one operation and under inversion, by predictor.

    The table also names the pair of shells with the largest mean error.
    """
    where = ", ".join(f"{c + 0.0:.2f}".replace("-0.00", "0.00") for c in axis)
    then = ", then x → −x" if improper else ""
    title = f"{degrees:.0f}° about ({where}){then}".replace("-", "−")
    rows = []
    for name, error in (errors or {}).items():
        pair = max(error.shell_pairs, key=lambda key: error.shell_pairs[key][0])
        worst = f"{pair_name(pair)} {milli(error.shell_pairs[pair][0])}"
        inverted = inversion[name]
        numbers = (
            *(milli(error.mae_mev), milli(error.max_mev), worst),
            *(milli(inverted.mae_mev), milli(inverted.max_mev)),
        )
        cells = "".join(f"<td>{v}</td>" for v in numbers)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    body = "".join(rows) or '<tr><td colspan="6">not computed yet</td></tr>'
    return (
        f'<table class="wb-errors"><caption>{title}; equivariance errors in meV</caption><thead>'
        f'<tr><td></td><th colspan="3">{operation_name(improper)}</th>'
        f'<th colspan="2">inversion</th></tr><tr><td></td><th>mean</th><th>largest</th>'
        '<th title="the pair of shells with the largest mean error">worst shells, mean</th>'
        f"<th>mean</th><th>largest</th></tr></thead><tbody>{body}</tbody></table>"
    )


def operation_name(improper: bool) -> str:
    """What a table calls one operation, beside the inversion alone."""
    return "rotation + inversion" if improper else "rotation"


def summary(snapshot: Snapshot, inversion: Mapping[str, Errors], drift: Mapping[str, float]) -> str:
    """Text equivalent of the pictures in a few sentences, for `aria-live`."""
    sentences = [f"Structure {orientation(snapshot.R)}."]
    for name, symmetry in snapshot.symmetry.items():
        sentence = (
            f"{name}: equivariance error {milli(symmetry.mae_mev)} meV on average, "
            f"{milli(inversion[name].mae_mev)} meV under inversion"
        )
        if name in snapshot.errors:
            error = snapshot.errors[name]
            sentence += (
                f", error against the reference {milli(error.mae_mev)} meV on average and "
                f"{milli(error.max_mev)} meV at most"
            )
        if name in snapshot.gauge_free:
            sentence += (
                f", {milli(snapshot.gauge_free[name].mae_mev)} meV on average without a shift of "
                f"the zero of energy by {milli_signed(MEV * snapshot.shifts[name])} meV"
            )
        if name in drift:
            sentence += f", levels change by at most {milli(drift[name])} meV"
        sentences.append(sentence + ".")
    return " ".join(sentences)


def heading(experiment: Experiment) -> str:
    """One line of HTML: formula, basis, number of orbitals, and method of the reference."""
    formula = experiment.atoms.get_chemical_formula("hill")
    return f"<b>{escape(formula)}</b> <span>{escape(' · '.join(facts(experiment)))}</span>"


def _rows(name: str, *errors: Errors | None, style: str = "") -> str:
    """A row with the mean and one with the largest of each of these errors."""
    means, largest = (
        "".join(f"<td>{_DASH if v is None else milli(v)}</td>" for v in values)
        for values in zip(*((e and e.mae_mev, e and e.max_mev) for e in errors), strict=True)
    )
    return (
        f'<tr class="{style}"><th scope="rowgroup" rowspan="2">{escape(name)}</th>'
        f'<th scope="row" class="wb-kind">mean</th>{means}</tr>'
        f'<tr class="{style}"><th scope="row" class="wb-kind">max</th>{largest}</tr>'
    )


def _shift_note(snapshot: Snapshot) -> str:
    """The shift of each predictor's zero of energy; empty without a reference."""
    if not snapshot.shifts:
        return ""
    shifts = ", ".join(f"{n} {milli_signed(MEV * mu)} meV" for n, mu in snapshot.shifts.items())
    return (
        f'<p class="wb-note">Shift μ of the zero of energy: {escape(shifts)}. H + μS has the '
        "orbitals and gaps of H.</p>"
    )


def _floor_note(snapshot: Snapshot, floor: Floor | None, program: str) -> str:
    if snapshot.reference is None:
        return '<p class="wb-note">No reference: only the equivariance error can be measured.</p>'
    if floor is None:
        return (
            f'<p class="wb-note">DFT floor: equivariance error of {escape(program)} itself, due to '
            "its grid. To measure it (two SCF calculations: Rx and −x), press the button.</p>"
        )
    where = escape(orientation(floor.R))
    return f'<p class="wb-note">DFT floor measured {where}, in {floor.seconds:.1f} s.</p>'
