"""Still pictures: pure functions from results to plotly figures and py3Dmol views.

A figure carries its text twin in ``figure.layout.meta["alt"]``; `alt_text` returns it. Nothing here
has state or speaks to a kernel: what moves lives in `workbench.widgets`. Every picture is imported
on first use, so that a molecule needs no plotly and a figure no py3Dmol.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.views.bands import bands
    from workbench.views.curves import curves
    from workbench.views.energies import level_diagram
    from workbench.views.errors import equivariance_bars
    from workbench.views.evaluations import (
        error_spread,
        errors_against_levels,
        evaluation_table,
        shell_pair_table,
    )
    from workbench.views.fading import decay, irrep_decay
    from workbench.views.harmonics import harmonics_surfaces
    from workbench.views.look import alt_text
    from workbench.views.matrices import compare, heat
    from workbench.views.parts import spin_parts
    from workbench.views.rotation_errors import angle_scan, error_histogram
    from workbench.views.sphere_map import sphere_map
    from workbench.views.structure import view
    from workbench.views.training import error_curves, learning_curves, training_curves
    from workbench.views.xray import xray_bars

_HOME = {
    "view": "structure",
    "heat": "matrices",
    "compare": "matrices",
    "spin_parts": "parts",
    "level_diagram": "energies",
    "training_curves": "training",
    "error_curves": "training",
    "learning_curves": "training",
    "xray_bars": "xray",
    "bands": "bands",
    "curves": "curves",
    "decay": "fading",
    "irrep_decay": "fading",
    "equivariance_bars": "errors",
    "error_histogram": "rotation_errors",
    "angle_scan": "rotation_errors",
    "sphere_map": "sphere_map",
    "harmonics_surfaces": "harmonics",
    "evaluation_table": "evaluations",
    "shell_pair_table": "evaluations",
    "error_spread": "evaluations",
    "errors_against_levels": "evaluations",
    "alt_text": "look",
}

__all__ = [
    "view",
    "heat",
    "compare",
    "spin_parts",
    "level_diagram",
    "training_curves",
    "error_curves",
    "learning_curves",
    "xray_bars",
    "bands",
    "curves",
    "decay",
    "irrep_decay",
    "equivariance_bars",
    "error_histogram",
    "angle_scan",
    "sphere_map",
    "harmonics_surfaces",
    "evaluation_table",
    "shell_pair_table",
    "error_spread",
    "errors_against_levels",
    "alt_text",
]


def __getattr__(name: str) -> Any:
    """Import a picture from its module, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'workbench.views' has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"workbench.views.{_HOME[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    """List the pictures, imported or not."""
    return sorted(__all__)
