"""Bands of crystals on paths and meshes; Fermi level, band gap and density of states.

All functions solve ``H(k) c = eps S(k) c`` at each k, with `BlockMatrix.at_k`. Energies are in eV,
k in fractions of the reciprocal cell vectors. A band without spin holds two electrons per cell, a
band of spinors one.
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
    "band_edges",
    "band_gap",
    "band_structure",
    "broadened",
    "density_of_states",
    "energies_at",
    "energies_near",
    "fermi_level",
    "finest_edges",
    "mesh_energies",
    "states_at",
]

SMEARING = 0.02
"""Width of the Fermi distribution that determines the Fermi level, eV."""

_SAME = 1e-5  # eV; band energies at equivalent k differ by less

LEAST = 1e-3
"""Smallest eigenvalue of S(k) that predicted bands use; smaller ones are left out.

In a large basis some combinations of orbitals are nearly zero: an error of 1 meV in H, divided by
an overlap of 1e-5, is 100 eV and makes a spurious band among the filled ones
(`notebooks/08_crystals_and_bands.ipynb` shows such bands).
"""


def energies_at(
    H: BlockMatrix, S: BlockMatrix, k: ArrayLike, least: float = 0.0
) -> NDArray[np.float64]:
    """Band energies at one k: ``H(k) c = eps S(k) c``.

    Args:
        H: eV.
        S: dimensionless.
        k: (3,) fractions.
        least: leave out combinations of orbitals whose eigenvalue of S(k) is below this (canonical
            orthogonalisation: Loewdin, Adv. Phys. 5, 1 (1956)); use `LEAST` for predictions.

    Returns:
        (n_ao,) eV, ascending; infinite for each combination that was left out.

    >>> from workbench.hamiltonians import bands
    >>> ref = wb.Dataset("graphene").reference(0)
    >>> bands.energies_at(ref.H, ref.S, (1 / 3, 1 / 3, 0))[3:5]  # the Dirac point at K
    array([-4.12, -4.12])
    """
    if not least:
        return eigvalsh(H.at_k(k), S.at_k(k))
    X = _kept_combinations(S.at_k(k), least)
    energies = np.full(len(X), np.inf)
    energies[: X.shape[1]] = eigvalsh(X.conj().T @ H.at_k(k) @ X)
    return energies


def states_at(
    H: BlockMatrix, S: BlockMatrix, k: ArrayLike, least: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Band energies and Bloch states at one k; the arguments are those of `energies_at`.

    Returns:
        (n_ao,) eV, as of `energies_at`; (n_ao, n_ao), state n in column n, ``C^+ S(k) C = 1``, and
        zero for each combination that was left out.
    """
    h, s = H.at_k(k), S.at_k(k)
    if not least:
        return eigh(h, s)
    X = _kept_combinations(s, least)
    energies, states = np.full(len(X), np.inf), np.zeros_like(s)
    energies[: X.shape[1]], mixing = eigh(X.conj().T @ h @ X)
    states[:, : X.shape[1]] = X @ mixing
    return energies, states


def _kept_combinations(s: NDArray[Any], least: float) -> NDArray[Any]:
    """Orthonormal combinations (n_ao, kept) of orbitals whose eigenvalue of S(k) is not small."""
    overlaps, combinations = eigh(s)
    kept = overlaps > least
    return combinations[:, kept] / np.sqrt(overlaps[kept])


def energies_near(
    H: BlockMatrix, S: BlockMatrix, k: ArrayLike, level: float, count: int = 8
) -> NDArray[np.float64]:
    """The band energies nearest to a level, by shift-invert iteration on sparse matrices.

    Args:
        H: eV, of a crystal too large for `energies_at`; up to about 1,000 atoms.
        S: dimensionless.
        k: (3,) fractions.
        level: eV, e.g. the Fermi level. H - level S is inverted: no band may lie at it.
        count: number of energies.

    Returns:
        (count,) eV, ascending.
    """
    h, s = H.sparse_at_k(k), S.sparse_at_k(k)
    energies: Any = eigsh(h, k=count, M=s, sigma=level, which="LM", return_eigenvectors=False)
    return np.sort(energies)


