"""Rotations as the networks need them: of positions, of features and of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.conventions import random_rotation, wigner_blocks
from workbench.irreps import BlockIrreps
from workbench.models.frames import basis_frames


@dataclass(frozen=True)
class BlockTurn:
    """One rotation per item, as it acts on blocks.

    Attributes:
        orbitals: (items, M, M) Wigner matrices of the basis.
        spin: (items, Q, Q) those of the spin parts; None without spin.
    """

    orbitals: Tensor
    spin: Tensor | None = None

    def __getitem__(self, index: Any) -> BlockTurn:
        """The rotations of some items."""
        return BlockTurn(self.orbitals[index], None if self.spin is None else self.spin[index])

    @property
    def inverse(self) -> BlockTurn:
        """The rotations back."""
        return BlockTurn(self.orbitals.mT, None if self.spin is None else self.spin.mT)

    def to(self, like: Tensor) -> BlockTurn:
        """The same in the type and on the device of a tensor."""
        return BlockTurn(self.orbitals.to(like), None if self.spin is None else self.spin.to(like))


def turn(blocks: Tensor, by: BlockTurn) -> Tensor:
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

    def forward(self, harmonic: Tensor) -> BlockTurn:
        """(P, (lmax+1)^2, (lmax+1)^2) -> P rotations."""
        return BlockTurn(
            self.orbitals(harmonic), None if self.spin is None else self.spin(harmonic)
        )


@dataclass(frozen=True)
class Turns:
    """One proper rotation per structure.

    Attributes:
        matrix: (B, 3, 3).
        features: (B, K, K) Wigner matrices of stage 1's features.
        blocks: how they act on blocks.
    """

    matrix: Tensor
    features: Tensor
    blocks: BlockTurn

    @classmethod
    def of(
        cls,
        matrices: NDArray[np.float64],
        features: Sequence[int],
        irreps: BlockIrreps,
        like: Tensor,
    ) -> Turns:
        """Of rotations (B, 3, 3).

        Args:
            matrices: the rotations, none of them improper.
            features: l of each irrep of the features.
            irreps: of the blocks.
            like: gives type and device.
        """

        def matrices_of(ls: Sequence[int]) -> Tensor:
            return torch.from_numpy(wigner_blocks(ls, matrices)).to(like)

        spin = matrices_of(irreps.spins) if irreps.spins else None
        blocks = BlockTurn(matrices_of(irreps.basis.layout), spin)
        return cls(torch.from_numpy(matrices).to(like), matrices_of(features), blocks)


def haar(count: int, seed: Sequence[int]) -> NDArray[np.float64]:
    """Uniformly random rotations (count, 3, 3)."""
    rng = np.random.default_rng(list(seed))
    return np.stack([random_rotation(rng) for _ in range(count)])
