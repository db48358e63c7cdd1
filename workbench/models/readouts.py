"""How do features become the irrep coefficients of blocks? Through the output heads.

A head expands features equivariantly and non-linearly to many *readout features*, and ends in a
``Readout``, a linear map. Since the readout is linear, its weights can be computed by ridge
regression instead of gradient steps, see ``workbench.training.least_squares``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.edge_frames import (
    Constant,
    Degree,
    Layout,
    block_layout,
    coefficients_by_degree,
)
from workbench.models.equivariant_layers import (
    InvariantGate,
    NodeGate,
    Norm,
    O2Linear,
    Pairs,
    by_order,
    in_frame,
    scaled,
)


@dataclass(frozen=True)
class Section:
    """Outputs that share one weight matrix (inner, outer), the same for each component.

    Attributes:
        components: number of components (m of an irrep, or cosine and sine) that share the weights.
        inner: feature channels.
        outer: outputs per component.
        invariant: whether symmetry allows a bias, as for one section of each readout.
    """

    components: int
    inner: int
    outer: int
    invariant: bool


_SOLUTION = "solution_"  # plus the section's number: the names of these buffers in checkpoints


def is_solution(name: str) -> bool:
    """Whether a buffer of this name contains the solution of a readout.

    >>> is_solution("baseline.node_head.readout.solution_0")
    True
    """
    return name.rpartition(".")[2].startswith(_SOLUTION)


class Readout(nn.Module):
    """The last linear map of a head: ``y = x W + b`` per section.

    Before the readout is solved, one matrix, trained by gradients, serves all classes (species, or
    ordered pairs of species). The solution has one matrix per class, with the bias as last row.
    """

    def __init__(self, sections: Sequence[Section], n_classes: int) -> None:
        super().__init__()
        self.sections, self.n_classes = tuple(sections), n_classes
        self.shared = nn.ParameterList(
            nn.Parameter(torch.randn(s.inner, s.outer) * max(s.inner, 1) ** -0.5) for s in sections
        )
        self.bias = nn.Parameter(torch.zeros(sum(s.outer for s in sections if s.invariant)))
        for k, s in enumerate(sections):
            empty = torch.zeros(n_classes, s.inner + s.invariant, s.outer)
            self.register_buffer(f"{_SOLUTION}{k}", empty)
        self.solved = False
        self.register_load_state_dict_post_hook(_notice_solution)

    def adopt(self, solution: Sequence[Tensor]) -> None:
        """Use a solution, (classes, inner (+ 1), outer) per section, instead of trained weights."""
        for k, weights in enumerate(solution):
            getattr(self, f"{_SOLUTION}{k}").copy_(weights)
        self.solved = True

    def forget(self) -> None:
        """Use the trained matrices again and set the solution to zero, which marks it as unused."""
        for k in range(len(self.sections)):
            getattr(self, f"{_SOLUTION}{k}").zero_()
        self.solved = False

    def forward(self, readout_features: Sequence[Tensor], classes: Tensor) -> Tensor:
        """Features (items, components, inner) per section, classes (items,) -> (items, outputs)."""
        if not self.solved:
            return torch.cat([y.flatten(1) for y in self._shared(readout_features)], dim=1)
        order = torch.argsort(classes, stable=True)
        counts = torch.bincount(classes, minlength=self.n_classes).tolist()
        items_by_class = (x.index_select(0, order) for x in readout_features)
        outputs = [self._solution(k, x, counts) for k, x in enumerate(items_by_class)]
        return torch.cat(outputs, dim=1).index_select(0, torch.argsort(order))

    def _shared(self, readout_features: Sequence[Tensor]) -> list[Tensor]:
        return [
            x @ w + self.bias if s.invariant else x @ w
            for x, w, s in zip(readout_features, self.shared, self.sections, strict=True)
        ]

    def _solution(self, section: int, x: Tensor, counts: Sequence[int]) -> Tensor:
        """(items, components * outer) of one section, for items sorted by class.

        Args:
            section: its number.
            x: (items, components, inner).
            counts: number of items of each class.
        """
        s, solution = self.sections[section], getattr(self, f"{_SOLUTION}{section}")
        rows = x.flatten(0, 1).split([n * s.components for n in counts])
        outputs = [
            torch.addmm(w[s.inner], items, w[: s.inner]) if s.invariant else items @ w
            for items, w in zip(rows, solution, strict=True)
            if len(items)
        ]
        empty = x.new_zeros(0, s.outer)  # without items nothing else is joined
        return torch.cat(outputs or [empty]).view(len(x), s.components * s.outer)


def _notice_solution(readout: Readout, incompatible: object) -> None:
    """After loading: a readout is solved if its stored solution is not zero."""
    del incompatible
    readout.solved = any(
        bool(getattr(readout, f"{_SOLUTION}{k}").any()) for k in range(len(readout.sections))
    )


class NodeHead(nn.Module):
    """Node features -> coefficients of on-site blocks."""

    def __init__(
        self, layout: Layout, irreps: BlockIrreps, channels: int, wide: int, n_species: int
    ) -> None:
        """``wide``: channels of the readout features."""
        super().__init__()
        of_degree = coefficients_by_degree(layout, irreps)
        self.used = [k for k, d in enumerate(layout.degrees) if of_degree[d]]
        places, sections, first = np.full(irreps.size, -1), [], 0
        for d in (layout.degrees[k] for k in self.used):
            starts, width = np.array(of_degree[d]), 2 * d.l + 1
            outputs = first + np.arange(width * len(starts)).reshape(width, -1)
            places[starts + np.arange(width)[:, None]] = outputs
            first += outputs.size
            sections.append(Section(width, wide, len(starts), d == Degree(0, False)))
        places[places < 0] = first  # no feature reaches this irrep: the zero padded in `forward`
        self.places = Constant(places.astype(np.intp))
        self.widths = [2 * d.l + 1 for d in layout.degrees]
        self.degree_of = Constant(layout.degree_of)
        self.channels = channels
        self.norm = Norm(layout, channels)
        self.species = nn.Embedding(n_species, len(layout.degrees) * channels)
        nn.init.ones_(self.species.weight)
        self.gate = NodeGate(layout, channels, wide)
        self.readout = Readout(sections, n_species)

    def readout_features(self, nodes: Tensor, node_class: Tensor) -> list[Tensor]:
        """(N, K, C) -> (N, 2l+1, wide) for each irrep that occurs in blocks."""
        weight = self.species(node_class).unflatten(1, (-1, self.channels))
        x = self.norm(nodes) * weight.index_select(1, self.degree_of(nodes))
        irreps = self.gate(x).split(self.widths, dim=1)
        return [irreps[k] for k in self.used]

    def forward(self, readout_features: Sequence[Tensor], node_class: Tensor) -> Tensor:
        """Readout features -> coefficients (N, F)."""
        flat = functional.pad(self.readout(readout_features, node_class), (0, 1))
        return flat.index_select(1, self.places(flat))

    def sorted(self, coefficients: Tensor) -> Tensor:
        """Coefficients (N, F) in the order of the readout's outputs: targets of its solution."""
        places = self.places(coefficients)
        outputs = sum(s.components * s.outer for s in self.readout.sections)
        result = coefficients.new_zeros(len(coefficients), outputs + 1)
        result[:, places] = coefficients
        return result[:, :outputs]


