"""Rotations as the networks need them: of positions, of features and of blocks."""

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
    """One rotation per item, as it acts on blocks.

    Attributes:
        orbitals: (items, M, M) Wigner matrices of the basis.
        spin: (items, Q, Q) those of the spin parts; None without spin.
    """

    orbitals: Tensor
    spin: Tensor | None = None

    def __getitem__(self, index: Any) -> BlockRotation:
        """The rotations of some items."""
        return BlockRotation(self.orbitals[index], None if self.spin is None else self.spin[index])

    @property
    def inverse(self) -> BlockRotation:
        """The rotations back."""
        return BlockRotation(self.orbitals.mT, None if self.spin is None else self.spin.mT)

    def to(self, like: Tensor) -> BlockRotation:
        """The same in the type and on the device of a tensor."""
        return BlockRotation(
            self.orbitals.to(like), None if self.spin is None else self.spin.to(like)
        )


def rotate_blocks(blocks: Tensor, by: BlockRotation) -> Tensor:
    """``D h D^T`` for (items, ..., M, M) blocks; (items, ..., Q, M, M) with spin."""
    spin = 0 if by.spin is None else 1
    between = (None,) * (blocks.ndim - 3 - spin)
    matrix = by.orbitals[(slice(None), *between, *(None,) * spin)]
    turned = matrix @ blocks @ matrix.mT
    if by.spin is None:
        return turned
    return (by.spin[(slice(None), *between)] @ turned.flatten(-2)).view_as(turned)


class BlockFrames(nn.Module):
    """Takes matrices of harmonics, as ``EdgeFrames`` makes them, to what turns blocks."""

    def __init__(self, irreps: BlockIrreps, lmax: int) -> None:
        """``lmax``: of the harmonics."""
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
    """One rotation per structure, proper or with an inversion.

    Attributes:
        matrix: (B, 3, 3).
        features: (B, K, K) how they act on stage 1's features.
        blocks: how they act on blocks.
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
        """Of orthogonal matrices (B, 3, 3).

        Args:
            matrices: the rotations.
            features: irreps of the features.
            irreps: of the blocks.
            like: gives type and device.
        """
        hand = np.sign(np.linalg.det(matrices))[:, None, None]

        def matrices_of(ls: Sequence[int], pseudo: Sequence[bool]) -> Tensor:
            found = wigner_blocks(ls, matrices)  # of harmonics, whose parity is (-1)^l
            found[..., np.repeat(pseudo, [2 * l + 1 for l in ls])] *= hand
            return torch.from_numpy(found).to(like)

        shells, spins = irreps.basis.layout, irreps.spins
        axial = [l == 1 for l in spins]
        blocks = BlockRotation(
            matrices_of(shells, [False] * len(shells)),
            matrices_of(spins, axial) if spins else None,
        )
        of_features = matrices_of([d.l for d in features], [d.pseudo for d in features])
        return cls(torch.from_numpy(matrices).to(like), of_features, blocks)


class Reflection:
    """The mirror in the plane of local x and z, which changes signs of components and no more.

    Local axes are right-handed. Those of a structure and of its image under inversion are therefore
    no images of each other: what the image holds in its axes is what this mirror makes of the
    structure in its own.
    """

    def __init__(self, features: Sequence[Degree], irreps: BlockIrreps) -> None:
        """For features and blocks of these irreps."""
        exact = torch.zeros(1, dtype=torch.float64)
        turns = FeatureRotation.of(np.diag([1.0, -1.0, 1.0])[None], features, irreps, exact)
        orbitals, spin = turns.blocks.orbitals[0].diagonal(), turns.blocks.spin
        signs = orbitals[:, None] * orbitals
        if spin is not None:
            spin = spin[0].diagonal()
            signs = spin[:, None, None] * signs
        self._features = Constant(turns.features[0].diagonal().numpy())
        self._blocks, self._orbitals = Constant(signs.numpy()), Constant(orbitals.numpy())
        self._spin = None if spin is None else Constant(spin.numpy())

    def of_features(self, x: Tensor, where: Tensor) -> Tensor:
        """Features (items, K, C), mirrored where (items,) says so."""
        return torch.where(where[:, None, None], x * self._features(x)[:, None], x)

    def of_blocks(self, blocks: Tensor, where: Tensor) -> Tensor:
        """Blocks (items, B, [Q,] M, M), mirrored where (items,) says so."""
        where = where.view(-1, *(1,) * (blocks.ndim - 1))
        return torch.where(where, blocks * self._blocks(blocks), blocks)

    def after(self, rotate_blocks: BlockRotation, where: Tensor) -> BlockRotation:
        """First the turn, then, where (items,) says so, the mirror."""

        def seen(matrix: Tensor, signs: Constant) -> Tensor:
            return torch.where(where[:, None, None], signs(matrix)[:, None] * matrix, matrix)

        spin = rotate_blocks.spin
        if spin is not None and self._spin is not None:
            spin = seen(spin, self._spin)
        return BlockRotation(seen(rotate_blocks.orbitals, self._orbitals), spin)
