"""What a model says of a structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from e3nn import o3
from torch import Tensor

from workbench.hamiltonians.block_matrix import BlockMatrix


@dataclass(frozen=True)
class Features:
    """What stage 2 receives from stage 1.

    Attributes:
        node: (N, K*C) in e3nn's order of ``irreps``.
        edge: (P, K*C), pairs in the order of the Hamiltonian's off-site blocks; None of a large
            structure, whose pairs' features are too many to keep.
        irreps: what they are, as an e3nn string.
    """

    node: Tensor
    edge: Tensor | None
    irreps: str

    def by_irrep(self) -> dict[str, Tensor]:
        """Features of the atoms, taken apart: name, e.g. "2e" -> (N, C, 2l+1)."""
        irreps = cast("o3.Irreps", o3.Irreps(self.irreps))
        return {
            str(term.ir): self.node[:, own].unflatten(1, (term.mul, -1))
            for term, own in zip(irreps, irreps.slices(), strict=True)
        }


@dataclass(frozen=True)
class Prediction:
    """Both stages' Hamiltonians, eV, and what passed between them."""

    baseline: BlockMatrix
    refined: BlockMatrix
    features: Features
