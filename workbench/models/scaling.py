"""The scale of each kind of matrix element, measured on the training set and kept with a model.

Networks work on numbers of order one. A mean is removed where symmetry allows one (l = 0 on-site;
what is invariant about the pair, m = 0, off-site), separately for each species or ordered pair of
species. What is left is divided by its RMS per species (pair) and irrep of each shell pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.blocks import Blocks
from workbench.models.edge_frames import Constant, block_layout
from workbench.models.geometry import Geometry
from workbench.models.tensor_rotations import rotate_blocks

_ROUNDING_EV = 1e-9


def _none() -> Tensor:
    return torch.zeros(0, 0, dtype=torch.float64)


@dataclass(frozen=True)
class Scaling:
    """Means and scales in eV, float64; empty before they are measured.

    S species, F coefficients of a block.

    Attributes:
        node_mean: (S, F) plain order.
        node_scale: (S, F) plain order.
        pair_mean: (S*S, F) in the edge frame and frame order.
        pair_scale: (S*S, F) frame order.
        node_residual: (S, F) RMS of what stage 1 leaves, plain order: the scale of stage 2.
        pair_residual: (S*S, F) the same of pairs, plain order.
        charges: (S, exponents) of the atoms' potentials, e; (S, 0) without a guess.
        node_guess_mean: (S, G*F) of on-site coefficients of each guessed matrix, as ``node_mean``.
        node_guess_scale: (S, G*F) as ``node_scale``.
        pair_guess_mean: (S*S, G*F) as ``pair_mean``.
        pair_guess_scale: (S*S, G*F) as ``pair_scale``.
    """

    node_mean: Tensor = field(default_factory=_none)
    node_scale: Tensor = field(default_factory=_none)
    pair_mean: Tensor = field(default_factory=_none)
    pair_scale: Tensor = field(default_factory=_none)
    node_residual: Tensor = field(default_factory=_none)
    pair_residual: Tensor = field(default_factory=_none)
    charges: Tensor = field(default_factory=_none)
    node_guess_mean: Tensor = field(default_factory=_none)
    node_guess_scale: Tensor = field(default_factory=_none)
    pair_guess_mean: Tensor = field(default_factory=_none)
    pair_guess_scale: Tensor = field(default_factory=_none)

    def tensors(self) -> dict[str, Tensor]:
        """Field name -> tensor, for the checkpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to(self, device: torch.device) -> Scaling:
        """The same on a device."""
        return Scaling(**{name: t.to(device) for name, t in self.tensors().items()})


@dataclass(frozen=True)
class ClassedBlocks:
    """Blocks of some structures, and what each belongs to.

    Attributes:
        blocks: on-site (N, [Q,] M, M) and of pairs (P, [Q,] M, M), eV.
        node_class: (N,) species index.
        pair_class: (P,) index of the ordered pair of species.
    """

    blocks: Blocks
    node_class: Tensor
    pair_class: Tensor


