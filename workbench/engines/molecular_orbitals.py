"""The orbitals of a molecule's Hamiltonian beside PySCF's molecule, and their order in PySCF."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.engines.pyscf_molecules import ao_order, mole, overlap
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import occupied_count, solve
from workbench.structures.loading import require_closed_shell, require_same_atoms

__all__ = ["MolecularOrbitals", "molecular_orbitals", "to_pyscf_order"]


class MolecularOrbitals(NamedTuple):
    """The orbitals of a Hamiltonian.

    Attributes:
        molecule: PySCF's molecule.
        energies: (n_ao,) eV, ascending.
        coefficients: (n_ao, n_ao), orbital k in column k, rows in the workbench's order.
        n_occupied: number of occupied orbitals.
    """

    molecule: Any
    energies: NDArray[np.float64]
    coefficients: NDArray[Any]
    n_occupied: int

    @property
    def occupied(self) -> NDArray[Any]:
        """Coefficients (n_ao, n_occupied)."""
        return self.coefficients[:, : self.n_occupied]


def molecular_orbitals(atoms: Atoms, H: BlockMatrix) -> MolecularOrbitals:
    """Solve a molecule's Hamiltonian in one of PySCF's bases, with the exact overlap.

    Raises:
        ValueError: for a crystal, a basis that is not PySCF's, other atoms, or an odd number of
            electrons.
    """
    require_same_atoms(atoms, H)
    molecule = mole(require_closed_shell(atoms), H.basis.name)
    n_occupied = occupied_count(H, int(molecule.nelectron))
    energies, coefficients = solve(H, overlap(atoms, H.basis))
    return MolecularOrbitals(molecule, energies, coefficients, n_occupied)


def to_pyscf_order(molecule: Any, spinor: bool = False) -> NDArray[np.intp]:
    """Index (n_ao,) from the workbench's orbital order to PySCF's: `theirs = ours[index]`."""
    back = np.argsort(ao_order(molecule))
    return np.concatenate([back, back + len(back)]) if spinor else back
