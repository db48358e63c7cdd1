"""The density of states of a crystal, and its parts by element and angular momentum.

Each band energy is broadened to a Gaussian. The part of a set of orbitals weighs a Bloch state by
Mulliken's ``sum_m Re[c_m* (S(k) c)_m]`` over the orbitals m of the set. These weights add up to 1,
so the parts add up to the density of states. A part may be slightly negative where orbitals of
different atoms overlap much, as Mulliken's analysis allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.bands import broadened, states_at
from workbench.hamiltonians.bloch import k_mesh
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import SHELL_LETTERS

__all__ = [
    "DensityOfStates",
    "from_states",
    "mesh_states",
    "projected_density_of_states",
    "shell_sets",
]


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """A density of states on a grid of energies, per cell, both spins counted.

    Attributes:
        energies: (n,) eV.
        total: (n,) 1/eV; its integral over all energies is 2 per orbital without spin.
        projected: element and l, e.g. "C p", -> (n,) 1/eV; their sum is the total.
        width: standard deviation of the Gaussians, eV.
    """

    energies: NDArray[np.float64]
    total: NDArray[np.float64]
    projected: Mapping[str, NDArray[np.float64]]
    width: float

    def to_json(self) -> dict[str, Any]:
        """JSON-able; keys carry units."""
        return {
            "gaussian_width_ev": self.width,
            "energies_ev": self.energies.tolist(),
            "total_per_ev": self.total.tolist(),
            "projected_per_ev": {name: part.tolist() for name, part in self.projected.items()},
        }


def shell_sets(matrix: BlockMatrix) -> tuple[list[str], NDArray[np.intp]]:
    """Names of the sets of orbitals of one element and l, and the set (n_ao,) of each orbital.

    >>> from workbench.hamiltonians.density_of_states import shell_sets
    >>> shell_sets(wb.reference(wb.load("water"), basis="sto-3g", xc="hf").H)
    (['O s', 'O p', 'H s'], array([0, 0, 1, 1, 1, 2, 2]))
    """
    of_orbitals = [
        f"{chemical_symbols[z]} {SHELL_LETTERS[l]}"
        for z in matrix.numbers.tolist()
        for l in matrix.basis.shells[z]
        for _ in range(2 * l + 1)
    ]
    names = list(dict.fromkeys(of_orbitals))
    index = np.array([names.index(name) for name in of_orbitals], dtype=np.intp)
    return names, np.tile(index, 2) if matrix.basis.spinor else index


def mesh_states(
    H: BlockMatrix, S: BlockMatrix, mesh: Sequence[int], least: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Band energies on a mesh, and the weight of each set of `shell_sets` in each Bloch state.

    Args:
        H: eV.
        S: dimensionless.
        mesh: numbers of k-points (n1, n2, n3).
        least: see `bands.energies_at`.

    Returns:
        Energies (points, n_ao), eV; weights (points, sets, n_ao), which add up to 1 over the sets.
    """
    names, index = shell_sets(H)
    energies, weights = [], []
    for k in k_mesh(mesh):
        at_k, states = states_at(H, S, k, least)
        of_orbitals = np.real(states.conj() * (S.at_k(k) @ states))  # (n_ao, n_ao)
        of_sets = np.zeros((len(names), len(at_k)))
        np.add.at(of_sets, index, of_orbitals)
        energies.append(at_k)
        weights.append(of_sets)
    return np.stack(energies), np.stack(weights)


def projected_density_of_states(
    H: BlockMatrix,
    S: BlockMatrix,
    mesh: Sequence[int],
    energies: ArrayLike | None = None,
    width: float = 0.1,
    least: float = 0.0,
) -> DensityOfStates:
    """The density of states of a crystal and its parts by element and l.

    Args:
        H: eV.
        S: dimensionless.
        mesh: numbers of k-points (n1, n2, n3).
        energies: (n,) eV; by default all bands, every half `width`.
        width: standard deviation of the Gaussians, eV; choose it larger than the change of a band
            between neighbouring points of the mesh.
        least: see `bands.energies_at`.

    >>> from workbench.hamiltonians.density_of_states import projected_density_of_states
    >>> ref = wb.Dataset("graphene").reference(0)
    >>> dos = projected_density_of_states(ref.H, ref.S, (2, 2, 1), width=0.5)
    >>> list(dos.projected), float(dos.total.sum() * 0.25)  # the integral, for 26 orbitals
    (['C s', 'C p', 'C d'], 52.0)
    """
    return from_states(H, *mesh_states(H, S, mesh, least), energies, width)


def from_states(
    H: BlockMatrix,
    band_energies: NDArray[np.float64],
    weights: NDArray[np.float64],
    energies: ArrayLike | None = None,
    width: float = 0.1,
) -> DensityOfStates:
    """The density of states from the result of `mesh_states`; see `projected_density_of_states`."""
    if not (np.isfinite(width) and width > 0):
        raise ValueError(f"The width of the Gaussians is {width} eV: it must be above 0.")
    if energies is None:
        finite = band_energies[np.isfinite(band_energies)]
        energies = np.arange(finite.min() - 8 * width, finite.max() + 8 * width, width / 2)
    sampled = np.asarray(energies, dtype=float)
    each = (1 if H.basis.spinor else 2) / len(band_energies)
    if sampled.ndim != 1 or not np.isfinite(sampled).all():
        raise ValueError("The energies of the density of states must be a list of finite numbers.")
    parts = sum(
        broadened(e, sampled, width, w) for e, w in zip(band_energies, weights, strict=True)
    )
    parts = each * np.asarray(parts)  # (sets, n)
    names = shell_sets(H)[0]
    return DensityOfStates(
        sampled, parts.sum(axis=0), dict(zip(names, parts, strict=True)), float(width)
    )
