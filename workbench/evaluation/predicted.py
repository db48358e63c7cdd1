"""One predicted structure with what its levels and bands need: the overlap and the electrons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.spectrum.band_structure import BandStructure
from numpy.typing import NDArray

from workbench.engines import Overlap
from workbench.engines.dispatch import overlap_of
from workbench.engines.level_of_theory import level_of_theory
from workbench.evaluation.crystal_properties import CrystalProperties
from workbench.evaluation.properties import MoleculeProperties, properties
from workbench.hamiltonians.bands import (
    LEAST,
    SMEARING,
    band_edges,
    band_structure,
    finest_edges,
    mesh_energies,
)
from workbench.hamiltonians.bloch import default_mesh
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.eigenproblem import fill_to, levels
from workbench.models.prediction import Prediction

__all__ = ["MOST_ORBITALS", "Predicted", "predicted"]

MOST_ORBITALS = 2000
"""Crystals with more orbitals get no Fermi level: a k-point would take minutes."""


class _Model(Protocol):
    """A `TwoStageModel`."""

    def predict(self, atoms: Atoms) -> Prediction: ...


@dataclass(frozen=True, eq=False)
class Predicted:
    """A predicted structure; see `predicted`.

    Attributes:
        atoms: the structure.
        prediction: both stages' Hamiltonians, eV.
        S: the overlap; None where none could be had.
        n_electrons: that H describes, of a crystal per cell; None if unknown.
        missing: why there is no overlap; empty if there is one.
    """

    atoms: Atoms
    prediction: Prediction
    S: BlockMatrix | None
    n_electrons: int | None
    missing: str = ""

    @property
    def periodic(self) -> bool:
        """Whether the structure is a crystal."""
        return bool(self.atoms.pbc.any())

    @cached_property
    def fermi_level(self) -> float | None:
        """Of a crystal, eV; None without the overlap or the number of electrons."""
        if not self.n_electrons or self._mesh_energies is None:
            return None
        return fill_to(self._mesh_energies, self.n_electrons, self._each, SMEARING)

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Levels, gap and Fermi level as far as they are known, eV; JSON-able.

        >>> from workbench.evaluation.predicted import predicted
        >>> found = predicted(wb.load_model("water"), wb.load("water"))
        >>> round(found.numbers["gap_ev"], 1), len(found.numbers["levels_ev"])
        (6.9, 24)
        """
        H, base = self.prediction.refined, self.prediction.baseline
        result: dict[str, Any] = {
            "formula": self.atoms.get_chemical_formula(),
            "level_of_theory": level_of_theory(self.prediction.method),
            "orbitals": H.n_ao,
            "refinement_mae_mev": (H - base).mae() * MEV,
        }
        if self.n_electrons is not None:
            result["electrons"] = self.n_electrons
        if self.periodic:
            return result | {"blocks": len(H.values)} | self._of_crystal()
        if self.S is None:
            return result
        energies = levels(H, self.S)
        edges = band_edges(energies[None], np.zeros((1, 3)), self.n_electrons or 0, self._each)
        gap = None if edges is None else edges.energy
        return result | {"gap_ev": gap, "levels_ev": energies.tolist()}

    def bands(self, path: str | None = None, points: int = 120) -> BandStructure:
        """The bands of a crystal along a path, eV; the reference is the Fermi level if known.

        Bands that nearly dependent orbitals make spurious are left out (`bands.LEAST`).

        Args:
            path: special points, e.g. "GMKG"; by default ASE's path for the lattice.
            points: number of k-points.

        Raises:
            ValueError: for a molecule, without an overlap, or for a path that ASE does not know.
        """
        if not self.periodic:
            raise ValueError("Bands are of crystals, and this is a molecule: omit the bands.")
        if self.S is None:
            raise ValueError(f"Bands need the overlap, and there is none ({self.missing}).")
        try:
            found = band_structure(
                self.prediction.refined, self.S, self.atoms, path, points, least=LEAST
            )
        except (KeyError, ValueError, RuntimeError) as error:  # of ASE, for paths and lattices
            raise ValueError(
                f"ASE has no path {path or ''} in this cell ({str(error)[:100]}): name special "
                "points of its lattice, such as GMKG."
            ) from error
        kept = int(np.isfinite(found.energies).all(axis=(0, 1)).sum())
        return BandStructure(found.path, found.energies[:, :, :kept], self.fermi_level or 0.0)

    def properties(self) -> MoleculeProperties | CrystalProperties:
        """Charges, dipole moment and more; returns and raises as `workbench.properties`."""
        return properties(self.atoms, self.prediction, self.S, self.n_electrons)

    @property
    def _each(self) -> int:
        """Electrons that a level or a band holds."""
        return 1 if self.prediction.refined.basis.spinor else 2

    @cached_property
    def _mesh(self) -> tuple[int, ...]:
        return default_mesh(self.atoms)

    @cached_property
    def _mesh_energies(self) -> NDArray[np.float64] | None:
        if self.S is None or self.prediction.refined.n_ao > MOST_ORBITALS:
            return None
        return mesh_energies(self.prediction.refined, self.S, self._mesh, LEAST)

    def _of_crystal(self) -> dict[str, Any]:
        """Fermi level and gap, and the mesh on which they were found."""
        level, on_mesh = self.fermi_level, self._mesh_energies
        if level is None or on_mesh is None or self.S is None:
            return {}
        H = self.prediction.refined
        edges = finest_edges(
            H, self.S, self.atoms, self.n_electrons or 0, self._mesh, on_mesh, LEAST
        )
        result: dict[str, Any] = {"k_mesh": list(self._mesh), "fermi_level_ev": level}
        if edges is None:
            return result | {"gap_ev": None}
        return result | {
            "gap_ev": edges.energy,
            "valence_top_k": list(edges.valence_k),
            "conduction_bottom_k": list(edges.conduction_k),
        }


def predicted(
    model: _Model,
    atoms: Atoms,
    known: Overlap | None = None,
    n_electrons: int | None = None,
) -> Predicted:
    """Predict a structure and find its overlap.

    Args:
        model: a trained model.
        atoms: the structure.
        known: its overlap, in the model's basis. By default the program that made the model's data
            is asked, which takes a second and no self-consistent field.
        n_electrons: that H describes, of a crystal per cell; by default what is known of them.

    Raises:
        ValueError: as `TwoStageModel.predict`, or for a number of electrons below 1.
    """
    if n_electrons is not None and not n_electrons >= 1:
        raise ValueError(f"The number of electrons is {n_electrons}: it must be at least 1.")
    prediction = model.predict(atoms)
    H, missing = prediction.refined, ""
    if known is None:
        try:
            known = overlap_of(atoms, H, prediction.method)
        except RuntimeError as error:  # the program is not installed
            missing = str(error).rstrip(".")
        except ValueError as error:  # no program has such orbitals; what to do about that differs
            missing = str(error).partition(":")[0].rstrip(".")
    electrons = n_electrons or (None if known is None else known.n_electrons)
    return Predicted(atoms, prediction, None if known is None else known.S, electrons, missing)
