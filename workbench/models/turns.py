"""Rotations as the networks need them: of positions, of features and of a basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.conventions import random_rotation, wigner_blocks


@dataclass(frozen=True)
class Turns:
    """One rotation per structure.

    Attributes:
        matrix: (B, 3, 3).
        features: (B, K, K) Wigner matrices of stage 1's features.
        basis: (B, M, M) those of the basis.
    """

    matrix: Tensor
    features: Tensor
    basis: Tensor

    @classmethod
    def of(
        cls,
        matrices: NDArray[np.float64],
        features: Sequence[int],
        basis: Sequence[int],
        like: Tensor,
    ) -> Turns:
        """Of rotations (B, 3, 3).

        Args:
            matrices: the rotations.
            features: l of each irrep of the features.
            basis: l of each shell of the padded basis.
            like: gives type and device.
        """
        parts = (matrices, wigner_blocks(features, matrices), wigner_blocks(basis, matrices))
        return cls(*(torch.from_numpy(part).to(like) for part in parts))


def haar(count: int, seed: Sequence[int]) -> NDArray[np.float64]:
    """Uniformly random rotations (count, 3, 3)."""
    rng = np.random.default_rng(list(seed))
    return np.stack([random_rotation(rng) for _ in range(count)])
