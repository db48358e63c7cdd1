"""Whether matrices from elsewhere are what they are taken for: hermitian, and in the right order.

A wrong order or sign of orbitals survives every round trip; it shows when something is turned.
Two laws tell it without a second calculation.

Two centres. An overlap integral knows no direction but the one between its atoms. Turned so that
this is z, a block keeps only elements between equal m, alike for m and -m (Slater and Koster 1954,
doi 10.1103/PhysRev.94.1498). That is exact, for any structure whatever; projector augmented waves
add small terms of third atoms (1 % in graphene). A Hamiltonian's blocks obey it roughly, near pairs
best.

Space group. Each operation of a crystal maps its Hamiltonian onto itself: the block of the images
is ``D H D^dagger``, up to the noise of the integration grid. It needs a crystal with symmetry.
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
"""Shares across the pair that an overlap and a Hamiltonian in the right order stay below."""

SYMMETRY = 0.02
"""Share of the off-site blocks that an operation may leave unexplained: a grid's noise is less."""

spglib.error.OLD_ERROR_HANDLING = False  # errors are raised, as they will be by default one day

PRECISION = 1e-3  # A; atoms this near to their images are taken to be in place


@dataclass(frozen=True)
class DataCheck:
    """What was found out about one structure's matrices.

    Attributes:
        hermiticity_ev: largest ``|H_ij(T) - H_ji(-T)^dagger|``.
        overlap_hermiticity: the same of S; None without S, as for what follows.
        overlap_floor: smallest eigenvalue of S(k) at the zone's centre and its far corner.
        overlap_across: share (0 to 1) of S's off-site blocks that two centres cannot have.
        hamiltonian_across: the same of H, where it is small but not zero.
        operations: how many of the space group's operations were tried, the identity aside.
        symmetry_ev: largest element by which one of them does not map H onto itself.
        symmetry_share: the norm of that difference over the norm of H's off-site blocks.
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
        """One sentence on the first thing that is wrong, or None."""
        if self.hermiticity_ev > HERMITIAN:
            return f"H is not hermitian: partner blocks differ by {self.hermiticity_ev:.2g} eV."
        if (self.overlap_hermiticity or 0.0) > HERMITIAN:
            return f"S is not hermitian: partner blocks differ by {self.overlap_hermiticity:.2g}."
        if self.overlap_floor is not None and self.overlap_floor <= 0:
            return (
                f"S has the eigenvalue {self.overlap_floor:.2g}, so it belongs to no set of "
                "orbitals: look for blocks that are missing or belong to other atoms."
            )
        order = "the order or the signs of orbitals are not those of the format, or positions are"
        if (self.overlap_across or 0.0) > ACROSS_OVERLAP:
            share = f"{self.overlap_across:.1%}"
            return f"{share} of S does not turn with its pairs of atoms: {order} another's."
        if (self.symmetry_share or 0.0) > SYMMETRY:
            return (
                f"The crystal's own symmetry does not map H onto itself (by up to "
                f"{self.symmetry_ev:.2g} eV): {order} another's."
            )
        if self.hamiltonian_across > ACROSS_HAMILTONIAN:
            share = f"{self.hamiltonian_across:.1%}"
            return f"{share} of H does not turn with its pairs of atoms: {order} another's."
        return None

    def to_json(self) -> dict[str, float | int | None]:
        """All findings by name."""
        return asdict(self)


def check(atoms: Atoms, H: BlockMatrix, S: BlockMatrix | None = None) -> DataCheck:
    """Examine the matrices of one structure; nothing is raised, see `DataCheck.complaint`.

    Args:
        atoms: molecule or crystal.
        H: eV, with both blocks of each hermitian pair.
        S: dimensionless, in the basis of H.
    """
    found = [symmetry_residual(H, operation) for operation in operations(atoms)]
    largest, share = np.array(found).max(axis=0).tolist() if found else (None, None)
    return DataCheck(
        hermiticity_ev=_asymmetry(H),
        overlap_hermiticity=None if S is None else _asymmetry(S),
        overlap_floor=None if S is None else _floor(S),
        overlap_across=None if S is None else across_the_pair(S, atoms),
        hamiltonian_across=across_the_pair(H, atoms),
        operations=len(found),
        symmetry_ev=largest,
        symmetry_share=share,
    )


def across_the_pair(matrix: BlockMatrix, atoms: Atoms) -> float:
    """Share of the off-site blocks' norm that a function of two centres cannot have.

    Args:
        matrix: of a spinor matrix the mean over both spins is taken.
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
    turn = wigner_blocks(matrix.basis.layout, along_z(vectors[off_site]))
    local = turn @ values @ turn.swapaxes(1, 2)
    order, mirrored = _components(matrix.basis)
    axial = np.where(order[:, None] == order, (local + local[:, mirrored][..., mirrored]) / 2, 0)
    return float(np.linalg.norm(local - axial) / max(np.linalg.norm(local), 1e-300))


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a space group: ``R x_i + t = x_image(i) + shift(i).A``.

    Attributes:
        R: (3, 3) orthogonal, cartesian, proper or not.
        cells: (3, 3) integers: the same operation on numbers of cells.
        image: (N,) the atom that each atom is moved to.
        shift: (N, 3) the cell that it is moved to.
    """

    R: NDArray[np.float64]
    cells: NDArray[np.int64]
    image: NDArray[np.intp]
    shift: NDArray[np.int64]


def operations(atoms: Atoms) -> Iterator[Operation]:
    """The operations of a crystal's space group, without pure shifts; none for a molecule."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return
    cell, places = atoms.cell.array, atoms.cell.scaled_positions(atoms.positions)
    crystal: Any = cell, places, atoms.numbers
    try:
        found: Any = spglib.get_symmetry(crystal, symprec=PRECISION)
    except spglib.SpglibError:  # it finds no group, as for atoms that lie upon each other
        return
    for cells, t in zip(found["rotations"], found["translations"], strict=True):
        if np.array_equal(cells, np.eye(3)):
            continue
        away = (places @ cells.T + t)[:, None] - places  # (N, N, 3)
        whole = np.rint(away)
        distance = np.linalg.norm((away - whole) @ cell, axis=2)
        distance[atoms.numbers[:, None] != atoms.numbers] = np.inf
        image = distance.argmin(axis=1)
        shift = whole[np.arange(len(places)), image].astype(np.int64)
        R = cell.T @ cells @ np.linalg.inv(cell.T)
        yield Operation(R, cells.astype(np.int64), image, shift)


