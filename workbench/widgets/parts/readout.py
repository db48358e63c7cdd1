"""The numbers beside the pictures: a table of errors, and a sentence for screen readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from workbench.evaluation.errors import Errors, pair_name
from workbench.evaluation.orientation_comparison import Experiment, Floor, Snapshot
from workbench.views.numbers import milli, orientation

_DASH = "–"


def error_table(snapshot: Snapshot, floor: Floor | None, program: str = "PySCF") -> str:
    """HTML table, meV: per predictor its error against the reference and against its own turn."""
    rows = [
        _row(name, snapshot.errors.get(name), snapshot.symmetry[name])
        for name in snapshot.predictions
    ]
    if snapshot.reference is not None:
        rows.append(_row("DFT floor", None, floor.errors if floor else None, "wb-floor"))
    return (
        '<table class="wb-errors"><caption>errors at this orientation, meV</caption>'
        "<thead><tr><td></td>"
        '<th colspan="2" title="f(Rx) against the reference: the prediction error">'
        "vs reference</th>"
        '<th colspan="2" title="f(Rx) against D f(x) D^T: how far it breaks the rotation law">'
        "symmetry</th></tr>"
        "<tr><td></td><th>mean</th><th>max</th><th>mean</th><th>max</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{_floor_note(snapshot, floor, program)}"
    )


def operation_table(
    errors: Mapping[str, Errors] | None, axis: Sequence[float], degrees: float, improper: bool
) -> str:
    """HTML table, meV: each predictor's symmetry error at one operation, and where it is worst."""
    where = ", ".join(f"{c + 0.0:.2f}".replace("-0.00", "0.00") for c in axis)
    then = ", then x → −x" if improper else ""
    title = f"{degrees:.0f}° about ({where}){then}".replace("-", "−")
    rows = []
    for name, own in (errors or {}).items():
        pair = max(own.shell_pairs, key=lambda key: own.shell_pairs[key][0])
        worst = f"{pair_name(pair)} {milli(own.shell_pairs[pair][0])}"
        cells = "".join(f"<td>{v}</td>" for v in (milli(own.mae_mev), milli(own.max_mev), worst))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    body = "".join(rows) or '<tr><td colspan="4">not computed yet</td></tr>'
    return (
        f'<table class="wb-errors"><caption>{title}; symmetry errors in meV</caption><thead><tr>'
        "<th></th><th>mean</th><th>largest</th>"
        '<th title="the pair of shells with the largest mean error">worst shells, mean</th></tr>'
        f"</thead><tbody>{body}</tbody></table>"
    )


def summary(snapshot: Snapshot, drift: dict[str, float]) -> str:
    """The pictures in a few sentences, for `aria-live`."""
    parts = [f"Structure {orientation(snapshot.R)}."]
    for name, broken in snapshot.symmetry.items():
        sentence = f"{name}: breaks the rotation law by {milli(broken.mae_mev)} meV on average"
        if name in snapshot.errors:
            error = snapshot.errors[name]
            sentence += (
                f", differs from the reference by {milli(error.mae_mev)} meV on average and "
                f"{milli(error.max_mev)} at most"
            )
        if name in drift:
            sentence += f", moves the levels by at most {milli(drift[name])} meV"
        parts.append(sentence + ".")
    return " ".join(parts)


def heading(experiment: Experiment) -> str:
    """One line of HTML: formula, basis, size, and how the reference was made."""
    matrix = experiment.template
    parts = [f"{matrix.basis.name}", f"{matrix.n_ao} orbitals"]
    if experiment.reference is not None:
        method = experiment.reference.method
        functional = str(method.get("functional", method.get("method", ""))).upper()
        parts.append(
            f"reference {functional} ({method.get('program', 'stored')})".replace("  ", " ")
        )
    if matrix.shifts.any():
        parts.append("matrices and levels at k = 0")
    formula = experiment.atoms.get_chemical_formula("hill")
    return f"<b>{escape(formula)}</b> <span>{escape(' · '.join(parts))}</span>"


def _row(name: str, error: Errors | None, symmetry: Errors | None, style: str = "") -> str:
    numbers = [error and error.mae_mev, error and error.max_mev]
    numbers += [symmetry and symmetry.mae_mev, symmetry and symmetry.max_mev]
    cells = "".join(f"<td>{_DASH if v is None else milli(v)}</td>" for v in numbers)
    return f'<tr class="{style}"><th scope="row">{escape(name)}</th>{cells}</tr>'


def _floor_note(snapshot: Snapshot, floor: Floor | None, program: str) -> str:
    if snapshot.reference is None:
        return '<p class="wb-note">No reference given: only the symmetry can be checked.</p>'
    if floor is None:
        return (
            f'<p class="wb-note">DFT floor: how far {escape(program)} itself breaks the rotation '
            "law by its grid. It costs one SCF: press the button.</p>"
        )
    where = escape(orientation(floor.R))
    return f'<p class="wb-note">DFT floor measured {where}, in {floor.seconds:.1f} s.</p>'
