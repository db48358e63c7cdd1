"""Atomic orbitals as functions in space, evaluated by PySCF and returned in our orbital order."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.engines.pyscf_molecules import ao_order, check_known, mole
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import BOHR

__all__ = ["atomic_orbitals"]

_CHUNK = 20_000  # points per chunk: the values of a hundred orbitals then take 16 MB


def atomic_orbitals(
    atoms: Atoms, basis: Basis, points: ArrayLike, coefficients: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Values of all atomic orbitals, or of linear combinations of them, at points in space.

    Args:
        atoms: a molecule, positions in A.
        basis: one that PySCF knows, without spin.
        points: (P, 3) A.
        coefficients: (n_ao, K), combination k in column k; rows atom by atom, in each shell
            m = -l..l. By default every orbital separately.

    Returns:
        (P, K), or (P, n_ao), in A^(-3/2): the square of a normalised orbital integrates to one
        over the volume in A^3.

    Raises:
        ValueError: for a crystal, spinors, or a basis that PySCF does not know.
    """
    if basis.spinor:
        raise ValueError("A spinor has two values at each point: give a basis without spin.")
    check_known(basis, atoms.numbers)
    molecule = mole(atoms, basis.name, electrons=False)
    order, positions = ao_order(molecule), np.asarray(points, dtype=float) / BOHR
    mix = np.eye(len(order)) if coefficients is None else np.asarray(coefficients, dtype=float)
    in_pyscf_order = np.empty_like(mix)
    in_pyscf_order[order] = mix
    values = [
        molecule.eval_gto("GTOval_sph", positions[start : start + _CHUNK]) @ in_pyscf_order
        for start in range(0, len(positions), _CHUNK)
    ]
    return np.concatenate(values) / BOHR**1.5  # (P, K)
