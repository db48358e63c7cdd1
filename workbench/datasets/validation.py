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
crystal with symmetry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.rotations import along_z
from workbench.hamiltonians.wigner import wigner_blocks
from workbench.structures.loading import pair_vectors

__all__ = [
    "DataCheck",
    "Operation",
    "across_the_pair",
    "check",
    "operations",
    "symmetry_residual",
]

HERMITIAN = 1e-4
"""Largest deviation from hermiticity, eV for H and 1 for S, that counts as rounding."""

ACROSS_OVERLAP = 0.05
ACROSS_HAMILTONIAN = 0.5
"""Limits of `across_the_pair` for an overlap and a Hamiltonian in the right orbital order."""

SYMMETRY = 0.02
"""Largest relative deviation under an operation of the space group; the noise of a grid is less."""

spglib.error.OLD_ERROR_HANDLING = False  # raise errors, which will become spglib's default

PRECISION = 1e-3  # A; tolerance for the position of an atom's image


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
        symmetry_ev: largest deviation of H from its image under one of them, eV.
        symmetry_share: the norm of that deviation over the norm of H's off-site blocks.
    """

    hermiticity_ev: float
    overlap_hermiticity: float | None
    overlap_floor: float | None
    overlap_across: float | None
    hamiltonian_across: float
    operations: int
    symmetry_ev: float | None
    symmetry_share: float | None

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
            "the order or the signs of orbitals are not those of the format, or the positions "
            "belong to another structure."
        )
        if not _at_most(self.overlap_across, ACROSS_OVERLAP):
            share = f"{self.overlap_across:.1%}"
            return f"{share} of S does not rotate with its pairs of atoms: {order}"
        if not _at_most(self.symmetry_share, SYMMETRY):
            return (
                f"The crystal's own symmetry does not map H onto itself (by up to "
                f"{self.symmetry_ev:.2g} eV): {order}"
            )
        if not self.hamiltonian_across <= ACROSS_HAMILTONIAN:
            share = f"{self.hamiltonian_across:.1%}"
            return f"{share} of H does not rotate with its pairs of atoms: {order}"
        return None

    def to_json(self) -> dict[str, float | int | None]:
        """All residuals by name."""
        return asdict(self)


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
    residuals = [symmetry_residual(H, operation) for operation in operations(atoms)]
    largest, share = np.array(residuals).max(axis=0).tolist() if residuals else (None, None)
    return DataCheck(
        hermiticity_ev=_asymmetry(H),
        overlap_hermiticity=None if S is None else _asymmetry(S),
        overlap_floor=None if S is None else _floor(S),
        overlap_across=None if S is None else across_the_pair(S, atoms),
        hamiltonian_across=across_the_pair(H, atoms),
        operations=len(residuals),
        symmetry_ev=largest,
        symmetry_share=share,
    )


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


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a space group: ``R x_i + t = x_image(i) + shift(i).A``.

    Attributes:
        R: (3, 3) orthogonal, Cartesian, proper or improper.
        cells: (3, 3) integers: the same operation on lattice vectors (cell indices).
        image: (N,) the atom onto which each atom is mapped.
        shift: (N, 3) the cell of that image.
    """

    R: NDArray[np.float64]
    cells: NDArray[np.int64]
    image: NDArray[np.intp]
    shift: NDArray[np.int64]


def operations(atoms: Atoms) -> Iterator[Operation]:
    """The operations of a crystal's space group, without translations; none for a molecule."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return
    cell, positions = atoms.cell.array, atoms.cell.scaled_positions(atoms.positions)
    crystal: Any = cell, positions, atoms.numbers
    try:
        group: Any = spglib.get_symmetry(crystal, symprec=PRECISION)
    except spglib.SpglibError:  # no group found, e.g. if two atoms coincide
        return
    for cells, t in zip(group["rotations"], group["translations"], strict=True):
        if np.array_equal(cells, np.eye(3)):
            continue
        difference = (positions @ cells.T + t)[:, None] - positions  # (N, N, 3)
        nearest_cell = np.rint(difference)
        distance = np.linalg.norm((difference - nearest_cell) @ cell, axis=2)
        distance[atoms.numbers[:, None] != atoms.numbers] = np.inf
        image = distance.argmin(axis=1)
        shift = nearest_cell[np.arange(len(positions)), image].astype(np.int64)
        R = cell.T @ cells @ np.linalg.inv(cell.T)
        yield Operation(R, cells.astype(np.int64), image, shift)


def symmetry_residual(H: BlockMatrix, operation: Operation) -> tuple[float, float]:
    """Deviation of H from its image under an operation of the space group.

    Returns:
        The largest element of the difference, eV, and the norm of the difference over that of H's
        off-site blocks, or over that of H if it has none.
    """
    (i, j), shift = H.edges, operation.shift
    moved = replace(
        H.rotate(operation.R),
        edges=operation.image[H.edges],
        shifts=H.shifts @ operation.cells.T + shift[j] - shift[i],
    )
    difference = moved - H
    scale = float(np.linalg.norm(H.values[H.off_site] if H.off_site.any() else H.values))
    return difference.max_abs(), float(np.linalg.norm(difference.values)) / max(scale, 1e-300)


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
