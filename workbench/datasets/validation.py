"""Validation of imported matrices: hermitian, and with the right order and signs of orbitals.

A wrong order or sign of orbitals survives every round trip; it shows under rotation. Two laws
detect it without a second calculation.

Two centres. The only direction in an overlap integral is that between its two atoms. Rotated so
that this direction is z, a block has nonzero elements only between equal m, and the same ones for m
and -m (Slater and Koster 1954, doi 10.1103/PhysRev.94.1498). This is exact for any structure;
projector augmented waves add small terms of third atoms (1 % in graphene). The blocks of a
Hamiltonian obey it approximately, those of near pairs best.

Space group. Each operation of a crystal's space group maps its Hamiltonian onto itself: the block
of the image atoms is ``D H D^dagger``, up to the noise of the integration grid. This needs a
crystal with symmetry. Moments and external fields lower the symmetry of H
(`workbench.datasets.space_group`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from workbench.datasets.space_group import Deviation, even_part, operations
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import along_z
from workbench.hamiltonians.spin_parts import MAGNETIC_EV, odd_part
from workbench.hamiltonians.wigner import wigner_blocks
from workbench.structures.loading import pair_vectors

__all__ = ["DataCheck", "across_the_pair", "check", "note"]

HERMITIAN = 1e-4
"""Largest deviation from hermiticity, eV for H and 1 for S, that counts as rounding."""

ACROSS_OVERLAP = 0.05
ACROSS_HAMILTONIAN = 0.5
"""Limits of `across_the_pair` for an overlap and a Hamiltonian in the right orbital order."""

SYMMETRY = 0.02
"""Largest relative deviation under an operation of the space group; the noise of a grid is less."""

FIELD = 0.1
"""Largest share of off-site blocks that potentials at the atoms may leave of a lowered symmetry.