class BlockScaler:
    """Applies a ``Scaling``: coefficients to blocks, and blocks to statistics."""

    def __init__(self, irreps: BlockIrreps) -> None:
        """Precompute the change from frame-ordered coefficients to blocks."""
        self.irreps = irreps
        self.source, sign = block_layout(irreps).frame_order
        self.frame_change = Constant(irreps.change.T[self.source] * sign[:, None])  # (F, F)
        self.framed_path = irreps.path_index[self.source]
        n_invariant = block_layout(irreps).orders(1)[0]
        self.pair_invariant = np.arange(len(self.source)) < n_invariant
        invariant = np.array([p.l == 0 and p.natural for p in irreps.paths])
        self.node_invariant = invariant[irreps.path_index]

    def from_frame(self, coefficients: Tensor) -> Tensor:
        """(P, ..., F) in frame order -> blocks (P, ..., [Q,] M, M) in the edge frame."""
        change = self.frame_change(coefficients)
        return (coefficients @ change).unflatten(-1, self.irreps.shape)

    def to_global_frame(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """(P, ..., F) in the edge frame, frame order -> blocks (P, ..., [Q,] M, M) out of it."""
        by = geometry.basis.to(coefficients).inverse
        return rotate_blocks(self.from_frame(coefficients), by)

    def to_frame(self, blocks: Tensor) -> Tensor:
        """Blocks (..., [Q,] M, M) in the edge frame -> (..., F) in frame order."""
        flat = blocks.flatten(-len(self.irreps.shape))
        return flat @ self.frame_change(flat).T

    def fit(self, parts: Callable[[], Iterable[ClassedBlocks]]) -> Scaling:
        """Measure means and scales.

        Args:
            parts: called twice; gives the blocks of the training set, eV, float64, some structures
                at a time, each pair's in its edge frame.
        """

        def coefficients() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
            for p in parts():
                nodes = self.irreps.encode(p.blocks.nodes)
                yield nodes, p.node_class, self.to_frame(p.blocks.pairs), p.pair_class

        kinds = (
            (self.node_invariant, self.irreps.path_index),
            (
                self.pair_invariant,
                self.framed_path,
            ),
        )
        (node_mean, node_scale), (pair_mean, pair_scale) = self._statistics(coefficients, kinds)
        zero = (torch.zeros_like(node_mean), torch.zeros_like(pair_mean))
        return Scaling(node_mean, node_scale, pair_mean, pair_scale, *zero)

    def fit_guess(self, scaling: Scaling, guesses: Sequence[Scaling], charges: Tensor) -> Scaling:
        """Add the charges of a guess and its matrices' own statistics, as ``fit`` measures them.

        What symmetry forbids is rounding and must not be blown up to size one: it counts as 0.
        """

        def joined(name: str) -> Tensor:
            return torch.cat([getattr(guess, name) for guess in guesses], dim=1)

        return replace(
            scaling,
            charges=charges,
            node_guess_mean=joined("node_mean"),
            node_guess_scale=functional.threshold(joined("node_scale"), _ROUNDING_EV, 0.0),
            pair_guess_mean=joined("pair_mean"),
            pair_guess_scale=functional.threshold(joined("pair_scale"), _ROUNDING_EV, 0.0),
        )

    def fit_residual(
        self, scaling: Scaling, parts: Callable[[], Iterable[ClassedBlocks]]
    ) -> Scaling:
        """Add the scale of stage 2: RMS of what stage 1 left of the training set, in eV.

        ``parts`` as `fit` wants them, but in the global frame.
        """

        def coefficients() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
            for p in parts():
                nodes, pairs = (self.irreps.encode(b) for b in (p.blocks.nodes, p.blocks.pairs))
                yield nodes, p.node_class, pairs, p.pair_class

        none = np.zeros(len(self.irreps.path_index), dtype=bool)
        kinds = ((none, self.irreps.path_index),) * 2
        (_, node_residual), (_, pair_residual) = self._statistics(coefficients, kinds)
        return replace(scaling, node_residual=node_residual, pair_residual=pair_residual)

    def _statistics(
        self,
        coefficients: Callable[[], Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]],
        kinds: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> list[tuple[Tensor, Tensor]]:
        """Per class the mean of invariant coefficients, and the RMS of the rest, one per path.

        Two passes: in one, a variance of 1e-8 would be lost beside a squared mean of 1e5.

        Args:
            coefficients: gives, in parts, those of atoms (N, F), their classes, those of pairs
                (P, F) and theirs.
            kinds: of atoms and of pairs: (F,) which are invariant, and (F,) the path of each.
        """
        n_species = len(self.irreps.basis.elements)
        sums = [_ClassSums(n) for n in (n_species, n_species**2)]
        for nodes, node_class, pairs, pair_class in coefficients():
            sums[0].add(nodes, node_class)
            sums[1].add(pairs, pair_class)
        means = [
            s.mean() * torch.as_tensor(invariant).to(s.total)
            for s, (invariant, _) in zip(sums, kinds, strict=True)
        ]
        squares = [_ClassSums(n) for n in (n_species, n_species**2)]
        for nodes, node_class, pairs, pair_class in coefficients():
            squares[0].add((nodes.double() - means[0][node_class]) ** 2, node_class)
            squares[1].add((pairs.double() - means[1][pair_class]) ** 2, pair_class)
        scales = [
            _by_path(s.mean(), path).sqrt() for s, (_, path) in zip(squares, kinds, strict=True)
        ]
        return list(zip(means, scales, strict=True))


class _ClassSums:
    """Sums of coefficients per class, float64."""

    def __init__(self, n_classes: int) -> None:
        self.n, self.count, self.total = n_classes, torch.zeros(0), torch.zeros(0)

    def add(self, coefficients: Tensor, classes: Tensor) -> None:
        """Take in (items, F) of classes (items,)."""
        x = coefficients.double()
        if not len(self.count):
            self.count, self.total = x.new_zeros(self.n), x.new_zeros(self.n, x.shape[1])
        self.count += torch.bincount(classes, minlength=self.n)
        self.total.index_add_(0, classes, x)

    def mean(self) -> Tensor:
        """(classes, F); zero for a class that never came."""
        return self.total / self.count.clamp(min=1)[:, None]


def _by_path(variance: Tensor, path: np.ndarray) -> Tensor:
    """(classes, F) averaged over the components of each path."""
    index = torch.as_tensor(path, device=variance.device)
    width = torch.bincount(index).to(variance)
    per_path = variance.new_zeros(len(variance), len(width)).index_add(1, index, variance) / width
    return per_path[:, index]


def inverse(scale: Tensor) -> Tensor:
    """What takes values to units of their scale, 0 where the scale is 0."""
    return torch.where(scale > 0, 1 / torch.where(scale > 0, scale, 1.0), 0.0)
