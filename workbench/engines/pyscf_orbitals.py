"""Atomic orbitals as functions of place, evaluated by PySCF and handed out in our order."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from workbench.engines.pyscf_molecules import ao_order, check_known, mole
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.conventions import BOHR

__all__ = ["atomic_orbitals"]

_CHUNK = 20_000  # points at once: the values of a hundred orbitals then take 16 MB


def atomic_orbitals(
    atoms: Atoms, basis: Basis, points: ArrayLike, coefficients: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Values of all atomic orbitals, or of combinations of them, at points in space.

    Args:
        atoms: a molecule, positions in A.
        basis: one that PySCF knows, without spin.
        points: (P, 3) A.
        coefficients: (n_ao, K), combination k in column k, atoms in turn and in each shell
            m = -l..l; by default every orbital alone.

    Returns:
        (P, K), or (P, n_ao), in A^(-3/2): their squares integrate over A^3 to one where they are
        normalised.

    Raises:
        ValueError: for a crystal, spinors, or a basis that PySCF does not know.
    """
    if basis.spinor:
        raise ValueError("A spinor has two values at each point: give a basis without spin.")
    check_known(basis, atoms.numbers)
    molecule = mole(atoms, basis.name, electrons=False)
    order, places = ao_order(molecule), np.asarray(points, dtype=float) / BOHR
    mix = np.eye(len(order)) if coefficients is None else np.asarray(coefficients, dtype=float)
    theirs = np.empty_like(mix)
    theirs[order] = mix
    values = [
        molecule.eval_gto("GTOval_sph", places[start : start + _CHUNK]) @ theirs
        for start in range(0, len(places), _CHUNK)
    ]
    return np.concatenate(values) / BOHR**1.5  # (P, K)
