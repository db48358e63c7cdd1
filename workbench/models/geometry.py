"""What do both stages need to know of directions and distances? A ``Geometry``.

It is computed once per graph, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.config import ModelConfig
from workbench.models.edge_frames import Constant, EdgeFrames, highest_l
from workbench.models.equivariant_layers import envelope
from workbench.models.graph import Graph
from workbench.models.tensor_rotations import BlockFrames, BlockRotation


@dataclass(frozen=True)
class Geometry:
    """Directions, distances, species and the guess of a graph; float64 but for the guess.

    Attributes:
        harmonic: (P, (lmax+1)^2, (lmax+1)^2) Wigner matrices that rotate each pair onto z.
        basis: the same rotations acting on blocks, global frame -> edge frame.
        distance: (P,) A.
        envelope: (P, 1) smooth cutoff.
        node_class: (N,) species index.
        pair_class: (P,) index of the ordered pair of species.
        guess: irrep coefficients of the guessed matrices, standardised, in the dtype of the
            network: (N, G*F) of on-site blocks, and (P, G*F) of pair blocks in the edge frame, each
            matrix in frame order; None without a guess.
    """

    harmonic: Tensor
    basis: BlockRotation
    distance: Tensor
    envelope: Tensor
    node_class: Tensor
    pair_class: Tensor
    guess: tuple[Tensor, Tensor] | None = None


class GeometryBuilder(nn.Module):
    """Builds the ``Geometry`` of a graph for one basis."""

    def __init__(self, irreps: BlockIrreps, config: ModelConfig) -> None:
        super().__init__()
        basis = irreps.basis
        self.cutoff = config.longest_pair
        lmax = highest_l(config, irreps)
        self.frames = EdgeFrames(lmax)
        self.to_basis = BlockFrames(irreps, lmax)
        species = np.full(max(basis.elements) + 1, -1)
        species[list(basis.elements)] = np.arange(len(basis.elements))
        self.species = Constant(species.astype(np.intp))
        self.n_species = len(basis.elements)

    def forward(self, graph: Graph) -> Geometry:
        """The geometry of a graph, float64, without a guess."""
        harmonic = self.frames(graph.edge_vec)
        distance = graph.edge_vec.norm(dim=1)
        node_class = self.species(distance).index_select(0, graph.z)
        row, column = (node_class.index_select(0, end) for end in graph.edge_index)
        return Geometry(
            harmonic=harmonic,
            basis=self.to_basis(harmonic),
            distance=distance,
            envelope=envelope(distance, self.cutoff)[:, None],
            node_class=node_class,
            pair_class=row * self.n_species + column,
        )
