"""Local frames: axes that turn with the structure, in which any network is equivariant.

An alternative to stage 2's global frame: exactly equivariant under rotations, and under inversion
where both images are averaged, but nothing is left to learn from turned data. An atom in a
symmetric place has no axes of its own: the symmetry would turn them into others. How far axes can
be trusted falls smoothly to zero there, and with it everything that would be read or said in them,
so that stage 1 stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.edge_frames import Constant, Degree, EdgeFrames, basis_frames
from workbench.models.tensor_rotations import (
    BlockFrames,
    BlockRotation,
    Reflection,
    rotate_blocks,
)

_TINY = 1e-9

WELL_DEFINED_ATOM, WELL_DEFINED_PAIR = 1e-5, 1e-4
"""Sine-like measures, relative to the norm of all features, above which axes are trusted fully. Of
the atoms and pairs of shaken molecules none lies below (the smallest are ten and five times that),
of those that symmetry leaves without axes all do, by three orders of magnitude and more."""


class LocalVectors(NamedTuple):
    """What atoms' features say of directions, float64.

    Attributes:
        first: (N, 3) a vector of each atom.
        second: (N, 3) another.
        squares: (N,) squared norm of all features of an atom.
    """

    first: Tensor
    second: Tensor
    squares: Tensor


class LocalFrames(nn.Module):
    """Wigner matrices from the global frame into axes spanned by two vectors.

    Attributes:
        mirror: what an inversion of the structure does to all that is in such axes.
    """

    def __init__(self, features: Sequence[Degree], irreps: BlockIrreps) -> None:
        """For features and blocks of these irreps."""
        super().__init__()
        ls = [degree.l for degree in features]
        lmax = max(*ls, *irreps.basis.layout, *irreps.spins)
        y = sum(2 * degree.l + 1 for degree in features[: features.index(Degree(1, pseudo=False))])
        self._polar = Constant(np.array([y + 2, y, y + 1]))  # components come as y, z, x
        self.frames = EdgeFrames(lmax)
        self.to_features = basis_frames(ls, lmax)
        self.to_basis = BlockFrames(irreps, lmax)
        self.reflection = Reflection(features, irreps)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, BlockRotation]:
        """Matrices of the turn that brings ``first`` onto z and ``second`` into the xz plane.

        Args:
            first: (items, 3) vectors along x, y, z; float64.
            second: (items, 3), not parallel to ``first``.

        Returns:
            (items, K, K) for features, and what turns blocks, float64.
        """
        return self.rotate_about_z(self.frames(first), second)

    def rotate_about_z(self, onto_z: Tensor, second: Tensor) -> tuple[Tensor, BlockRotation]:
        """The same, of turns that bring the first vectors onto z and have yet to turn about it.

        Args:
            onto_z: (items, (lmax+1)^2, (lmax+1)^2), as ``EdgeFrames`` makes them.
            second: (items, 3).
        """
        turned = (onto_z[:, 1:4, 1:4] @ second[:, [1, 2, 0], None])[:, :, 0]  # y, z, x
        angle = torch.atan2(turned[:, 0], turned[:, 2])[:, None] * self.frames.m(onto_z)
        flipped = onto_z.index_select(1, self.frames.flip(onto_z))
        harmonic = onto_z * angle.cos()[..., None] + flipped * angle.sin()[..., None]
        return self.to_features(harmonic), self.to_basis(harmonic)

    def vectors(self, nodes: Tensor) -> LocalVectors:
        """Two vectors of each atom: sums of stage 1's polar vectors over half of the channels each.

        Args:
            nodes: (N, K, C) stage 1's features of the atoms.
        """
        exact = nodes.double()
        half = exact.shape[2] // 2
        polar = exact.index_select(1, self._polar(exact))
        squares = exact.square().sum((1, 2))
        return LocalVectors(polar[:, :, :half].sum(2), polar[:, :, half:].sum(2), squares)

    def of_atoms(self, local_vectors: LocalVectors) -> tuple[Tensor, BlockRotation, Tensor]:
        """The same of each atom, in axes spanned by its features.

        Beside them how far these axes can be trusted, (N,) from 0 to 1.
        """
        apart = torch.linalg.cross(local_vectors.first, local_vectors.second).norm(dim=1)
        confidence = _confidence(apart / local_vectors.squares, WELL_DEFINED_ATOM)
        return *self(*_defined(local_vectors.first, local_vectors.second)), confidence

    def of_pairs(
        self,
        local_vectors: LocalVectors,
        onto_z: Tensor,
        vectors: Tensor,
        row: Tensor,
        column: Tensor,
    ) -> tuple[Tensor, BlockRotation, Tensor]:
        """The same of each pair, along its vector (P, 3) and across it by both atoms' features.

        ``onto_z``: the vectors' turns, as in `rotate_about_z`. The third item is the
        confidence of these axes, (P,) from 0 to 1.
        """

        def across(first: Tensor, second: Tensor) -> Tensor:
            mine, theirs = first + second, first - second
            return mine.index_select(0, row) + theirs.index_select(0, column)

        apart = torch.linalg.cross(
            functional.normalize(vectors.double(), dim=1),
            across(local_vectors.first, local_vectors.second),
        )
        squares = local_vectors.squares.index_select(0, row) + local_vectors.squares.index_select(
            0, column
        )
        confidence = _confidence(apart.norm(dim=1) / squares.sqrt(), WELL_DEFINED_PAIR)
        return *self.rotate_about_z(
            onto_z, across(*_defined(local_vectors.first, local_vectors.second))
        ), confidence


def _defined(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors, moved a little off zero: where there are none any axes will do."""
    ahead = first.new_tensor([0.0, 0.0, _TINY]).expand_as(first)
    return first + ahead, second + ahead.roll(1, dims=1)


def _confidence(measure: Tensor, well_defined: float) -> Tensor:
    """From 0 to 1 (at ``well_defined`` and above), with continuous slope."""
    share = (measure / well_defined).clamp(max=1.0)
    return share**2 * (3 - 2 * share)


def scale_non_scalars(features: Tensor, confidence: Tensor) -> Tensor:
    """Features (items, K, C) in local axes; what is no scalar is as large as its axes are sure."""
    return torch.cat([features[:, :1], scale_by_confidence(features[:, 1:], confidence)], dim=1)


def scale_by_confidence(values: Tensor, confidence: Tensor | None) -> Tensor:
    """Values (items, ...) in local axes, as large as these are sure; unchanged without any."""
    if confidence is None:
        return values
    return values * confidence.view(-1, *(1,) * (values.ndim - 1))


def to_local(blocks: Tensor, rotation: BlockRotation, confidence: Tensor) -> Tensor:
    """Blocks (items, ..., M, M) in local frames, multiplied by the confidence of these frames."""
    return scale_by_confidence(rotate_blocks(blocks, rotation), confidence)
