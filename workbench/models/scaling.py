"""The scale of each kind of matrix element, measured on the training set and kept with a model.

Networks work on numbers of order one. A mean is removed where symmetry allows one (l = 0 on-site;
what is invariant about the pair, m = 0, off-site), separately for each species or ordered pair of
species. What is left is divided by its RMS per species (pair) and irrep of each shell pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench.irreps import BlockIrreps
from workbench.models.baseline import Geometry
from workbench.models.frames import block_layout
from workbench.models.turns import turn

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


class BlockScaler:
    """Applies a ``Scaling``: coefficients to blocks, and blocks to statistics."""

    def __init__(self, irreps: BlockIrreps) -> None:
        """Precompute the change from frame-ordered coefficients to blocks."""
        self.irreps = irreps
        self.source, sign = block_layout(irreps).frame_order
        self.frame_change = irreps.change.T[self.source] * sign[:, None]  # (F, F)
        self.framed_path = irreps.path_index[self.source]
        n_invariant = block_layout(irreps).orders(1)[0]
        self.pair_invariant = np.arange(len(self.source)) < n_invariant
        invariant = np.array([p.l == 0 and p.natural for p in irreps.paths])
        self.node_invariant = invariant[irreps.path_index]

    def from_frame(self, coefficients: Tensor) -> Tensor:
        """(P, F) in frame order -> blocks (P, [Q,] M, M) in the edge frame."""
        change = torch.as_tensor(self.frame_change).to(coefficients)
        return (coefficients @ change).view(-1, *self.irreps.shape)

    def outside(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """(P, F) in the edge frame and frame order -> blocks (P, [Q,] M, M) in the global frame."""
        by = geometry.basis.to(coefficients).inverse
        return turn(self.from_frame(coefficients), by)

    def to_frame(self, blocks: Tensor) -> Tensor:
        """Blocks (..., [Q,] M, M) in the edge frame -> (..., F) in frame order."""
        flat = blocks.flatten(-len(self.irreps.shape))
        return flat @ torch.as_tensor(self.frame_change.T).to(blocks)

    def means(self, scaling: Scaling, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Mean blocks (N, [Q,] M, M) and (P, [Q,] M, M) in eV, float64, in the global frame."""
        nodes = self.irreps.decode(scaling.node_mean[geometry.node_class])
        local = scaling.pair_mean[geometry.pair_class] * geometry.envelope
        return nodes, self.outside(local, geometry)

    def fit(self, nodes: Tensor, local: Tensor, node_class: Tensor, pair_class: Tensor) -> Scaling:
        """Measure means and scales.

        Args:
            nodes: (N, [Q,] M, M) on-site blocks of the training set in eV, float64.
            local: (P, [Q,] M, M) its pair blocks, each in its edge frame.
            node_class: (N,) species index.
            pair_class: (P,) index of the ordered pair of species.
        """
        n_species = len(self.irreps.basis.elements)
        node_mean, node_scale = _statistics(
            self.irreps.encode(nodes),
            node_class,
            n_species,
            self.node_invariant,
            self.irreps.path_index,
        )
        pair_mean, pair_scale = _statistics(
            self.to_frame(local), pair_class, n_species**2, self.pair_invariant, self.framed_path
        )
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
        self, scaling: Scaling, nodes: Tensor, pairs: Tensor, node_class: Tensor, pair_class: Tensor
    ) -> Scaling:
        """Add the scale of stage 2: RMS of what stage 1 left of the training set, in eV."""
        path, none = self.irreps.path_index, np.zeros(len(self.irreps.path_index), dtype=bool)
        n_species = len(scaling.node_mean)
        _, node_residual = _statistics(self.irreps.encode(nodes), node_class, n_species, none, path)
        _, pair_residual = _statistics(
            self.irreps.encode(pairs), pair_class, n_species**2, none, path
        )
        return replace(scaling, node_residual=node_residual, pair_residual=pair_residual)


def _statistics(
    coefficients: Tensor, classes: Tensor, n_classes: int, invariant: np.ndarray, path: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Per class the mean of invariant coefficients, and the RMS of the rest, one per path."""
    x = coefficients.double()
    count = torch.bincount(classes, minlength=n_classes).clamp(min=1)[:, None].to(x)
    mean = x.new_zeros(n_classes, x.shape[1]).index_add(0, classes, x) / count
    mean = mean * torch.as_tensor(invariant).to(x)
    square = (x - mean[classes]) ** 2
    variance = x.new_zeros(n_classes, x.shape[1]).index_add(0, classes, square) / count
    index = torch.as_tensor(path, device=x.device)
    width = torch.bincount(index).to(x)
    per_path = x.new_zeros(n_classes, len(width)).index_add(1, index, variance) / width
    return mean, per_path.sqrt()[:, index]
