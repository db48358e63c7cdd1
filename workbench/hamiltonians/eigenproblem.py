"""Levels and orbitals of a Hamiltonian, the frontier orbitals, and comparisons of two Hamiltonians.

All functions solve the generalised eigenvalue problem ``H c = eps S c`` with ``c^+ S c = 1``
(Roothaan 1951, doi 10.1103/RevModPhys.23.69). Matrices are `BlockMatrix` of a molecule, or of a
crystal at k = 0 (for other k see `workbench.hamiltonians.bands`); H is in eV, S is dimensionless.
Energies are in eV, ascending. An orbital without spin holds two electrons, a spinor one.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, eigvalsh
from scipy.optimize import brentq
from scipy.special import expit

from workbench.hamiltonians.block_matrix import BlockMatrix

__all__ = [
    "IllConditionedOverlap",
    "OverlapError",
    "degenerate_sets",
    "fill_to",
    "gap",
    "gap_error",
    "gap_or_none",
    "homo_lumo",
    "levels",
    "occupied_count",
    "occupied_energy_mae",
    "occupied_similarity",
    "overlap_floor",
    "solve",
]

SMALLEST_SAFE = 1e-5  # eigenvalue of S; a smaller one multiplies an error in H by more than 1e5
DEGENERATE = 1e-3  # eV; closer levels are treated as degenerate when orbitals are compared


class IllConditionedOverlap(UserWarning):
    """The basis is nearly linearly dependent, so an error in H is amplified in the levels."""


class OverlapError(ValueError):
    """The overlap is not positive definite, so it is not the overlap of any basis functions."""


def overlap_floor(S: BlockMatrix) -> float:
    """The smallest eigenvalue of the overlap, which bounds ``|d eps| <= |dH| / floor``.

    Raises:
        OverlapError: if the eigenvalue is not positive.

    Warns:
        IllConditionedOverlap: if the eigenvalue is below 1e-5.
    """
    return _checked_floor(_hermitian("S", S))


def solve(H: BlockMatrix, S: BlockMatrix) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """All solutions of ``H c = eps S c``.

    Args:
        H: eV, of a molecule, or of a crystal (taken at k = 0).
        S: dimensionless, of the same atoms in the same basis.

    Returns:
        eps (n_ao,) in eV, ascending; C (n_ao, n_ao), orbital k in column k, ``C^+ S C = 1``.

    Raises:
        ValueError: if H and S do not fit together, are not hermitian or not finite.
        OverlapError: if S is not positive definite.

    Warns:
        IllConditionedOverlap: if the smallest eigenvalue of S is below 1e-5.

    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> eps, C = wb.solve(ref.H, ref.S)
    >>> H, S = ref.H.dense(), ref.S.dense()
    >>> bool(np.allclose(H @ C, S @ C * eps)), bool(np.allclose(C.T @ S @ C, np.eye(7)))
    (True, True)
    """
    h, s = _pair(H, S)
    energies, orbitals = eigh(h, s)  # (n_ao,), (n_ao, n_ao)
    return energies, orbitals


def levels(H: BlockMatrix, S: BlockMatrix) -> NDArray[np.float64]:
    """Eigenvalues (n_ao,) of ``H c = eps S c`` in eV, ascending; raises and warns as `solve`.

    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> wb.levels(ref.H, ref.S)  # eV: the 1s of O, four more occupied, two empty
    array([-550.95,  -34.36,  -16.46,  -12.43,  -10.67,   16.13,   19.45])
    """
    return eigvalsh(*_pair(H, S))


def occupied_count(H: BlockMatrix, n_electrons: int) -> int:
    """Number of occupied orbitals of a closed shell: n_electrons / 2, or n_electrons for spinors.

    Raises:
        ValueError: for an odd number (without spin), for none, or for more than the orbitals hold.
    """
    per_orbital = 1 if H.basis.spinor else 2
    n_occ, left = divmod(n_electrons, per_orbital)
    if left:
        raise ValueError(f"{n_electrons} electrons do not fill closed shells: give an even number.")
    if not 1 <= n_occ <= H.n_ao:
        raise ValueError(
            f"{n_electrons} electrons do not fit the {H.n_ao} orbitals of this basis: "
            f"give between {per_orbital} and {per_orbital * H.n_ao}."
        )
    return n_occ


def homo_lumo(H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> tuple[float, float]:
    """Energies in eV of the highest occupied and the lowest unoccupied orbital.

    Raises:
        ValueError: as `solve` and `occupied_count`, and if all orbitals are occupied.
    """
    n_occ = occupied_count(H, n_electrons)
    if n_occ == H.n_ao:
        raise ValueError(
            f"All {n_occ} orbitals are occupied, so there is no LUMO: use a larger basis."
        )
    energies = levels(H, S)
    return float(energies[n_occ - 1]), float(energies[n_occ])


def gap(H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> float:
    """LUMO minus HOMO in eV; raises as `homo_lumo`.

    Args:
        H: eV.
        S: dimensionless.
        n_electrons: an even number without spin.

    >>> ref = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> wb.gap(ref.H, ref.S, ref.n_electrons)
    26.796
    """
    homo, lumo = homo_lumo(H, S, n_electrons)
    return lumo - homo


def gap_or_none(H: BlockMatrix, S: BlockMatrix, n_electrons: int) -> float | None:
    """As `gap`, but None where all orbitals are occupied, so that there is no LUMO.

    >>> from ase import Atoms
    >>> from workbench.hamiltonians.eigenproblem import gap_or_none
    >>> helium = wb.reference(Atoms("He"), basis="sto-3g", xc="hf")
    >>> print(gap_or_none(helium.H, helium.S, helium.n_electrons))
    None
    """
    filled = occupied_count(H, n_electrons) == H.n_ao
    return None if filled else gap(H, S, n_electrons)


def gap_error(H1: BlockMatrix, H2: BlockMatrix, S: BlockMatrix, n_electrons: int) -> float | None:
    """Difference of two gaps, not negative, eV; None where all orbitals are occupied."""
    first, second = (gap_or_none(H, S, n_electrons) for H in (H1, H2))
    return None if first is None or second is None else abs(first - second)


def fill_to(energies: NDArray[np.float64], n_electrons: int, each: int, width: float) -> float:
    """The Fermi level in eV at which a Fermi distribution holds this number of electrons.

    Args:
        energies: (n,) of a molecule, or (points, n) at k-points of equal weight, eV.
        n_electrons: number of electrons (per cell).
        each: electrons per orbital: 2, or 1 for spinors.
        width: of the distribution, eV; the level then varies smoothly where a gap closes.

    Raises:
        ValueError: for a number of electrons that the orbitals cannot hold.
    """
    capacity = each * energies.shape[-1]
    if not 0 < n_electrons <= capacity:
        raise ValueError(
            f"{n_electrons} electrons do not fit these orbitals: give 1 to {capacity}."
        )

    def surplus(level: float) -> float:
        occupations = each * expit((level - energies) / width)
        return float(occupations.sum(axis=-1).mean()) - n_electrons

    levels = energies[np.isfinite(energies)]  # infinite: left out by `bands.energies_at`
    bracket = levels.min() - 50 * width, levels.max() + 50 * width
    fermi_level: Any = brentq(surplus, *bracket, xtol=1e-12)
    return float(fermi_level)


def degenerate_sets(
    *energies: NDArray[np.float64], within: float = DEGENERATE
) -> list[tuple[int, int]]:
    """(start, stop) of each set of degenerate levels; a non-degenerate level is a set of one.

    Args:
        energies: (n,) eV, ascending, of one or several Hamiltonians: successive levels that are
            closer than `within` in any Hamiltonian belong to one set.
        within: eV; 0 makes every level a set of its own.
    """
    spacing = np.min([np.diff(e) for e in energies], axis=0)
    edges = [0, *(np.flatnonzero(spacing >= within) + 1).tolist(), len(energies[0])]
    return list(pairwise(edges))


def occupied_energy_mae(
    H1: BlockMatrix, H2: BlockMatrix, S: BlockMatrix, n_electrons: int
) -> float:
    """Mean ``|eps1_k - eps2_k|`` in eV over the occupied orbitals, both sorted by energy.

    The measure used for MD17 and QH9 (Yu et al. 2023, arXiv 2306.09549). Raises as `solve`.
    """
    n_occ = occupied_count(H1, n_electrons)
    return float(np.abs(levels(H1, S) - levels(H2, S))[:n_occ].mean())


def occupied_similarity(
    H1: BlockMatrix,
    H2: BlockMatrix,
    S: BlockMatrix,
    n_electrons: int,
    degenerate: float = DEGENERATE,
) -> float:
    """Mean cosine ``|<C1_k|S|C2_k>|`` over the occupied orbitals; 1 means equal orbitals.

    Orbitals of a degenerate level are defined only up to a unitary mixing, so their plain cosine
    is arbitrary. Here successive levels closer than `degenerate` in H1 or in H2 form a group g.
    A group contributes the cosines of the principal angles between its two subspaces, the singular
    values of ``C1_g^+ S C2_g``, which no mixing changes. A group of one orbital contributes the
    plain cosine of MD17 and QH9. The grouping is ours. Orbitals are paired by energy, so two levels
    in swapped order count as wrong.

    Args:
        H1: eV.
        H2: eV, of the same atoms in the same basis.
        S: dimensionless, the overlap of both.
        n_electrons: an even number without spin.
        degenerate: eV; 0 makes every orbital a group of its own.

    Returns:
        Between 0 and 1; symmetric in H1 and H2.

    Raises:
        ValueError: as `solve` and `occupied_count`.
    """
    n_occ = occupied_count(H1, n_electrons)
    (eps1, C1), (eps2, C2) = solve(H1, S), solve(H2, S)
    overlap = C1[:, :n_occ].conj().T @ S.at_gamma() @ C2[:, :n_occ]  # (n_occ, n_occ)
    sets = degenerate_sets(eps1[:n_occ], eps2[:n_occ], within=degenerate)
    cosines = [np.linalg.svd(overlap[a:b, a:b], compute_uv=False) for a, b in sets]
    return float(np.minimum(np.concatenate(cosines), 1.0).mean())  # rounding may exceed 1


def _pair(H: BlockMatrix, S: BlockMatrix) -> tuple[NDArray[Any], NDArray[Any]]:
    """Dense H and S, checked: same atoms and basis, hermitian, finite, S positive definite."""
    if not np.array_equal(H.numbers, S.numbers) or H.n_ao != S.n_ao:
        raise ValueError(
            f"H has {H.n_ao} orbitals of {len(H.numbers)} atoms, S has {S.n_ao} of "
            f"{len(S.numbers)}: take both from the same atoms in the same order and basis."
        )
    h, s = _hermitian("H", H), _hermitian("S", S)
    _checked_floor(s)
    return h, s


def _hermitian(name: str, matrix: BlockMatrix) -> NDArray[Any]:
    """The dense matrix, checked: LAPACK reads one triangle only and would not notice an error."""
    dense = matrix.at_gamma()
    dense = dense.astype(np.result_type(dense, np.float64))  # also for float32
    if not np.isfinite(dense).all():
        raise ValueError(
            f"{name} has elements that are not finite: check the calculation that made it."
        )
    skew = np.abs(dense - dense.conj().T).max(initial=0.0)
    if not skew <= 1e-5 * max(1.0, matrix.max_abs()):
        raise ValueError(
            f"{name} is not hermitian (off by {skew:.1e}): use {name}.hermitian() first."
        )
    return dense


def _checked_floor(overlap: NDArray[Any]) -> float:
    floor = float(eigvalsh(overlap, subset_by_index=(0, 0))[0])
    if not floor > 0:
        raise OverlapError(
            f"The overlap's smallest eigenvalue is {floor:.1e}, so it is not positive definite: "
            "check the geometry, or use a basis with fewer diffuse functions."
        )
    if floor < SMALLEST_SAFE:
        warnings.warn(
            f"The overlap's smallest eigenvalue is {floor:.1e}: the levels may amplify an error in "
            f"H by its inverse, {1 / floor:.0e}.",
            IllConditionedOverlap,
            stacklevel=4,
        )
    return floor
