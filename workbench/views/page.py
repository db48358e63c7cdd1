"""One HTML file that turns a molecule without Python, network or server, for any browser."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench.evaluation.orientation_comparison import Experiment
from workbench.evaluation.rotation_errors import BASELINE, REFINED, STAGE_NAMES
from workbench.storage.atomic_write import atomic_write
from workbench.views.page_data import PageError, check_molecule, page_data
from workbench.views.style import listed

__all__ = ["LARGEST", "PageError", "check_molecule", "facts", "page", "write_page"]

LARGEST = 5_000_000
"""Bytes that a page may have."""

_STATIC = Path(__file__).parent / "static"

_STAGE1 = (
    "Stage 1 is equivariant by construction: its answer for the rotated molecule is its matrix "
    "rotated, D f(x) Dᵀ, which is what the page shows. Computed again by the network, it differs "
    "by rounding only."
)
_GLOBAL = (
    "Stage 2 works in the global frame. The page runs it at each orientation, in JavaScript and in "
    "double precision, with the real weights of the model: stage 1's features are rotated by D, "
    "then follow the layers of the Transformer and the correction. Its errors of the rotation law "
    "and under inversion are measured here."
)
_LOCAL = (
    "Stage 2 works in local frames, which rotate with the molecule. Its answer is therefore its "
    "matrix rotated as well, and the page does not run the network. {}"
)
_MIRRORS = "It is averaged over inversion, so the same holds for x → −x."
_NO_MIRRORS = "Under inversion it is not exact: its matrix of −x was computed with Python."
_ANEW = (
    "Stage 1 is shown as its matrix rotated, which is what it would answer. Stage 2 is computed "
    "anew at each orientation."
)
_ROTATED = "Both stages are shown as their matrices rotated, which is what they would answer."
_COMMON = (
    "A rotation R of the molecule rotates the orbitals by a block diagonal matrix D(R) of real "
    "Wigner matrices, one for each shell. The page computes it, and H′ = D H Dᵀ.",
    "The orbital energies are the solutions of H c = ε S c at this orientation, with the rotated "
    "overlap S.",
    "Matrices and weights travel in this file as base64, in the precision in which the model has "
    "them (float32 or float64). No part of this page is loaded from a network.",
)


def write_page(path: str | Path, experiment: Experiment) -> Path:
    """Write the page of an experiment, as `page` returns it.

    Raises:
        PageError: as `page`.
        WritingError: if the system refuses the file.
    """
    return atomic_write(Path(path), page(experiment))


def page(experiment: Experiment) -> str:
    """One HTML file, complete in itself: the molecule is dragged, and all numbers follow.

    The true Hamiltonian, the predictions of both stages, their differences, errors, symmetry errors
    and orbital energies are computed in the browser at each orientation.

    Args:
        experiment: a molecule with a model of this package, a reference, or both.

    Raises:
        PageError: as `page_data`, and for a page above `LARGEST`.

    >>> from workbench.evaluation.orientation_comparison import Experiment
    >>> from workbench.views.page import page
    >>> html = page(Experiment(wb.load("water"), wb.load_model("water")))
    >>> html.startswith("<!doctype html>"), len(html) < 5_000_000
    (True, True)
    """
    data = page_data(experiment)
    levels = data.pop("levels")
    parts = _words(experiment, data) | {
        "style": (_STATIC / "page.css").read_text(),
        "script": _inside_script((_STATIC / "page.js").read_text()),
        "molecule_script": _inside_script((_STATIC / "3Dmol.js").read_text()),
        "licence": escape((_STATIC / "3Dmol.LICENSE.txt").read_text()),
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "levels": levels,
        "hide_levels": "" if levels else "hidden",
        "hide_errors": "" if data["predictors"] else "hidden",
        "version": escape(version("hamiltonian-workbench")),
    }
    template = (_STATIC / "page.html").read_text()
    html = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    if not len(html.encode()) < LARGEST:
        raise PageError(
            f"This page would have {len(html.encode()) / 1e6:.1f} MB, above "
            f"{LARGEST / 1e6:g} MB: show a smaller molecule, or a smaller basis."
        )
    return html


def _inside_script(text: str) -> str:
    """JavaScript that no parser of HTML takes for the end of its element."""
    return text.replace("</script", "<\\/script")


def _words(experiment: Experiment, data: dict[str, Any]) -> dict[str, str]:
    """The texts that depend on the molecule and on the model."""
    formula, known = data["formula"], data["reference"] is not None
    stages = [p["name"] for p in data["predictors"]]
    predictions = ["the predictions of a neural network in two stages, and their errors"]
    shown = [*(["the true Hamiltonian"] if known else []), *(predictions if stages else [])]
    lead = f"{', '.join(shown)} {'follow' if stages else 'follows'}."
    return {
        "title": escape(f"{formula}: a Hamiltonian that turns"),
        "heading": re.sub(r"(\d+)", r"<sub>\1</sub>", escape(formula)),
        "facts": escape(" · ".join(facts(experiment))),
        "lead": escape(lead[0].upper() + lead[1:]),
        "against": _choices(known),
        "notes": _notes(experiment, stages, data["left_out"]),
        "explanation": "\n".join(f"<li>{escape(s)}</li>" for s in _explained(experiment, stages)),
    }


def facts(experiment: Experiment) -> list[str]:
    """Basis, number of orbitals, and method of the reference, as a heading lists them."""
    matrix = experiment.template
    known = [f"{matrix.basis.name}", f"{matrix.n_ao} orbitals"]
    if experiment.reference is not None:
        method = experiment.reference.method
        functional = str(method.get("functional", method.get("method", ""))).upper()
        known.append(
            f"reference {functional} ({method.get('program', 'stored')})".replace("  ", " ")
        )
    if matrix.shifts.any():
        known.append("matrices and levels at k = 0")
    return known


def _choices(known: bool) -> str:
    """Buttons for what the predictions are compared with; without a reference there is one way."""
    options = [("reference", "to the reference"), ("rotated", "to the rotated prediction")]
    offered = options if known else options[1:]
    pressed = ("true", *("false" for _ in offered[1:]))
    return "".join(
        f'<button type="button" value="{value}" aria-pressed="{state}">{text}</button>'
        for (value, text), state in zip(offered, pressed, strict=True)
    )


def _notes(experiment: Experiment, stages: list[str], left_out: list[str]) -> str:
    """Below the table: which matrices are only rotated, and which predictors are missing."""
    notes = []
    if stages:
        notes.append(_ROTATED if experiment.model.is_local else _ANEW)
    if left_out:
        notes.append(f"Not on this page: {listed(left_out)}, which only Python can compute.")
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _explained(experiment: Experiment, stages: list[str]) -> list[str]:
    """What the page computes, one sentence or two for each part of it."""
    said = [_COMMON[0]]
    if STAGE_NAMES[BASELINE] in stages:
        said.append(_STAGE1)
    if STAGE_NAMES[REFINED] in stages:
        model = experiment.model
        inverted = _MIRRORS if model.averages_inversion else _NO_MIRRORS
        said.append(_LOCAL.format(inverted) if model.is_local else _GLOBAL)
    return [*said, *_COMMON[1:]]
