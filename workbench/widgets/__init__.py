"""Live widgets for the notebook: state and wiring; the physics is computed elsewhere.

`StructureView` (a structure turned by mouse or keys), `Heat` (matrices as colours), `RotationLab`
(both, with predictions that follow), `HarmonicsLab` (functions on the sphere and how their
components mix), `TurnedHeat` (matrices that follow a rotation), `BlockInspector` (one block taken
apart into irreps), `SpinorTurn` (a spinor, turned once and twice), `Quiz` (a question that
answers). Needs the optional extra `notebooks`.
"""

from __future__ import annotations

try:
    import anywidget as _anywidget  # noqa: F401
    import ipywidgets as _ipywidgets  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "The live widgets need ipywidgets and anywidget: "
        "install them with `pip install 'hamiltonian-workbench[notebooks]'`.",
        name=error.name,
    ) from error

from workbench.widgets.block_inspector import BlockInspector
from workbench.widgets.harmonics_lab import HarmonicsLab
from workbench.widgets.heat import Heat
from workbench.widgets.quiz import Quiz
from workbench.widgets.rerun import watch
from workbench.widgets.rotation_lab import RotationLab
from workbench.widgets.spinor_turn import SpinorTurn
from workbench.widgets.structure_view import StructureView
from workbench.widgets.turned_heat import TurnedHeat

watch()

__all__ = [
    "BlockInspector",
    "HarmonicsLab",
    "Heat",
    "Quiz",
    "RotationLab",
    "SpinorTurn",
    "StructureView",
    "TurnedHeat",
]
