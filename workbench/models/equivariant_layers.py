"""Which layers are equivariant under O(3) by construction? The building blocks of stage 1.

For a layer ``f`` and the Wigner matrices ``D`` of its features, ``f(D x) = D f(x)`` holds for any
weights. Node features are (N, K, C): component outside, channel inside (see
``edge_frames.Layout``). Pair features are stored in their edge frame, flat (P, K*C) in frame order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from workbench.models.edge_frames import Constant, Layout


@dataclass(frozen=True)
class Pairs:
    """Quantities of the pairs that all layers share, computed once per geometry.

    Attributes:
        row: (P,) atom i, which receives the message.
        column: (P,) atom j, which sends it.
        frames: (P, K, K) Wigner matrices global frame -> edge frame, rows in frame order.
        scalars: (P, H) invariants of the distance and both species.
        envelope: (P, 1) smooth cutoff.
    """

    row: Tensor
    column: Tensor
    frames: Tensor
    scalars: Tensor
    envelope: Tensor


def envelope(distance: Tensor, cutoff: float | None) -> Tensor:
    """Smooth cutoff: 1 up to half the cutoff, 0 from the cutoff on, twice differentiable.

    Between, with ``t = 2 r / cutoff - 1``, it is ``1 - 10 t^3 + 15 t^4 - 6 t^5``.
    """
    if cutoff is None:
        return torch.ones_like(distance)
    t = ((distance / cutoff - 0.5) * 2).clamp(0, 1)
    return 1 - t**3 * (10 - 15 * t + 6 * t**2)


class RadialBasis(nn.Module):
    """Radial functions: evenly spaced, overlapping Gaussians of ``exp(-r / 2 A)``.

    The exponential distance is taken from PhysNet (Unke & Meuwly 2019, eq. 7): its resolution is
    high at bond lengths and low at long range. The Gaussians are few and broad on purpose: the
    Hamiltonian is a smooth function of the geometry, and a network is no smoother than its input.
    """

    def __init__(self, size: int) -> None:
        """``size``: number of functions."""
        super().__init__()
        self.centres = Constant(np.linspace(0.0, 1.0, size))
        self.sharpness = (size / 1.5) ** 2 / 2

    def forward(self, distance: Tensor) -> Tensor:
        """(P,) in A -> (P, size)."""
        u = torch.exp(-distance / 2.0)[:, None] - self.centres(distance)
        return torch.exp(-self.sharpness * u**2)


class O2Linear(nn.Module):
    """A linear map that commutes with rotations about the pair and reflections that keep it.

    One matrix per |m|, the same for A_m and B_m; a bias only on the invariants A_0. Input and
    output are lists per |m|, see `by_order`.
    """

    def __init__(self, inner: tuple[int, ...], outer: tuple[int, ...]) -> None:
        """``inner`` and ``outer``: sizes of A_0, each A_m and B_0, see ``Layout.orders``."""
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(a, b) * max(a, 1) ** -0.5)
            for a, b in zip(inner, outer, strict=True)
        )
        self.bias = nn.Parameter(torch.zeros(outer[0]))

    def forward(self, by_m: Sequence[Tensor]) -> list[Tensor]:
        """Per |m| (P, 1 or 2, inner) -> (P, 1 or 2, outer)."""
        first = torch.addmm(self.bias, by_m[0][:, 0], self.weights[0])[:, None]  # (P, 1, outer)
        rest = zip(by_m[1:], list(self.weights)[1:], strict=True)
        return [first, *(_same_for_a_and_b(y, w) for y, w in rest)]


def _same_for_a_and_b(part: Tensor, weight: Tensor) -> Tensor:
    """(P, 1 or 2, inner) @ (inner, outer), the same for A and for B.

    Computed as a batch of two: ``part`` is a view into wider rows, which ``@`` would copy first,
    and the copy takes as long as the product.
    """
    return torch.bmm(part.transpose(0, 1), weight.expand(part.shape[1], -1, -1)).transpose(0, 1)


def by_order(x: Tensor, orders: tuple[int, ...]) -> list[Tensor]:
    """(P, all components) -> per |m| (P, 1 or 2, channels): A_0, (A_m, B_m) for each m, B_0."""
    widths = [orders[0], *(2 * n for n in orders[1:-1]), orders[-1]]
    components = [1, *(2 for _ in orders[1:-1]), 1]  # also where there are no channels
    pieces = zip(x.split(widths, dim=1), components, orders, strict=True)
    return [piece.reshape(len(piece), count, n) for piece, count, n in pieces]


def joined(by_m: Sequence[Tensor]) -> Tensor:
    """The inverse of `by_order`: lists per |m| -> (P, all components)."""
    return torch.cat([piece for components in by_m for piece in components.unbind(1)], dim=1)


def scaled(by_m: Sequence[Tensor], factors: Tensor, orders: Sequence[int]) -> list[Tensor]:
    """Tensors per |m| times factors (P, sum of orders), equal for A_m and B_m."""
    pieces = factors[:, None].split(list(orders), dim=2)
    return [x * factor for x, factor in zip(by_m, pieces, strict=True)]


def side_by_side(orders: tuple[int, ...], count: int) -> NDArray[np.intp]:
    """Index that merges ``count`` consecutive items, each in frame order, into one frame order."""
    widths = [orders[0], *(n for n in orders[1:-1] for _ in range(2)), orders[-1]]
    pieces = np.split(np.arange(sum(widths)), np.cumsum(widths)[:-1])
    starts = sum(widths) * np.arange(count)[:, None]
    return np.concatenate([(starts + piece).ravel() for piece in pieces]).astype(np.intp)


class InvariantGate(nn.Module):
    """Gated non-linearity in the edge frame.

    With invariants ``s`` of the pair, ``A_0' = silu(A_0 + W s)``; the other components are
    multiplied by the gates ``2 sigmoid(V A_0')``. An ordinary gate applies its non-linearity to
    l = 0 only. In an edge frame A_0 contains the m = 0 component of every harmonic irrep, all of
    which are invariant. The layer is exactly equivariant.
    """

    def __init__(self, orders: tuple[int, ...], context: int) -> None:
        super().__init__()
        self.rest = orders[1:]
        self.context = nn.Linear(context, orders[0])
        self.gates = nn.Linear(orders[0], sum(orders[1:]))

    def forward(self, by_m: Sequence[Tensor], context: Tensor) -> list[Tensor]:
        """Per |m| (P, 1 or 2, channels), and (P, context) -> the same shapes, gated."""
        free = functional.silu(by_m[0][:, 0] + self.context(context))
        gates = 2 * torch.sigmoid(self.gates(free))
        return [free[:, None], *scaled(by_m[1:], gates, self.rest)]


class Norm(nn.Module):
    """Divide each item by its RMS over all irreps, then weight the channels of each irrep."""

    def __init__(self, layout: Layout, channels: int, framed: bool = False) -> None:
        """``framed``: whether components are in frame order."""
        super().__init__()
        degree_of = layout.degree_of[layout.frame_order[0]] if framed else layout.degree_of
        width = np.array([2 * d.l + 1 for d in layout.degrees])[degree_of]
        self.degree_of = Constant(degree_of)
        share = 1.0 / (width * len(layout.degrees) * channels)
        self.share = Constant(np.repeat(share, channels))
        self.weight = nn.Parameter(torch.ones(len(layout.degrees), channels))

    def forward(self, x: Tensor) -> Tensor:
        """(items, K, C) -> (items, K, C)."""
        power = x.flatten(1).square() @ self.share(x)
        scale = torch.rsqrt(power + 1e-6)[:, None, None]
        return x * scale * self.weight.index_select(0, self.degree_of(x))


class DegreeLinear(nn.Module):
    """A matrix over channels for each irrep, the same for all m; a bias on l = 0."""

    def __init__(self, layout: Layout, inner: int, outer: int) -> None:
        super().__init__()
        self.degree_of = Constant(layout.degree_of)
        self.weight = nn.Parameter(torch.randn(len(layout.degrees), inner, outer) * inner**-0.5)
        self.bias = nn.Parameter(torch.zeros(outer))

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, inner) -> (N, K, outer)."""
        weight = self.weight.index_select(0, self.degree_of(x))
        y = torch.bmm(x.transpose(0, 1), weight).transpose(0, 1)
        return torch.cat([y[:, :1] + self.bias, y[:, 1:]], dim=1)


class NodeGate(nn.Module):
    """Gated non-linearity of a node: channels mix; functions of l = 0 multiply the other irreps."""

    def __init__(self, layout: Layout, inner: int, outer: int) -> None:
        super().__init__()
        self.expand = DegreeLinear(layout, inner, outer)
        self.free = nn.Linear(outer, outer)
        self.gate = nn.Linear(outer, outer * (len(layout.degrees) - 1))
        self.degree_of = Constant(layout.degree_of[1:] - 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, inner) -> (N, K, outer)."""
        h = self.expand(x)
        scalars = functional.silu(self.free(h[:, 0]))
        gates = torch.sigmoid(self.gate(scalars)).unflatten(1, (-1, h.shape[2]))
        rest = h[:, 1:] * (2 * gates.index_select(1, self.degree_of(x)))
        return torch.cat([scalars[:, None], rest], dim=1)


class NodeMix(nn.Module):
    """Self-interaction of a node: a gate with twice the channels, mixed back to C channels."""

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.gate = NodeGate(layout, channels, 2 * channels)
        self.contract = DegreeLinear(layout, 2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, C) -> (N, K, C)."""
        return self.contract(self.gate(x))


class SO2Convolution(nn.Module):
    """The SO(2) convolution: linear map per |m|, gate, linear map per |m|, in the edge frame.

    For atoms i, j and edge features e_ij the update is ``W2 gate(W1 [D x_i, D x_j, e_ij])``, where
    ``D`` rotates into the edge frame and ``W1``, ``W2`` mix components of equal |m| only. The cost
    is O(L^3) instead of O(L^6) for a full tensor product (Passaro & Zitnick 2023), plus O(L^4) for
    the rotation, as one dense matrix: at these L that is the smaller part.
    """

    def __init__(self, layout: Layout, channels: int, context: int) -> None:
        super().__init__()
        hidden, self.read_orders = layout.orders(channels), layout.orders(3 * channels)
        self.inner = O2Linear(self.read_orders, hidden)
        self.gate = InvariantGate(hidden, context)
        self.outer = O2Linear(hidden, hidden)

    def forward(self, nodes: Tensor, edges: Tensor, pairs: Pairs) -> Tensor:
        """The update of the pairs' features, which is also their message to their row atoms.

        Args:
            nodes: (N, K, C) normalised features of the atoms.
            edges: (P, K, C) normalised features of the pairs in frame order.
            pairs: the geometry.

        Returns:
            (P, K, C) in frame order.
        """
        hidden = self.inner(by_order(in_frame(nodes, edges, pairs), self.read_orders))
        return joined(self.outer(self.gate(hidden, pairs.scalars))).view_as(edges)


def in_frame(nodes: Tensor, edges: Tensor, pairs: Pairs) -> Tensor:
    """Features of both atoms, rotated into the edge frame, and of the pair: (P, K*3C)."""
    # index_select, here and elsewhere: for whole rows it takes a quarter of the time of nodes[end].
    ends = [
        torch.bmm(pairs.frames, nodes.index_select(0, end)) for end in (pairs.row, pairs.column)
    ]
    return torch.cat([*ends, edges], dim=2).flatten(1)
