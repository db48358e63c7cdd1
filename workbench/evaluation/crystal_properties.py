"""Properties of a crystal from its Hamiltonian: Fermi level, gap and density of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ase import Atoms
from numpy.typing import ArrayLike

from workbench.hamiltonians.bands import SMEARING, BandGap, finest_edges
from workbench.hamiltonians.bloch import default_mesh
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.density_of_states import DensityOfStates, from_states, mesh_states
from workbench.hamiltonians.eigenproblem import fill_to

__all__ = ["CrystalProperties", "crystal_properties"]


@dataclass(frozen=True, eq=False)
class CrystalProperties:
    """Properties of a crystal, from its Hamiltonian. `bands.band_structure` computes its bands.

    Attributes:
        level_of_theory: of the Hamiltonian, in a few words; empty if it is not known.
        n_electrons: per cell, without those of pseudopotentials.
        k_mesh: numbers of k-points of the Gamma-centred mesh.
        fermi_level: eV, by a Fermi distribution of the width `smearing` on the mesh. In an
            insulator it is a level in the gap.
        smearing: eV.
        edges: the band edges and their k, from the mesh and the special points of the lattice; a
            negative gap means overlapping bands. None where the electrons do not fill whole bands.
        dos: density of states and its parts by element and l. Of a prediction, nearly dependent
            combinations of orbitals are left out (`bands.LEAST`), so its integral is smaller than
            two per orbital.
    """

    level_of_theory: str
    n_electrons: int
    k_mesh: tuple[int, ...]
    fermi_level: float
    smearing: float
    edges: BandGap | None
    dos: DensityOfStates

    @property
    def gap(self) -> float | None:
        """The gap, eV; None as `edges`."""
        return None if self.edges is None else self.edges.energy

    @property
    def dipole(self) -> NoReturn:
        """A crystal has none.

        Raises:
            AttributeError: always, with the reason.
        """
        raise AttributeError(
            "A crystal has no dipole moment of its own, as it depends on the choice of the cell: "
            "ask for the dipole moment of a molecule."
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-able; keys carry units."""
        result: dict[str, Any] = {
            "level_of_theory": self.level_of_theory,
            "electrons": self.n_electrons,
            "k_mesh": list(self.k_mesh),
            "fermi_level_ev": self.fermi_level,
            "fermi_smearing_ev": self.smearing,
            "gap_ev": self.gap,
        }
        if self.edges is not None:
            result |= {
                "valence_top_ev": self.edges.valence,
                "valence_top_k": list(self.edges.valence_k),
                "conduction_bottom_ev": self.edges.conduction,
                "conduction_bottom_k": list(self.edges.conduction_k),
                "direct": self.edges.direct,
            }
        return result | {"density_of_states": self.dos.to_json()}


def crystal_properties(
    H: BlockMatrix,
    S: BlockMatrix,
    atoms: Atoms,
    n_electrons: int,
    level_of_theory: str = "",
    *,
    mesh: Sequence[int] | None = None,
    energies: ArrayLike | None = None,
    width: float = 0.1,
    least: float = 0.0,
) -> CrystalProperties:
    """Fermi level, gap and density of states; the arguments are those of `workbench.properties`.

    Args:
        H: eV.
        S: dimensionless.
        atoms: the crystal.
        n_electrons: per cell.
        level_of_theory: in a few words, for the result.
        mesh, energies, width: as of `workbench.properties`.
        least: smallest eigenvalue of S(k) that is used, see `bands.energies_at`.

    Raises:
        ValueError: for a number of electrons that the orbitals cannot hold, or a width that is not
            positive.

    >>> data = wb.Dataset("graphene")
    >>> ref, atoms = data.reference(0), data.atoms(0)
    >>> found = wb.properties(atoms, ref, mesh=(6, 6, 1))
    >>> found.fermi_level, found.edges.direct  # eV; the bands touch at K
    (-4.12, True)
    >>> abs(found.gap) < 0.01  # eV
    True
    """
    points = tuple(int(n) for n in (default_mesh(atoms) if mesh is None else mesh))
    on_mesh, weights = mesh_states(H, S, points, least)
    each = 1 if H.basis.spinor else 2
    return CrystalProperties(
        level_of_theory=level_of_theory,
        n_electrons=n_electrons,
        k_mesh=points,
        fermi_level=fill_to(on_mesh, n_electrons, each, SMEARING),
        smearing=SMEARING,
        edges=finest_edges(H, S, atoms, n_electrons, points, on_mesh, least),
        dos=from_states(H, on_mesh, weights, energies, width),
    )