def band_structure(
    H: BlockMatrix,
    S: BlockMatrix,
    atoms: Atoms,
    path: str | None = None,
    points: int = 60,
    fermi_level: float = 0.0,
    least: float = 0.0,
) -> BandStructure:
    """Bands along a path; by default ASE's standard path for the lattice.

    Args:
        H: eV.
        S: dimensionless.
        atoms: the crystal.
        path: special points, e.g. "GMKG"; a comma starts a new, separate path.
        points: number of k-points in total.
        fermi_level: eV, the zero of plots.
        least: see `energies_at`.

    Returns:
        ASE's type: energies (1, points, n_ao) in eV; `.plot()` draws them.

    >>> from workbench.hamiltonians import bands
    >>> data = wb.Dataset("graphene")
    >>> ref, atoms = data.reference(0), data.atoms(0)
    >>> bands.band_structure(ref.H, ref.S, atoms, "GMKG", 20).energies.shape
    (1, 20, 26)
    """
    bandpath = atoms.cell.bandpath(path, npoints=points, pbc=atoms.pbc.tolist())
    energies = np.stack([energies_at(H, S, k, least) for k in bandpath.kpts])
    return BandStructure(path=bandpath, energies=energies[None], reference=fermi_level)


def mesh_energies(
    H: BlockMatrix, S: BlockMatrix, mesh: Sequence[int], least: float = 0.0
) -> NDArray[np.float64]:
    """Band energies (points, n_ao) in eV on a Gamma-centred mesh; see `energies_at`."""
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
        mesh: numbers of k-points (n1, n2, n3); a metal needs many.
        smearing: width of the Fermi distribution, eV.
        least: see `energies_at`.

    Raises:
        ValueError: for a number of electrons that the orbitals cannot hold.

    >>> from workbench.hamiltonians import bands
    >>> ref = wb.Dataset("graphene").reference(0)
    >>> bands.fermi_level(ref.H, ref.S, ref.n_electrons, (6, 6, 1))  # at the Dirac point
    -4.12
    """
    energies = mesh_energies(H, S, mesh, least)
    return fill_to(energies, n_electrons, 1 if H.basis.spinor else 2, smearing)


@dataclass(frozen=True)
class BandGap:
    """The band edges of a crystal; in a metal the bands overlap and the gap is negative.

    Attributes:
        valence: top of the filled bands, eV.
        valence_k: (3,) k of this band edge, fractions.
        conduction: bottom of the empty bands, eV.
        conduction_k: (3,) k of this band edge, fractions.
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
        """Whether both band edges lie at the same k."""
        return self.valence_k == self.conduction_k


def band_gap(H: BlockMatrix, S: BlockMatrix, n_electrons: int, mesh: Sequence[int]) -> BandGap:
    """The gap between the filled and the empty bands, on a mesh of k-points.

    Args:
        H: eV.
        S: dimensionless.
        n_electrons: per cell; an even number without spin.
        mesh: numbers of k-points (n1, n2, n3).

    Raises:
        ValueError: for a number of electrons that does not fill whole bands, or fills all bands.
    """
    energies = mesh_energies(H, S, mesh)
    edges = band_edges(energies, k_mesh(mesh), n_electrons, 1 if H.basis.spinor else 2)
    if edges is None:
        raise ValueError(
            f"{n_electrons} electrons do not fill whole bands of {energies.shape[1]}: a gap needs "
            "an even number, and empty bands above."
        )
    return edges