class PairHead(nn.Module):
    """Pair and node features in the edge frame -> coefficients of the pair's block."""

    def __init__(
        self,
        layout: Layout,
        irreps: BlockIrreps,
        channels: int,
        wide: int,
        context: int,
        n_species: int,
    ) -> None:
        """``wide``: channels of the readout features."""
        super().__init__()
        hidden, outer = layout.orders(wide), block_layout(irreps).orders(1)
        self.hidden, self.read_orders = hidden, layout.orders(3 * channels)
        self.node_norm = Norm(layout, channels)
        self.edge_norm = Norm(layout, channels, framed=True)
        self.inner = O2Linear(self.read_orders, hidden)
        self.gate = InvariantGate(hidden, context)
        self.species = nn.Embedding(n_species * n_species, sum(hidden))
        nn.init.ones_(self.species.weight)
        last = len(outer) - 1
        top = min(len(hidden), len(outer)) - 1  # no feature has a higher |m|
        self.used = [*(m if m < top else None for m in range(last)), len(hidden) - 1]
        self.readout = Readout(
            [
                Section(1 if m in (0, last) else 2, 0 if k is None else hidden[k], outer[m], m == 0)
                for m, k in enumerate(self.used)
            ],
            n_species**2,
        )

    def normalised(self, nodes: Tensor) -> Tensor:
        """(N, K, C) normalised node features, which the pairs read."""
        return self.node_norm(nodes)

    def readout_features(
        self, normalised: Tensor, edges: Tensor, pairs: Pairs, pair_class: Tensor
    ) -> list[Tensor]:
        """(N, K, C), (P, K, C) -> per |m| (P, 1 or 2, channels), see `by_order`."""
        inputs = in_frame(normalised, self.edge_norm(edges), pairs)  # (P, K*3C)
        gated = self.gate(self.inner(by_order(inputs, self.read_orders)), pairs.scalars)
        by_m = scaled(gated, self.species(pair_class), self.hidden)
        empty = edges.new_zeros(len(edges), 2, 0)
        return [empty if k is None else by_m[k] for k in self.used]

    def forward(self, readout_features: Sequence[Tensor], pair_class: Tensor) -> Tensor:
        """Readout features -> coefficients (P, F) in frame order."""
        return self.readout(readout_features, pair_class)
