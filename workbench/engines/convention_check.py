"""Check of every convention by rotating, recomputing and comparing; `doctor` prints the residuals.

A round trip through an order table proves nothing: a wrong table cancels itself. Here each law is
compared with integrals that PySCF computes from scratch for the rotated molecule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.engines import pyscf_spinors
from workbench.engines.pyscf_library import gto, scf
from workbench.engines.pyscf_molecules import ao_order, basis_of, mole, overlap
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import E3NN_AXES
from workbench.hamiltonians.rotations import random_rotation
from workbench.hamiltonians.wigner import harmonics
from workbench.structures.loading import rotate

__all__ = ["TOLERANCE", "convention_residuals"]

TOLERANCE = 1e-10
"""Largest residual that a convention may have, relative to the matrix."""

_LMAX = 4
_UP_TO_G = "cc-pvqz"


def convention_residuals(seed: int = 0) -> dict[str, float]:
    """Residual of each convention relative to the largest element compared; about 1e-13 each.

    Takes about a second. A wrong order or sign gives a residual of order one.

    Args:
        seed: of the random rotation, which is applied with and without inversion.

    Returns:
        Name of the convention -> largest deviation, dimensionless.

    >>> max(convention_residuals().values()) < 1e-10
    True
    """
    R = random_rotation(np.random.default_rng(seed))
    water = Atoms("OHH", [[0.0, 0.1, 0.0], [0.2, 0.8, 0.5], [0.1, -0.7, 0.6]])
    telluride = Atoms("TeHH", [[0.0, 0.1, 0.0], [0.3, 1.1, 1.2], [0.1, -1.2, 1.1]])
    points = np.random.default_rng(seed).normal(size=(50, 3))
    return {
        "overlap of s to g orbitals, rotation": _rotation_residual(_overlap, water, R),
        "overlap of s to g orbitals, rotation and inversion": _rotation_residual(
            _overlap, water, -R
        ),
        "core Hamiltonian of s to g orbitals, rotation": _rotation_residual(_core, water, R),
        "core Hamiltonian of s to g orbitals, rotation and inversion": _rotation_residual(
            _core, water, -R
        ),
        "spin-orbit core Hamiltonian, rotation": _rotation_residual(_spin_orbit, telluride, R),
        "spin-orbit core Hamiltonian, rotation and inversion": _rotation_residual(
            _spin_orbit, telluride, -R
        ),
        "harmonics against PySCF orbitals, s to g": _deviation(
            harmonics(_LMAX, points), _pyscf_harmonics(points)
        ),
        "harmonics against e3nn, s to g": _deviation(
            harmonics(_LMAX, points), _e3nn_harmonics(points)
        ),
    }


def _rotation_residual(
    matrix: Callable[[Atoms], BlockMatrix], atoms: Atoms, R: NDArray[np.float64]
) -> float:
    """Deviation from `M(R x) = D M(x) D^dagger`."""
    return _deviation(matrix(rotate(atoms, R)).values, matrix(atoms).rotate(R).values)


def _deviation(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def _overlap(atoms: Atoms) -> BlockMatrix:
    return overlap(atoms, basis_of(_UP_TO_G, atoms.numbers))


def _core(atoms: Atoms) -> BlockMatrix:
    """Kinetic energy and nuclear attraction, Hartree."""
    molecule = mole(atoms, _UP_TO_G)
    order = ao_order(molecule)
    dense = scf.hf.get_hcore(molecule)[np.ix_(order, order)]
    return BlockMatrix.from_dense(basis_of(_UP_TO_G, atoms.numbers), atoms.numbers, dense)


def _spin_orbit(atoms: Atoms) -> BlockMatrix:
    """One-electron Hamiltonian with spin-orbit coupling, Hartree; all up orbitals first."""
    field = pyscf_spinors.solver(atoms, xc="hf")
    return pyscf_spinors.blocks(field.mol, atoms, pyscf_spinors.BASES["ecp"], field.get_hcore())


def _pyscf_harmonics(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 25) signed angular part of PySCF's orbitals at points around one atom, in our order."""
    shells = [[l, [1.0, 1.0]] for l in range(_LMAX + 1)]
    atom = gto.M(atom="He 0 0 0", basis={"He": shells}, verbose=0)
    values = atom.eval_gto("GTOval_sph", points)[:, ao_order(atom)]  # (n, 25)
    distance = np.linalg.norm(points, axis=1)
    angular = []
    for l in range(_LMAX + 1):
        radial = gto.gto_norm(l, 1.0) * distance**l * np.exp(-(distance**2))
        angular.append(values[:, l * l : (l + 1) ** 2] / radial[:, None])
    return np.concatenate(angular, axis=1)


def _e3nn_harmonics(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 25) e3nn's harmonics of the permuted vectors, orthonormal."""
    import torch
    from e3nn import o3

    vectors = torch.as_tensor(points[:, E3NN_AXES], dtype=torch.float64)
    degrees = list(range(_LMAX + 1))
    result = o3.spherical_harmonics(degrees, vectors, normalize=True, normalization="integral")
    return result.numpy()