A field of 1 V/A leaves 0.02 in graphene, alone or double, and 0.008 in MoS2 (GPAW). A wrong order
of the p or d orbitals of one element leaves 0.6 and more in MoTe2 (OpenMX).
"""

SPIN_ORBIT = 0.5
"""Largest deviation of the spin-orbit part of H, relative to it; 1.4 for a spin of wrong sign."""


@dataclass(frozen=True)
class DataCheck:
    """The residuals of one structure's matrices.

    Attributes:
        hermiticity_ev: largest ``|H_ij(T) - H_ji(-T)^dagger|``, eV.
        overlap_hermiticity: the same for S; None without S.
        overlap_floor: smallest eigenvalue of S(k) at the centre and the far corner of the zone;
            None without S.
        overlap_across: `across_the_pair` of S, 0 to 1; None without S.
        hamiltonian_across: `across_the_pair` of H, which is small but not zero.
        operations: number of operations of the space group tested, without the identity.
        symmetry_ev: largest deviation of H, without its magnetic part, from its image under one of
            them, eV.
        symmetry_share: the norm of that deviation over the norm of H's off-site blocks.
        field_share: what potentials at the atoms leave of `symmetry_share`, as an external field
            does; None where the symmetry holds, and without S.
        spin_orbit_share: the largest deviation of the spin-orbit part of H over its norm; None
            where there is none.
        odd_ev: largest element that is odd under time reversal, eV; None without spin.
    """

    hermiticity_ev: float
    overlap_hermiticity: float | None
    overlap_floor: float | None
    overlap_across: float | None
    hamiltonian_across: float
    operations: int
    symmetry_ev: float | None
    symmetry_share: float | None
    field_share: float | None = None
    spin_orbit_share: float | None = None
    odd_ev: float | None = None

    @property
    def time_reversal(self) -> bool:
        """Whether H is invariant under time reversal, as it is without magnetic moments."""
        return _at_most(self.odd_ev, MAGNETIC_EV)

    @property
    def is_lowered(self) -> bool:
        """Whether H has a lower symmetry than the atoms, as in an external field."""
        return self.field_share is not None and self.field_share <= FIELD

    @property
    def complaint(self) -> str | None:
        """One sentence about the first error, or None."""
        # Each condition is the one that must hold: it does not hold for nan.
        if not self.hermiticity_ev <= HERMITIAN:
            return f"H is not hermitian: partner blocks differ by {self.hermiticity_ev:.2g} eV."
        if not _at_most(self.overlap_hermiticity, HERMITIAN):
            return f"S is not hermitian: partner blocks differ by {self.overlap_hermiticity:.2g}."
        if self.overlap_floor is not None and not self.overlap_floor > 0:
            return (
                f"S has the eigenvalue {self.overlap_floor:.2g}, so it belongs to no set of "
                "orbitals: look for blocks that are missing or belong to other atoms."
            )
        order = (
            "the order or the signs of orbitals are not those of the format, the positions belong "
            "to another structure, or too few k-points were used, so that blocks are sums over "
            "images."
        )
        if not _at_most(self.overlap_across, ACROSS_OVERLAP):
            share = f"{self.overlap_across:.1%}"
            return f"{share} of S does not rotate with its pairs of atoms: {order}"
        if not (self.is_lowered or _at_most(self.symmetry_share, SYMMETRY)):
            return (
                f"The crystal's own symmetry does not map H onto itself (by up to "
                f"{self.symmetry_ev:.2g} eV): {order}"
            )
        if not _at_most(self.spin_orbit_share, SPIN_ORBIT):
            return (
                "The crystal's own symmetry does not map the spin-orbit part of H onto itself (by "
                f"{self.spin_orbit_share:.0%}): the order of spin up and down, or the signs of "
                "imaginary parts, are not those of the format."
            )
        if not self.hamiltonian_across <= ACROSS_HAMILTONIAN:
            share = f"{self.hamiltonian_across:.1%}"
            return f"{share} of H does not rotate with its pairs of atoms: {order}"
        return None

    def to_json(self) -> dict[str, float | int | None]:
        """All residuals by name."""
        return asdict(self)


def note(facts: dict[str, Any], found: DataCheck) -> None:
    """Add what the validation of one structure found to the provenance of its dataset.

    Args:
        facts: the provenance, changed in place. ``largest_residuals`` has the largest residual of
            each kind (the smallest number of operations, and eigenvalue of S). ``time_reversal`` is
            False if a matrix with spin is not invariant under it. ``lowered_symmetry`` counts the
            structures whose H has a lower symmetry than their atoms.
        found: of the structure.
    """
    worst = facts.setdefault("largest_residuals", {})
    for name, value in found.to_json().items():
        if value is not None:
            better = min if name in ("overlap_floor", "operations") else max
            worst[name] = better(worst.get(name, value), value)
    if found.odd_ev is not None:
        facts["time_reversal"] = facts.get("time_reversal", True) and found.time_reversal
    if found.is_lowered:
        facts["lowered_symmetry"] = facts.get("lowered_symmetry", 0) + 1


def _at_most(residual: float | None, limit: float) -> bool:
    """Whether a residual is within its limit, or was not measured."""
    return residual is None or residual <= limit


def check(atoms: Atoms, H: BlockMatrix, S: BlockMatrix | None = None) -> DataCheck:
    """Validate the matrices of one structure; nothing is raised, see `DataCheck.complaint`.

    Args:
        atoms: molecule or crystal.
        H: eV, with both blocks of each hermitian pair.
        S: dimensionless, in the basis of H.

    A wrong order of orbitals (here of oxygen's p) is detected by the overlap:

    >>> water = wb.reference(wb.load("water"), basis="sto-3g", xc="hf")
    >>> check(wb.load("water"), water.H, water.S).complaint is None
    True
    >>> S = water.S.dense()[:, [0, 1, 3, 2, 4, 5, 6]][[0, 1, 3, 2, 4, 5, 6]]
    >>> wrong = wb.BlockMatrix.from_dense(water.S.basis, water.S.numbers, S)
    >>> check(wb.load("water"), water.H, wrong).complaint
    '... of S does not rotate with its pairs of atoms: ...'
    """
    return DataCheck(
        hermiticity_ev=_asymmetry(H),
        overlap_hermiticity=None if S is None else _asymmetry(S),
        overlap_floor=None if S is None else _floor(S),
        overlap_across=None if S is None else across_the_pair(S, atoms),
        hamiltonian_across=across_the_pair(H, atoms),
        odd_ev=odd_part(H.values) if H.basis.spinor else None,
        **_symmetry(atoms, H, S),
    )


def _symmetry(atoms: Atoms, H: BlockMatrix, S: BlockMatrix | None) -> dict[str, Any]:
    """The fields of `DataCheck` about the space group; one deviation is in memory at a time."""
    even, worst = even_part(H), None
    elements, of_spin = [], []
    for operation in operations(atoms):
        found = Deviation.of(even, operation)
        elements.append(found.difference.max_abs())
        of_spin.append(found.spin_orbit_share(H))
        if worst is None or not found.share <= worst.share:
            worst = found
    if worst is None:
        return {"operations": 0, "symmetry_ev": None, "symmetry_share": None}
    is_broken = S is not None and not worst.share <= SYMMETRY
    return {
        "operations": len(elements),
        "symmetry_ev": max(elements),
        "symmetry_share": worst.share,
        "field_share": worst.beyond_potentials(S) if S is not None and is_broken else None,
        "spin_orbit_share": max((x for x in of_spin if x is not None), default=None),
    }


def across_the_pair(matrix: BlockMatrix, atoms: Atoms) -> float:
    """Share of the off-site blocks' norm that no two-centre integral can have.

    Args:
        matrix: for a spinor matrix the mean over both spins is used.
        atoms: its structure, positions and cell in A.

    Returns:
        ``|B - axial part of B| / |B|`` in the Frobenius norm over all off-site blocks, 0 to 1.
    """
    vectors = pair_vectors(matrix, atoms)
    off_site = matrix.off_site
    if not off_site.any():
        return 0.0
    m, values = matrix.basis.dim, matrix.values[off_site]
    if matrix.basis.spinor:
        values = (values[:, :m, :m] + values[:, m:, m:]) / 2
    D = wigner_blocks(matrix.basis.layout, along_z(vectors[off_site]))
    local = D @ values @ D.swapaxes(1, 2)
    m_of, opposite = _components(matrix.basis)
    axial = np.where(m_of[:, None] == m_of, (local + local[:, opposite][..., opposite]) / 2, 0)
    return float(np.linalg.norm(local - axial) / max(np.linalg.norm(local), 1e-300))


def _asymmetry(matrix: BlockMatrix) -> float:
    """Largest difference between a block and the adjoint of its partner."""
    return 2 * (matrix - matrix.hermitian()).max_abs()


def _floor(S: BlockMatrix) -> float:
    """Smallest eigenvalue of S(k) at the centre and far corner of the zone, where S(k) is real."""
    return min(float(eigvalsh(S.at_k([k] * 3).real)[0]) for k in (0.0, 0.5))


def _components(basis: Basis) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The m (M,) of each orbital of the padded frame, and the index (M,) of -m in its shell."""
    m = np.concatenate([np.arange(-l, l + 1) for l in basis.layout])
    return m, np.arange(basis.dim) - 2 * m