def symmetry_residual(H: BlockMatrix, operation: Operation) -> tuple[float, float]:
    """How far an operation of the space group is from mapping H onto itself.

    Returns:
        The largest difference, eV, and the norm of the difference over that of the off-site blocks.
    """
    (i, j), shift = H.edges, operation.shift
    moved = replace(
        H.rotate(operation.R),
        edges=operation.image[H.edges],
        shifts=H.shifts @ operation.cells.T + shift[j] - shift[i],
    )
    difference = moved - H
    scale = float(np.linalg.norm(H.values[H.off_site]))
    return difference.max_abs(), float(np.linalg.norm(difference.values)) / max(scale, 1e-300)


def _asymmetry(matrix: BlockMatrix) -> float:
    """Largest difference of partner blocks."""
    return 2 * (matrix - matrix.hermitian()).max_abs()


def _floor(S: BlockMatrix) -> float:
    """Smallest eigenvalue of S(k) where S(k) is real: at the zone's centre and far corner."""
    return min(float(eigvalsh(S.at_k([k] * 3).real)[0]) for k in (0.0, 0.5))


def _components(basis: Basis) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The m (M,) of each orbital of the padded frame, and the place (M,) of -m in its shell."""
    m = np.concatenate([np.arange(-l, l + 1) for l in basis.layout])
    place = np.arange(basis.dim)
    return m, place - 2 * m
