"""Hamiltonian Workbench: predict electronic Hamiltonians in two stages, and watch them turn.

Every public name is imported on first use, so that ``import workbench`` answers at once and
needs neither PyTorch nor PySCF, plotly or ipywidgets until something asks for them::

    import workbench as wb

    atoms = wb.load("water")
    H = wb.load_model("water").predict(atoms).refined  # a BlockMatrix in eV
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.basis import Basis
    from workbench.checkpoint import load_model
    from workbench.conventions import random_rotation, rotation
    from workbench.dataset import Dataset
    from workbench.engines import Reference
    from workbench.engines.choose import pyscf, reference
    from workbench.engines.molecules import overlap
    from workbench.engines.warm_start import scf_cycles, warm_start
    from workbench.evaluation import evaluate
    from workbench.labelling import label
    from workbench.matrices import BlockMatrix
    from workbench.models.config import ModelConfig
    from workbench.models.domain import DomainWarning
    from workbench.models.prediction import Prediction
    from workbench.physics import gap, levels, solve
    from workbench.runs import Budget, TrainConfig
    from workbench.structures import collection, load, rotate
    from workbench.symmetry import EquivarianceReport, equivariance
    from workbench.training import StepRecord, train
    from workbench.views import view
    from workbench.widgets import (
        BlockInspector,
        FeatureBars,
        HarmonicsLab,
        Heat,
        OrbitalView,
        Quiz,
        RotationLab,
        SphereMap,
        SpinorTurn,
        StructurePicker,
        StructureView,
        SymmetriseSlider,
        TestBench,
        TrainingPanel,
        TurnedHeat,
    )

__version__ = "0.1.0"

_HOME = {
    "load": "structures",
    "collection": "structures",
    "rotate": "structures",
    "rotation": "conventions",
    "random_rotation": "conventions",
    "reference": "engines.choose",
    "pyscf": "engines.choose",
    "overlap": "engines.molecules",
    "warm_start": "engines.warm_start",
    "scf_cycles": "engines.warm_start",
    "load_model": "checkpoint",
    "Basis": "basis",
    "BlockMatrix": "matrices",
    "Reference": "engines",
    "Dataset": "dataset",
    "label": "labelling",
    "ModelConfig": "models.config",
    "TrainConfig": "runs",
    "Budget": "runs",
    "train": "training",
    "StepRecord": "training",
    "Prediction": "models.prediction",
    "DomainWarning": "models.domain",
    "evaluate": "evaluation",
    "equivariance": "symmetry",
    "EquivarianceReport": "symmetry",
    "levels": "physics",
    "solve": "physics",
    "gap": "physics",
    "view": "views",
    "RotationLab": "widgets",
    "SphereMap": "widgets",
    "TestBench": "widgets",
    "SpinorTurn": "widgets",
    "BlockInspector": "widgets",
    "FeatureBars": "widgets",
    "StructurePicker": "widgets",
    "StructureView": "widgets",
    "SymmetriseSlider": "widgets",
    "Heat": "widgets",
    "OrbitalView": "widgets",
    "HarmonicsLab": "widgets",
    "TurnedHeat": "widgets",
    "TrainingPanel": "widgets",
    "Quiz": "widgets",
}

# The optional package that a module needs -> the extra that installs it.
_EXTRA = {
    "anywidget": "notebooks",
    "ipywidgets": "notebooks",
    "py3Dmol": "notebooks",
    "rdkit": "smiles",
    "tblite": "sampling",
}

__all__ = [
    "load",
    "collection",
    "rotate",
    "rotation",
    "random_rotation",
    "reference",
    "pyscf",
    "overlap",
    "warm_start",
    "scf_cycles",
    "load_model",
    "Basis",
    "BlockMatrix",
    "Reference",
    "Dataset",
    "label",
    "ModelConfig",
    "TrainConfig",
    "Budget",
    "train",
    "StepRecord",
    "Prediction",
    "DomainWarning",
    "evaluate",
    "equivariance",
    "EquivarianceReport",
    "levels",
    "solve",
    "gap",
    "view",
    "RotationLab",
    "SphereMap",
    "TestBench",
    "SpinorTurn",
    "BlockInspector",
    "FeatureBars",
    "StructurePicker",
    "StructureView",
    "SymmetriseSlider",
    "Heat",
    "OrbitalView",
    "HarmonicsLab",
    "TurnedHeat",
    "TrainingPanel",
    "Quiz",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home module, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"workbench.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        extra = _EXTRA.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise ModuleNotFoundError(
            f"workbench.{name} needs {error.name}, which is not installed: "
            f"run `pip install 'hamiltonian-workbench[{extra}]'`.",
            name=error.name,
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted([*__all__, "__version__"])
