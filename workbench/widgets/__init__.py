"""Live widgets for the notebook: state and wiring; the physics is computed elsewhere.

`StructureView` (a structure turned by mouse or keys), `Heat` (matrices as colours), `RotationLab`
(both, with predictions that follow), `HarmonicsLab` (functions on the sphere and how their
components mix), `TurnedHeat` (matrices that follow a rotation), `BlockInspector` (one block taken
apart into irreps), `OrbitalView` (orbitals in space, true and predicted), `FeatureBars` (what a
network knows of one atom), `SphereMap` (errors over all axes of a turn), `TestBench` (all tests of
the law of turning), `TrainingPanel` (training in the background, watched), `SymmetriseSlider`
(stage 2 averaged over orientations), `StructurePicker` (a structure from the library, a file, a
SMILES or two sheets), `SpinorTurn` (a spinor, turned once and twice), `Quiz` (a question that
answers). Needs the optional extra `notebooks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from workbench.widgets.equivariance_bench import TestBench
from workbench.widgets.feature_bars import FeatureBars
from workbench.widgets.harmonics_lab import HarmonicsLab
from workbench.widgets.heat import Heat
from workbench.widgets.orbital_view import OrbitalView
from workbench.widgets.parts.rerun import watch
from workbench.widgets.quiz import Quiz
from workbench.widgets.rotation_lab import RotationLab
from workbench.widgets.sphere_map import SphereMap
from workbench.widgets.spinor_turn import SpinorTurn
from workbench.widgets.structure_picker import StructurePicker
from workbench.widgets.structure_view import StructureView
from workbench.widgets.symmetrise_slider import SymmetriseSlider
from workbench.widgets.turned_heat import TurnedHeat

if TYPE_CHECKING:
    from workbench.widgets.training_panel import TrainingPanel

watch()

__all__ = [
    "BlockInspector",
    "FeatureBars",
    "HarmonicsLab",
    "Heat",
    "OrbitalView",
    "Quiz",
    "RotationLab",
    "SphereMap",
    "SpinorTurn",
    "StructurePicker",
    "StructureView",
    "TestBench",
    "SymmetriseSlider",
    "TrainingPanel",
    "TurnedHeat",
]


def __getattr__(name: str) -> Any:
    """TrainingPanel on first use: it trains, and so needs PyTorch, which the others do without."""
    if name != "TrainingPanel":
        raise AttributeError(f"module 'workbench.widgets' has no attribute {name!r}")
    from workbench.widgets.training_panel import TrainingPanel

    return TrainingPanel
