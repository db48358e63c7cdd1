"""The error of a prediction without a label: the button that estimates it, and the result."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets
import numpy as np
from ase import Atoms

from workbench.evaluation.orientation_comparison import REFINED, Experiment, Snapshot
from workbench.hamiltonians.conventions import HARTREE, MEV
from workbench.structures.loading import rotate
from workbench.views.numbers import milli, orientation
from workbench.widgets.page import group

if TYPE_CHECKING:  # the check loads PyTorch and PySCF, which take seconds
    from workbench.evaluation.self_consistency import Check

__all__ = ["CheckPanel", "check_report"]

_ESTIMATE = "Estimate the error without a label"
_MICRO = 1e6 / (HARTREE * MEV)  # 1e-6 Hartree per meV


class CheckPanel:
    """A button that runs `workbench.check`, and its result.

    Attributes:
        button: runs nothing by itself: the lab connects it.
        result: HTML, empty before the first check.
        box: both, for the lab's layout.
        checked: the last result, or None.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.checked: Check | None = None
        self.button = widgets.Button(
            description=_ESTIMATE,
            tooltip="One Fock matrix of the predicted density, seconds; needs no reference",
            layout=widgets.Layout(width="auto"),
        )
        self.result = widgets.HTML()
        self.box = group(widgets.VBox, "wb-check", [self.button, self.result])

    @staticmethod
    def applies(experiment: Experiment) -> bool:
        """Whether the experiment has a molecule and a calibrated model."""
        if experiment.model is None:
            return False
        from workbench.evaluation.self_consistency import can_check

        return can_check(experiment.model, experiment.atoms)

    def run(self, snapshot: Snapshot) -> Check:
        """Check the prediction at this orientation, and show the result.

        Raises:
            ValueError: as of `workbench.check`.
        """
        from workbench.evaluation.self_consistency import check

        atoms = rotate(self.experiment.atoms, snapshot.R)
        self.button.description, self.button.disabled = "PySCF is computing …", True
        try:
            self.checked = check(self.experiment.model, atoms)
        finally:
            self.button.description, self.button.disabled = _ESTIMATE, False
        true = self._true_errors(snapshot, self.checked)
        self.result.value = check_report(self.checked, true, atoms, snapshot)
        return self.checked

    def _true_errors(self, snapshot: Snapshot, checked: Check) -> dict[str, float]:
        """Against the reference, meV; empty without one of the functional of the calibration."""
        from workbench.evaluation.self_consistency import errors_by_quantity

        reference = self.experiment.reference
        settings = self.experiment.model.info["calibration"]["settings"]
        if reference is None or snapshot.reference is None:
            return {}
        functional = str(reference.method.get("functional", "hf")).lower()
        if functional != settings["xc"].lower():
            return {}
        predicted = snapshot.predictions[REFINED]
        S, n = checked.step.S, reference.n_electrons
        return errors_by_quantity(predicted, snapshot.reference, S, n)


def check_report(
    checked: Check, true: Mapping[str, float], atoms: Atoms, snapshot: Snapshot
) -> str:
    """HTML: the verdict, a table of the estimated errors, and what the density says.

    Args:
        checked: the result.
        true: quantity -> true error, meV; empty if no reference is known.
        atoms: as they were checked.
        snapshot: at the orientation of the check.
    """
    rows = []
    for name, estimate in checked.estimates.items():
        units = {"meV": 1.0} | ({"10⁻⁶ Hartree": _MICRO} if name == "matrix" else {})
        for unit, factor in units.items():
            cells = [
                milli(factor * estimate.value),
                f"{milli(factor * estimate.low)} – {milli(factor * estimate.high)}",
            ]
            if true:
                where = "inside" if estimate.holds(true[name]) else "outside"
                cells.append(f"{milli(factor * true[name])} <small>{where}</small>")
            numbers = "".join(f"<td>{cell}</td>" for cell in cells)
            rows.append(f'<tr><th scope="row">{name} <small>{unit}</small></th>{numbers}</tr>')
    truth = "<th>true error</th>" if true else ""
    kind = "" if checked.usable else " wb-unusable"
    return (
        f'<p class="wb-verdict{kind}" role="status">{escape(checked.verdict)}</p>'
        '<div class="wb-checked"><table class="wb-errors">'
        "<caption>errors estimated without the reference</caption>"
        "<thead><tr><td></td><th>estimate</th>"
        f'<th title="holds the true error of 68 in 100 molecules">68 % interval</th>{truth}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>{_density(checked, atoms, snapshot)}"
        "</div>"
        '<p class="wb-note">The estimates are scalars: they hold at every orientation, and stay '
        "while the structure rotates.</p>"
    )


def _ev(energy: float) -> str:
    return f"{energy:.2f} eV"


def _density(checked: Check, atoms: Atoms, snapshot: Snapshot) -> str:
    """Energy, dipole and charges of the predicted density, as a list of terms."""
    step = checked.step
    vector = ", ".join(f"{c + 0.0:.2f}".replace("-0.00", "0.00") for c in step.dipole)
    about = "; of an ion it depends on the origin" if atoms.info.get("charge") else ""
    charges = ", ".join(
        f"{symbol}{k}\N{NO-BREAK SPACE}{charge + 0.0:+.2f}"
        for k, (symbol, charge) in enumerate(zip(atoms.symbols, step.charges, strict=True), 1)
    )
    facts = {
        "gap": "none, as all orbitals are occupied" if checked.gap is None else _ev(checked.gap),
        "total energy of the density": f"{step.energy:.2f} eV",
        "dipole": f"{np.linalg.norm(step.dipole):.2f} D; vector ({vector}) D, structure "
        f"{orientation(snapshot.R)}{about}",
        "Mulliken charges": f"{charges} e",
    }
    items = "".join(
        f"<dt>{name}</dt><dd>{escape(value.replace('-', '−'))}</dd>"
        for name, value in facts.items()
    )
    return f'<dl class="wb-facts">{items}</dl>'
