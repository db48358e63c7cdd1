"""Where a guessed Hamiltonian enters stage 1: its blocks as first features of atoms and pairs.

A guess says more about an atom's surroundings than distances do: its elements are integrals over
all atoms' potentials in the very orbitals that are asked for. Overlaps and core Hamiltonians as
input are known from OrbNet (Qiao et al. 2020, arXiv 2007.08026); here they enter as irreps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.edge_frames import Constant, Layout, block_layout, coefficients_by_degree
from workbench.models.equivariant_layers import O2Linear, by_order, joined, scaled, side_by_side

FIRST = 0.03
"""Size of the guess beside species and distances before any training."""


class NodeGuess(nn.Module):
    """On-site blocks' irreps to node features: a matrix per species and irrep."""

    def __init__(
        self, layout: Layout, irreps: BlockIrreps, count: int, channels: int, n_species: int
    ) -> None:
        """``count``: how many matrices the guess consists of."""
        super().__init__()
        of_degree = coefficients_by_degree(layout, irreps, count)
        self.widest = max(len(starts) for starts in of_degree.values())
        beyond = count * irreps.size  # there stands a zero
        places = np.full((layout.dim, self.widest), beyond)
        at = 0
        for d in layout.degrees:
            starts = np.array(of_degree[d], dtype=np.intp)
            places[at : at + 2 * d.l + 1, : len(starts)] = starts + np.arange(2 * d.l + 1)[:, None]
            at += 2 * d.l + 1
        self.places = Constant(places.ravel().astype(np.intp))
        self.degree_of = Constant(layout.degree_of)
        size = [max(len(starts), 1) ** -0.5 for starts in of_degree.values()]
        weight = torch.randn(n_species, len(layout.degrees), self.widest, channels)
        self.weight = nn.Parameter(weight * FIRST * torch.tensor(size)[:, None, None])

    def forward(self, guess: Tensor, node_class: Tensor) -> Tensor:
        """(N, G*F) -> (N, K, C)."""
        flat = torch.cat([guess, guess.new_zeros(len(guess), 1)], dim=1)
        x = flat.index_select(1, self.places(flat)).unflatten(1, (-1, self.widest))
        weight = self.weight.index_select(1, self.degree_of(x))
        # Every species' matrix on every atom, then its own: cheaper than a copy of it per atom.
        found = torch.bmm(x.transpose(0, 1), weight.permute(1, 2, 0, 3).flatten(2))
        found = found.unflatten(2, (len(weight), -1))
        own = node_class[None, :, None, None].expand(len(found), -1, 1, found.shape[3])
        return found.gather(2, own)[:, :, 0].transpose(0, 1)


class PairGuess(nn.Module):
    """Pair blocks in the edge frame to pair features."""

    def __init__(
        self, layout: Layout, irreps: BlockIrreps, count: int, channels: int, n_species: int
    ) -> None:
        """``count``: how many matrices the guess consists of."""
        super().__init__()
        inner, outer = block_layout(irreps).orders(count), layout.orders(channels)
        self.order = Constant(side_by_side(block_layout(irreps).orders(1), count))
        even = [*inner[:-1], *(0 for _ in range(len(outer) - len(inner)))]
        self.orders = (*even, inner[-1])
        self.species = nn.Embedding(n_species**2, sum(self.orders))
        nn.init.constant_(self.species.weight, FIRST)
        self.linear = O2Linear(self.orders, outer)

    def forward(self, guess: Tensor, pair_class: Tensor) -> Tensor:
        """(P, G*F), each matrix in frame order -> (P, K*C) in frame order."""
        parts = by_order(guess.index_select(1, self.order(guess)), self.orders)
        return joined(self.linear(scaled(parts, self.species(pair_class), self.orders)))
