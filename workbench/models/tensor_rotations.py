"""How do rotations and reflections act on features and blocks?

With Wigner matrices ``D`` of the irreps: features as ``D x``, blocks as ``D h D^T``. With spin the
Q real parts of a block also rotate among themselves, as scalars and axial vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.wigner import wigner_blocks
from workbench.models.edge_frames import Constant, Degree, basis_frames


@dataclass(frozen=True)
class BlockRotation:
    """One rotation per item, acting on blocks.

    Attributes:
        orbitals: (items, M, M) Wigner matrices of the basis.
        spin: (items, Q, Q) Wigner matrices of the spin parts; None without spin.
    """

    orbitals: Tensor
    spin: Tensor | None = None

    def __getitem__(self, index: Any) -> BlockRotation:
        """The rotations of some items."""
        return BlockRotation(self.orbitals[index], None if self.spin is None else self.spin[index])

    @property
    def inverse(self) -> BlockRotation:
        """The inverse rotations."""
        return BlockRotation(self.orbitals.mT, None if self.spin is None else self.spin.mT)

    def to(self, like: Tensor) -> BlockRotation:
        """The same rotations in the dtype and on the device of ``like``."""
        return BlockRotation(
            self.orbitals.to(like), None if self.spin is None else self.spin.to(like)
        )


def rotate_blocks(blocks: Tensor, by: BlockRotation) -> Tensor:
    """``D h D^T`` for blocks (items, ..., M, M); with spin (items, ..., Q, M, M).

    With spin, part q of the result is ``sum_p S_qp D h_p D^T``, ``S`` the rotation of the parts.
    """
    spin = 0 if by.spin is None else 1
    between = (None,) * (blocks.ndim - 3 - spin)
    matrix = by.orbitals[(slice(None), *between, *(None,) * spin)]
    # One product with all rows of an item's blocks: the matrices are not copied to each block.
    half = (blocks.flatten(1, -2) @ by.orbitals.mT).view_as(blocks)
    rotated = matrix @ half
    if by.spin is None:
        return rotated
    return (by.spin[(slice(None), *between)] @ rotated.flatten(-2)).view_as(rotated)


class BlockFrames(nn.Module):
    """From Wigner matrices of the harmonics (see ``EdgeFrames``) to rotations of blocks."""

    def __init__(self, irreps: BlockIrreps, lmax: int) -> None:
        """``lmax``: highest l of the harmonics."""
        super().__init__()
        self.orbitals = basis_frames(irreps.basis.layout, lmax)
        self.spin = basis_frames(irreps.spins, lmax) if irreps.spins else None

    def forward(self, harmonic: Tensor) -> BlockRotation:
        """(P, (lmax+1)^2, (lmax+1)^2) -> P rotations."""
        return BlockRotation(
            self.orbitals(harmonic), None if self.spin is None else self.spin(harmonic)
        )


@dataclass(frozen=True)
class FeatureRotation:
    """One rotation per structure, proper or improper.

    Attributes:
        matrix: (B, 3, 3) orthogonal matrices.
        features: (B, K, K) Wigner matrices of stage 1's features.
        blocks: the same rotations acting on blocks.
    """

    matrix: Tensor
    features: Tensor
    blocks: BlockRotation

    @classmethod
    def of(
        cls,
        matrices: NDArray[np.float64],
        features: Sequence[Degree],
        irreps: BlockIrreps,
        like: Tensor,
    ) -> FeatureRotation:
        """The rotations of orthogonal matrices.

        Args:
            matrices: (B, 3, 3), determinant 1 or -1.
            features: irreps of the features.
            irreps: irreps of the blocks.
            like: determines dtype and device.
        """
        determinant = np.sign(np.linalg.det(matrices))[:, None, None]

        def matrices_of(ls: Sequence[int], pseudo: Sequence[bool]) -> Tensor:
            wigner = wigner_blocks(ls, matrices)  # of harmonics, whose parity is (-1)^l
            wigner[..., np.repeat(pseudo, [2 * l + 1 for l in ls])] *= determinant
            return torch.from_numpy(wigner).to(like)

        shells, spins = irreps.basis.layout, irreps.spins
        axial = [l == 1 for l in spins]
        blocks = BlockRotation(
            matrices_of(shells, [False] * len(shells)),
            matrices_of(spins, axial) if spins else None,
        )
        of_features = matrices_of([d.l for d in features], [d.pseudo for d in features])
        return cls(torch.from_numpy(matrices).to(like), of_features, blocks)


class Reflection:
    """The reflection y -> -y of local frames, which only changes signs of components.

    It gives the tokens of the inverted copy of a structure. Inversion reverses the polar vectors
    that span a local frame, and local frames are right-handed: the frame of the inverted copy has
    the axes (-x, y, -z). Components in it are those of the original structure after this
    reflection.
    """

    def __init__(self, features: Sequence[Degree], irreps: BlockIrreps) -> None:
        """``features``: irreps of stage 1's features; ``irreps``: of the blocks."""
        exact = torch.zeros(1, dtype=torch.float64)
        mirror = FeatureRotation.of(np.diag([1.0, -1.0, 1.0])[None], features, irreps, exact)
        orbitals, spin = mirror.blocks.orbitals[0].diagonal(), mirror.blocks.spin
        signs = orbitals[:, None] * orbitals
        if spin is not None:
            spin = spin[0].diagonal()
            signs = spin[:, None, None] * signs
        self._features = Constant(mirror.features[0].diagonal().numpy())
        self._blocks, self._orbitals = Constant(signs.numpy()), Constant(orbitals.numpy())
        self._spin = None if spin is None else Constant(spin.numpy())

    def of_features(self, x: Tensor, where: Tensor) -> Tensor:
        """Features (items, K, C), reflected where the mask (items,) is True."""
        return torch.where(where[:, None, None], x * self._features(x)[:, None], x)

    def of_blocks(self, blocks: Tensor, where: Tensor) -> Tensor:
        """Blocks (items, B, [Q,] M, M), reflected where the mask (items,) is True."""
        where = where.view(-1, *(1,) * (blocks.ndim - 1))
        return torch.where(where, blocks * self._blocks(blocks), blocks)

    def after(self, rotation: BlockRotation, where: Tensor) -> BlockRotation:
        """The rotation followed, where the mask (items,) is True, by the reflection."""

        def reflected(matrix: Tensor, signs: Constant) -> Tensor:
            return torch.where(where[:, None, None], signs(matrix)[:, None] * matrix, matrix)

        spin = rotation.spin
        if spin is not None and self._spin is not None:
            spin = reflected(spin, self._spin)
        return BlockRotation(reflected(rotation.orbitals, self._orbitals), spin)