def band_edges(
    energies: NDArray[np.float64], points: NDArray[np.float64], n_electrons: int, each: int
) -> BandGap | None:
    """The band edges of energies (points, n), eV, at points (points, 3).

    Args:
        energies: ascending at each point.
        points: k in fractions.
        n_electrons: per cell.
        each: electrons per band: 2, or 1 for spinors.

    Returns:
        None where the electrons do not fill whole bands, or no band is left empty.
    """
    n_filled, remainder = divmod(n_electrons, each)
    if remainder or not 0 < n_filled < energies.shape[1]:
        return None
    highest_filled, lowest_empty = energies[:, n_filled - 1], energies[:, n_filled]
    if not np.isfinite(lowest_empty).all():
        return None
    valence, conduction = float(highest_filled.max()), float(lowest_empty.min())
    # Symmetry repeats an edge at several k: a k of both edges goes first, since it is a direct gap.
    tops, bottoms = highest_filled >= valence - _SAME, lowest_empty <= conduction + _SAME
    both = tops & bottoms
    top, bottom = (int(np.argmax(both if both.any() else one)) for one in (tops, bottoms))
    return BandGap(valence, tuple(points[top].tolist()), conduction, tuple(points[bottom].tolist()))


def finest_edges(
    H: BlockMatrix,
    S: BlockMatrix,
    atoms: Atoms,
    n_electrons: int,
    mesh: Sequence[int],
    on_mesh: NDArray[np.float64],
    least: float = 0.0,
) -> BandGap | None:
    """The band edges on a mesh and at the special points of the lattice; None as of `band_edges`.

    A coarse mesh misses the special points, where bands often have their edges.

    Args:
        H: eV.
        S: dimensionless.
        atoms: the crystal.
        n_electrons: per cell.
        mesh: numbers of k-points (n1, n2, n3).
        on_mesh: `mesh_energies` of this mesh, eV.
        least: see `energies_at`.
    """
    special = _special_points(atoms)
    energies = np.concatenate([on_mesh, *(energies_at(H, S, k, least)[None] for k in special)])
    points = np.concatenate([k_mesh(mesh), special])
    return band_edges(energies, points, n_electrons, 1 if H.basis.spinor else 2)


def _special_points(atoms: Atoms) -> NDArray[np.float64]:
    """(n, 3) special points of the lattice, fractions; none where ASE does not know it."""
    try:
        path = atoms.cell.bandpath(npoints=0, pbc=atoms.pbc.tolist())
    except (ValueError, RuntimeError, KeyError):
        return np.zeros((0, 3))
    return np.array(list(path.special_points.values())).reshape(-1, 3)


def density_of_states(
    H: BlockMatrix,
    S: BlockMatrix,
    mesh: Sequence[int],
    energies: ArrayLike,
    width: float = 0.1,
) -> NDArray[np.float64]:
    """States per eV and cell, both spins counted; each band energy is broadened to a Gaussian.

    Args:
        H: eV.
        S: dimensionless.
        mesh: numbers of k-points (n1, n2, n3).
        energies: (n,) eV.
        width: standard deviation of the Gaussians, eV; choose it larger than the change of a band
            between neighbouring points of the mesh.

    Returns:
        (n,) 1/eV; the integral over all energies is the number of states, 2 per orbital.

    >>> from workbench.hamiltonians import bands
    >>> ref, energies = wb.Dataset("graphene").reference(0), np.arange(-40, 300, 0.1)
    >>> states = bands.density_of_states(ref.H, ref.S, (2, 2, 1), energies, width=0.5)
    >>> float(states.sum() * 0.1)  # the integral, for 26 orbitals
    52.0
    """
    sampled = np.asarray(energies, dtype=float)
    states = np.zeros(sampled.shape)
    for at_k in mesh_energies(H, S, mesh):
        states += broadened(at_k, sampled, width)
    return states * (1 if H.basis.spinor else 2) / int(np.prod(mesh))


def broadened(
    energies: NDArray[np.float64],
    sampled: NDArray[np.float64],
    width: float,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """A sum of normalised Gaussians at some energies, sampled at others.

    Args:
        energies: (m,) eV; infinite ones, which `energies_at` left out, contribute nothing.
        sampled: (n,) eV.
        width: standard deviation, eV.
        weights: (..., m) of the Gaussians; by default 1.

    Returns:
        (..., n) 1/eV.
    """
    gaussians = np.exp(-(((sampled[:, None] - energies) / width) ** 2) / 2)  # (n, m)
    gaussians /= width * np.sqrt(2 * np.pi)
    return gaussians.sum(axis=1) if weights is None else weights @ gaussians.T
