"""How are matrix elements brought to order one? By means and scales from the training set.

A coefficient ``c`` becomes ``(c - mean) / scale``. Symmetry allows a mean for invariants only: l =
0 of on-site blocks, m = 0 of pair blocks in the edge frame. Means are separate for each species or
ordered pair of species. The scale is the RMS of the rest, per species (pair) and irrep of each
shell pair. Both are stored with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.blocks import Blocks
from workbench.models.config import GUESSES, ModelConfig
from workbench.models.edge_frames import Constant, block_layout
from workbench.models.geometry import Geometry
from workbench.models.tensor_rotations import rotate_blocks

_ROUNDING_EV = 1e-9

_LARGEST_BLOCK = 1 << 14
"""Most coefficients F of a block in a checkpoint: the change of basis (F, F) then takes 2 GiB."""


def _none() -> Tensor:
    return torch.zeros(0, 0, dtype=torch.float64)


@dataclass(frozen=True)
class Scaling:
    """Means and scales in eV, float64; empty before they are measured.

    S species, F coefficients of a block, G guessed matrices.

    Attributes:
        node_mean: (S, F) plain order.
        node_scale: (S, F) plain order.
        pair_mean: (S*S, F) in the edge frame and frame order.
        pair_scale: (S*S, F) frame order.
        node_residual: (S, F) RMS of the residual of stage 1, plain order: the scale of stage 2.
        pair_residual: (S*S, F) the same for pairs, global frame, plain order.
        charges: (S, exponents) Gaussian charges of the atoms' potentials, e; empty without a guess.
        node_guess_mean: (S, G*F) as ``node_mean``, for the guessed matrices.
        node_guess_scale: (S, G*F) as ``node_scale``.
        pair_guess_mean: (S*S, G*F) as ``pair_mean``.
        pair_guess_scale: (S*S, G*F) as ``pair_scale``.
        kappa: () geometric mean of two eigenvalues of the overlap below which predictions take the
            guess, see ``workbench.hamiltonians.near_dependence``; 0: they never do.
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
    kappa: Tensor = field(default_factory=partial(torch.zeros, (), dtype=torch.float64))

    def tensors(self) -> dict[str, Tensor]:
        """Field name -> tensor, for the checkpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], basis: Basis, config: ModelConfig
    ) -> Scaling:
        """The scaling that a checkpoint holds.

        Args:
            tensors: field name -> tensor.
            basis, config: of the model.

        Raises:
            ValueError: for an unknown field, for a shape that does not fit the model, and for
                blocks too large for any model.
        """
        irreps = BlockIrreps(basis, config.time_reversal)
        size, guesses, species = irreps.size, GUESSES[config.guess], len(basis.elements)
        if not size <= _LARGEST_BLOCK:
            raise ValueError(f"A block has {size} elements, and at most {_LARGEST_BLOCK} are read.")
        if unknown := set(tensors) - {f.name for f in fields(cls)}:
            raise ValueError(f"No scaling has {min(unknown)}.")
        scaling = cls(**tensors)
        for name, tensor in scaling.tensors().items():
            rows = species**2 if name.startswith("pair_") else species
            wanted: dict[str, tuple[int, ...]] = {
                "kappa": (),
                "charges": (rows, *tensor.shape[1:2]),
            }
            columns = guesses * size if "guess" in name else size
            shape = wanted.get(name, (rows, columns))
            absent = not guesses and tensor.numel() == 0 and ("guess" in name or name == "charges")
            if tuple(tensor.shape) != shape and not absent:
                raise ValueError(f"The scaling's {name} has the shape {tuple(tensor.shape)}.")
        return scaling

    def to(self, device: torch.device) -> Scaling:
        """The same scaling on a device."""
        return Scaling(**{name: t.to(device) for name, t in self.tensors().items()})


@dataclass(frozen=True)
class ClassedBlocks:
    """Blocks of some structures with the species class of each.

    Attributes:
        blocks: on-site (N, [Q,] M, M) and pair blocks (P, [Q,] M, M), eV.
        node_class: (N,) species index.
        pair_class: (P,) index of the ordered pair of species.
    """

    blocks: Blocks
    node_class: Tensor
    pair_class: Tensor


class BlockScaler:
    """Converts coefficients in the edge frame to blocks and back, and measures a ``Scaling``."""

    def __init__(self, irreps: BlockIrreps) -> None:
        """``irreps``: irreps of the blocks."""
        self.irreps = irreps
        self.source, sign = block_layout(irreps).frame_order
        self.frame_change = Constant(irreps.change.T[self.source] * sign[:, None])  # (F, F)
        self.framed_path = irreps.path_index[self.source]
        n_invariant = block_layout(irreps).orders(1)[0]
        self.pair_invariant = np.arange(len(self.source)) < n_invariant
        invariant = np.array([p.l == 0 and p.natural for p in irreps.paths])
        self.node_invariant = invariant[irreps.path_index]

    def from_frame(self, coefficients: Tensor) -> Tensor:
        """Coefficients (P, ..., F), frame order -> blocks (P, ..., [Q,] M, M), edge frame."""
        change = self.frame_change(coefficients)
        return (coefficients @ change).unflatten(-1, self.irreps.shape)

    def to_global_frame(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """Coefficients (P, ..., F), frame order -> blocks (P, ..., [Q,] M, M), global frame."""
        to_global = geometry.basis.to(coefficients).inverse
        return rotate_blocks(self.from_frame(coefficients), to_global)

    def to_frame(self, blocks: Tensor) -> Tensor:
        """Blocks (..., [Q,] M, M), edge frame -> coefficients (..., F), frame order."""
        flat = blocks.flatten(-len(self.irreps.shape))
        return flat @ self.frame_change(flat).T

    def fit(self, batches: Callable[[], Iterable[ClassedBlocks]]) -> Scaling:
        """Measure means and scales.

        Args:
            batches: called twice; yields the blocks of the training set, eV, float64, some
                structures at a time; pair blocks in their edge frames.
        """

        def coefficients() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
            for batch in batches():
                nodes = self.irreps.encode(batch.blocks.nodes)
                pairs = self.to_frame(batch.blocks.pairs)
                yield nodes, batch.node_class, pairs, batch.pair_class

        of_nodes = (self.node_invariant, self.irreps.path_index)
        kinds = (of_nodes, (self.pair_invariant, self.framed_path))
        (node_mean, node_scale), (pair_mean, pair_scale) = self._statistics(coefficients, kinds)
        zero = (torch.zeros_like(node_mean), torch.zeros_like(pair_mean))
        return Scaling(node_mean, node_scale, pair_mean, pair_scale, *zero)

    def fit_guess(self, scaling: Scaling, guesses: Sequence[Scaling], charges: Tensor) -> Scaling:
        """Add the charges of a guess and the statistics of its matrices, which ``fit`` measured.

        Scales below 1e-9 eV become 0: such elements are forbidden by symmetry, and division by
        the scale would amplify their rounding errors to order one.
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
        self, scaling: Scaling, batches: Callable[[], Iterable[ClassedBlocks]]
    ) -> Scaling:
        """Add the scale of stage 2: the RMS of stage 1's residual on the training set, eV.

        ``batches`` as for `fit`, but with the residuals as blocks in the global frame.
        """

        def coefficients() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
            for batch in batches():
                nodes, pairs = map(self.irreps.encode, (batch.blocks.nodes, batch.blocks.pairs))
                yield nodes, batch.node_class, pairs, batch.pair_class

        no_mean = np.zeros(len(self.irreps.path_index), dtype=bool)
        kinds = ((no_mean, self.irreps.path_index),) * 2
        (_, node_residual), (_, pair_residual) = self._statistics(coefficients, kinds)
        return replace(scaling, node_residual=node_residual, pair_residual=pair_residual)

    def _statistics(
        self,
        coefficients: Callable[[], Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]],
        kinds: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> list[tuple[Tensor, Tensor]]:
        """Per class the mean of invariant coefficients, and the RMS of the rest, one per path.

        In two passes: a single one would lose a variance of 1e-8 beside a squared mean of 1e5.

        Args:
            coefficients: called twice; yields in batches the coefficients of atoms (N, F), their
                classes (N,), the coefficients of pairs (P, F) and their classes (P,).
            kinds: for atoms and for pairs: (F,) whether a coefficient is invariant, and (F,) the
                index of its path, i.e. of its irrep in a shell pair.
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
        """Add coefficients (items, F) of classes (items,)."""
        x = coefficients.double()
        if not len(self.count):
            self.count, self.total = x.new_zeros(self.n), x.new_zeros(self.n, x.shape[1])
        self.count += torch.bincount(classes, minlength=self.n)
        self.total.index_add_(0, classes, x)

    def mean(self) -> Tensor:
        """(classes, F); zero for a class without items."""
        return self.total / self.count.clamp(min=1)[:, None]


def _by_path(variance: Tensor, path: np.ndarray) -> Tensor:
    """(classes, F) averaged over the 2l+1 components of each path."""
    index = torch.as_tensor(path, device=variance.device)
    width = torch.bincount(index).to(variance)
    per_path = variance.new_zeros(len(variance), len(width)).index_add(1, index, variance) / width
    return per_path[:, index]


def inverse(scale: Tensor) -> Tensor:
    """``1 / scale``, and 0 where the scale is 0."""
    return torch.where(scale > 0, 1 / torch.where(scale > 0, scale, 1.0), 0.0)
