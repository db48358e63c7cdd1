"""Live widgets for notebooks: state and callbacks; other packages compute the physics.

- `StructureView`: a structure rotated by mouse or keys. `Heat`: heat maps of matrices.
- `RotationLab`: both, with predictions that follow. `BlockInspector`: the irreps of one block.
- `HarmonicsLab`: functions on the sphere, whose components mix. `TurnedHeat`: matrices that depend
  on a rotation. `SpinorTurn`: a spinor, rotated by 360 and 720 degrees.
- `OrbitalView`: reference and predicted orbitals. `FeatureBars`: a network's features of an atom.
- `SphereMap`: errors over all rotation axes. `TestBench`: all equivariance tests.
- `TrainingPanel`: training in the background. `SymmetriseSlider`: stage 2 averaged over
  orientations.
- `StructurePicker`: a structure from the library, a file, a SMILES string or two layers. `Quiz`: a
  multiple-choice question.

The package needs the optional extra `notebooks`.
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
    """Import TrainingPanel on first use: it is the only widget that needs PyTorch."""
    if name != "TrainingPanel":
        raise AttributeError(f"module 'workbench.widgets' has no attribute {name!r}")
    from workbench.widgets.training_panel import TrainingPanel

    return TrainingPanel
