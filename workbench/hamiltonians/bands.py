"""Bands of crystals: along paths, on meshes; Fermi level, gap and density of states.

Everything follows from ``H(k) c = eps S(k) c`` at each k, with `BlockMatrix.at_k`. Energies are in
eV, k in fractions of the reciprocal cell. Scalar bands hold two electrons per cell, spinors' one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.spectrum.band_structure import BandStructure
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, eigvalsh
from scipy.sparse.linalg import eigsh

from workbench.hamiltonians.bloch import k_mesh
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.eigenproblem import fill_to

__all__ = [
    "BandGap",
    "band_gap",
    "band_structure",
    "density_of_states",
    "energies_at",
    "energies_near",
    "fermi_level",
    "mesh_energies",
]

SMEARING = 0.02
"""Width of the Fermi distribution that places the Fermi level, eV."""


LEAST = 1e-3
"""Combinations of orbitals of less overlap than this are left out of predicted bands.

In a large basis some are nearly nothing: an error of 1 meV in H over an overlap of 1e-5 is 100 eV,
and a ghost among the filled bands (`notebooks/08_crystals_and_bands.ipynb` shows them).
"""


def energies_at(
    H: BlockMatrix, S: BlockMatrix, k: ArrayLike, least: float = 0.0
) -> NDArray[np.float64]:
    """Band energies at one k: ``H(k) c = eps S(k) c``.

    Args:
        H: eV.
        S: dimensionless.
        k: (3,) fractions.
        least: leave out combinations of orbitals whose overlap S is below this (canonical
            orthogonalisation: Loewdin, Adv. Phys. 5, 1 (1956)); `LEAST` suits predictions.

    Returns:
        (n_ao,) eV, ascending; infinite where a combination was left out.
    """
    if not least:
        return eigvalsh(H.at_k(k), S.at_k(k))
    overlaps, combinations = eigh(S.at_k(k))
    kept = overlaps > least
    X = combinations[:, kept] / np.sqrt(overlaps[kept])
    energies = np.full(len(overlaps), np.inf)
    energies[: X.shape[1]] = eigvalsh(X.conj().T @ H.at_k(k) @ X)
    return energies


def energies_near(
    H: BlockMatrix, S: BlockMatrix, k: ArrayLike, level: float, count: int = 8
) -> NDArray[np.float64]:
    """The band energies nearest to a level, by shift and invert of sparse matrices.

    Args:
        H: eV, of a crystal too large for `energies_at`; up to about a thousand atoms.
        S: dimensionless.
        k: (3,) fractions.
        level: eV, such as the Fermi level; a band that lies exactly there cannot be found.
        count: how many.

    Returns:
        (count,) eV, ascending.
    """
    h, s = H.sparse_at_k(k), S.sparse_at_k(k)
    found: Any = eigsh(h, k=count, M=s, sigma=level, which="LM", return_eigenvectors=False)
    return np.sort(found)


def band_structure(
    H: BlockMatrix,
    S: BlockMatrix,
    atoms: Atoms,
    path: str | None = None,
    points: int = 60,
    fermi_level: float = 0.0,
    least: float = 0.0,
) -> BandStructure:
    """Bands along a path, by default ASE's standard one for the lattice.

    Args:
        H: eV.
        S: dimensionless.
        atoms: the crystal.
        path: special points, e.g. "GMKG"; a comma starts anew.
        points: how many in all.
        fermi_level: eV, the reference of plots.
        least: as of `energies_at`.

    Returns:
        ASE's own type: energies (1, points, n_ao) in eV; `.plot()` draws it.
    """
    way = atoms.cell.bandpath(path, npoints=points, pbc=atoms.pbc.tolist())
    energies = np.stack([energies_at(H, S, k, least) for k in way.kpts])
    return BandStructure(path=way, energies=energies[None], reference=fermi_level)


def mesh_energies(
    H: BlockMatrix, S: BlockMatrix, mesh: Sequence[int], least: float = 0.0
) -> NDArray[np.float64]:
    """Band energies (points, n_ao) in eV on a mesh through the zone's centre; see `energies_at`."""
    return np.stack([energies_at(H, S, k, least) for k in k_mesh(mesh)])


def fermi_level(
    H: BlockMatrix,
    S: BlockMatrix,
    n_electrons: int,
    mesh: Sequence[int],
    smearing: float = SMEARING,
    least: float = 0.0,
) -> float:
    """The Fermi level in eV.

    Args:
        H: eV.
        S: dimensionless.
        n_electrons: per cell.
        mesh: numbers of k-points; a metal needs many.
        smearing: width of the Fermi distribution, eV.
        least: as of `energies_at`.

    Raises:
        ValueError: for electrons that do not fit the orbitals.
    """
    energies = mesh_energies(H, S, mesh, least)
    return fill_to(energies, n_electrons, 1 if H.basis.spinor else 2, smearing)


@dataclass(frozen=True)
class BandGap:
    """Where the bands of an insulator part; of a metal the bands overlap and the gap is negative.

    Attributes:
        valence: top of the filled bands, eV.
        valence_k: (3,) where, fractions.
        conduction: bottom of the empty bands, eV.
        conduction_k: (3,) where.
    """

    valence: float
    valence_k: tuple[float, ...]
    conduction: float
    conduction_k: tuple[float, ...]

    @property
    def energy(self) -> float:
        """The gap, eV."""
        return self.conduction - self.valence

    @property
    def direct(self) -> bool:
        """Whether both edges lie at one k."""
        return self.valence_k == self.conduction_k


def band_gap(H: BlockMatrix, S: BlockMatrix, n_electrons: int, mesh: Sequence[int]) -> BandGap:
    """The gap above the lowest bands that an even number of electrons fills, on a mesh.

    Raises:
        ValueError: for a number of electrons that does not fill whole bands, or fills all.
    """
    energies, points = mesh_energies(H, S, mesh), k_mesh(mesh)
    filled, left = divmod(n_electrons, 1 if H.basis.spinor else 2)
    if left or not 0 < filled < energies.shape[1]:
        raise ValueError(
            f"{n_electrons} electrons do not fill whole bands of {energies.shape[1]}: a gap needs "
            "an even number, and empty bands above."
        )
    top, bottom = energies[:, filled - 1], energies[:, filled]
    at_top, at_bottom = int(top.argmax()), int(bottom.argmin())
    return BandGap(
        float(top[at_top]),
        tuple(points[at_top].tolist()),
        float(bottom[at_bottom]),
        tuple(points[at_bottom].tolist()),
    )


def density_of_states(
    H: BlockMatrix,
    S: BlockMatrix,
    mesh: Sequence[int],
    energies: ArrayLike,
    width: float = 0.1,
) -> NDArray[np.float64]:
    """States per eV and cell at given energies, both spins counted, each band a Gaussian.

    Args:
        H: eV.
        S: dimensionless.
        mesh: numbers of k-points.
        energies: (n,) eV.
        width: standard deviation of the Gaussians, eV; wider than bands between points of the mesh.

    Returns:
        (n,) 1/eV; its integral over all energies is the number of states.
    """
    levels = mesh_energies(H, S, mesh)
    at = np.asarray(energies, dtype=float)
    distance = (at[:, None, None] - levels) / width
    states = np.exp(-(distance**2) / 2).sum(axis=2).mean(axis=1) / (width * np.sqrt(2 * np.pi))
    return states * (1 if H.basis.spinor else 2)
