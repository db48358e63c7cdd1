"""Still pictures: pure functions from results to plotly figures and py3Dmol views.

A figure carries its text twin in ``figure.layout.meta["alt"]``; `alt_text` returns it. Nothing here
has state or speaks to a kernel: what moves lives in `workbench.widgets`.
"""

from workbench.views.energies import level_diagram
from workbench.views.errors import equivariance_bars
from workbench.views.look import alt_text
from workbench.views.matrices import compare, heat
from workbench.views.structure import view
from workbench.views.training import training_curves
from workbench.views.xray import xray_bars

__all__ = [
    "view",
    "heat",
    "compare",
    "level_diagram",
    "training_curves",
    "xray_bars",
    "equivariance_bars",
    "alt_text",
]
