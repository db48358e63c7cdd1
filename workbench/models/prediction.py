"""What a model says of a structure."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workbench.matrices import BlockMatrix


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


@dataclass(frozen=True)
class Prediction:
    """Both stages' Hamiltonians, eV, and what passed between them."""

    baseline: BlockMatrix
    refined: BlockMatrix
    features: Features
