"""What does a prediction contain? Both stages' Hamiltonians and stage 1's features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from e3nn import o3
from torch import Tensor

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.models.edge_frames import Layout


@dataclass(frozen=True)
class Features:
    """Stage 1's features, which stage 2 reads; global frame. Rows are sorted at the first access.

    Attributes:
        layout: irreps of the features.
        nodes: (N, K, C) node features, component outside.
        edges: (P, K, C) pair features; None for a large structure, whose pair features do not fit
            into memory.
    """

    layout: Layout
    nodes: Tensor
    edges: Tensor | None

    @cached_property
    def node(self) -> Tensor:
        """(N, K*C) node features in e3nn's order of ``irreps``."""
        return self.layout.to_irreps(self.nodes)

    @cached_property
    def edge(self) -> Tensor | None:
        """(P, K*C) pair features, in the order of the Hamiltonian's off-site blocks.

        None for a large structure.
        """
        return None if self.edges is None else self.layout.to_irreps(self.edges)

    @property
    def irreps(self) -> str:
        """Irreps of a row as an e3nn string."""
        return str(self.layout.irreps(self.nodes.shape[2]))

    def by_irrep(self) -> dict[str, Tensor]:
        """Node features by irrep: e3nn's name, e.g. "2e" -> (N, C, 2l+1).

        >>> features = wb.load_model("water").predict(wb.load("water")).features
        >>> {name: tuple(x.shape) for name, x in features.by_irrep().items()}
        {'0e': (3, 16, 1), '1o': (3, 16, 3), '2e': (3, 16, 5), ...}
        """
        irreps = cast("o3.Irreps", o3.Irreps(self.irreps))
        return {
            str(term.ir): self.node[:, columns].unflatten(1, (term.mul, -1))
            for term, columns in zip(irreps, irreps.slices(), strict=True)
        }


@dataclass(frozen=True)
class Prediction:
    """Both stages' Hamiltonians, eV, and the features that stage 2 reads.

    Attributes:
        baseline: Hamiltonian of stage 1, exactly equivariant.
        refined: Hamiltonian of both stages.
        features: stage 1's features.
        method: level of theory of the labels that the model was trained on, as in a `Reference`;
            empty if it is not recorded.

    >>> prediction = wb.load_model("water").predict(wb.load("water"))
    >>> (prediction.refined - prediction.refined.hermitian()).max_abs() < 1e-6  # H = H^+
    True
    >>> prediction.baseline.dense().shape  # def2-SVP has 24 functions for water
    (24, 24)
    >>> prediction.method["functional"]
    'pbe'
    """

    baseline: BlockMatrix
    refined: BlockMatrix
    features: Features
    method: Mapping[str, Any] = field(default_factory=dict)

    @property
    def H(self) -> BlockMatrix:
        """The Hamiltonian of both stages, eV, by the name that it has in a `Reference`."""
        return self.refined
