"""How does stage 1 read an initial guess? Its blocks become first features of atoms and pairs.

A guess contains more information on an atom's environment than distances do: its elements are
integrals over the potentials of all atoms, in the orbitals of the Hamiltonian that is predicted.
Overlaps and core Hamiltonians as input are known from OrbNet (Qiao et al. 2020, arXiv 2007.08026);
here they enter as irreps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.edge_frames import Constant, Layout, block_layout, coefficients_by_degree
from workbench.models.equivariant_layers import O2Linear, by_order, joined, scaled, side_by_side

FIRST = 0.03
"""Initial size of the guess's features, relative to those of species and distances."""


class NodeGuess(nn.Module):
    """Irreps of on-site blocks -> node features, by one matrix per species and irrep."""

    def __init__(
        self, layout: Layout, irreps: BlockIrreps, count: int, channels: int, n_species: int
    ) -> None:
        """``count``: number of matrices of the guess."""
        super().__init__()
        of_degree = coefficients_by_degree(layout, irreps, count)
        self.widest = max(len(starts) for starts in of_degree.values())
        padding = count * irreps.size  # index of the zero appended in `forward`
        places = np.full((layout.dim, self.widest), padding)
        first = 0
        for d in layout.degrees:
            starts, width = np.array(of_degree[d], dtype=np.intp), 2 * d.l + 1
            places[first : first + width, : len(starts)] = starts + np.arange(width)[:, None]
            first += width
        self.places = Constant(places.ravel().astype(np.intp))
        self.degree_of = Constant(layout.degree_of)
        size = [max(len(starts), 1) ** -0.5 for starts in of_degree.values()]
        weight = torch.randn(n_species, len(layout.degrees), self.widest, channels)
        self.weight = nn.Parameter(weight * FIRST * torch.tensor(size)[:, None, None])

    def forward(self, guess: Tensor, node_class: Tensor) -> Tensor:
        """(N, G*F) -> (N, K, C)."""
        flat = torch.cat([guess, guess.new_zeros(len(guess), 1)], dim=1)
        x = flat.index_select(1, self.places(flat)).unflatten(1, (-1, self.widest))  # (N, K, ..)
        weight = self.weight.index_select(1, self.degree_of(x))  # (species, K, .., C)
        # Apply every species' matrix to every atom, then select: cheaper than a matrix per atom.
        products = torch.bmm(x.transpose(0, 1), weight.permute(1, 2, 0, 3).flatten(2))
        products = products.unflatten(2, (len(weight), -1))  # (K, N, species, C)
        species = node_class[None, :, None, None].expand(len(products), -1, 1, products.shape[3])
        return products.gather(2, species)[:, :, 0].transpose(0, 1)


class PairGuess(nn.Module):
    """Irreps of pair blocks in the edge frame -> pair features, by one `O2Linear`."""

    def __init__(
        self, layout: Layout, irreps: BlockIrreps, count: int, channels: int, n_species: int
    ) -> None:
        """``count``: number of matrices of the guess."""
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
        by_m = by_order(guess.index_select(1, self.order(guess)), self.orders)
        return joined(self.linear(scaled(by_m, self.species(pair_class), self.orders)))
