"""How can any network be made equivariant? In local frames, which rotate with the structure.

An alternative to stage 2's global frame. With ``R`` the rotation from the global frame into a local
frame, stage 2 reads ``D(R) x`` and its correction is ``D(R)^T h D(R)``. This is exactly equivariant
under rotations, and under inversion where the correction is averaged over both inverted copies;
rotated training data add nothing. At a site of high symmetry a local frame is undefined, since the
symmetry maps any axes onto others. The confidence of the frame decreases smoothly to zero there. It
multiplies all non-scalar inputs and the correction, so that only stage 1's prediction remains.
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
"""Thresholds from which a frame has confidence 1. The measure is the norm of the cross product of
the two vectors that span the frame, relative to the norm of all features. No atom or pair of a
displaced molecule lies below (the smallest values are ten and five times the threshold). Every one
whose frame is undefined by symmetry lies below, by three orders of magnitude or more."""


class LocalVectors(NamedTuple):
    """Two polar vectors of each atom, from stage 1's features; float64.

    Attributes:
        first: (N, 3) first vector.
        second: (N, 3) second vector.
        squares: (N,) squared norm of all features of an atom.
    """

    first: Tensor
    second: Tensor
    squares: Tensor


class LocalFrames(nn.Module):
    """Wigner matrices from the global frame into local frames, each spanned by two vectors.

    Attributes:
        reflection: how inversion of the structure changes features and blocks in local frames.
    """

    def __init__(self, features: Sequence[Degree], irreps: BlockIrreps) -> None:
        """``features``: irreps of stage 1's features; ``irreps``: of the blocks."""
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
        """The rotation that brings ``first`` onto z and ``second`` into the xz plane, x > 0.

        Args:
            first: (items, 3) vectors, components x, y, z; float64.
            second: (items, 3), not parallel to ``first``.

        Returns:
            (items, K, K) Wigner matrices of the features, and the rotation of blocks, float64.
        """
        return self.rotate_about_z(self.frames(first), second)

    def rotate_about_z(self, onto_z: Tensor, second: Tensor) -> tuple[Tensor, BlockRotation]:
        """The same from rotations onto z: add the rotation about z that the second vector defines.

        Args:
            onto_z: (items, (lmax+1)^2, (lmax+1)^2) Wigner matrices of ``EdgeFrames`` that rotate
                the first vectors onto z.
            second: (items, 3).
        """
        rotated = (onto_z[:, 1:4, 1:4] @ second[:, [1, 2, 0], None])[:, :, 0]  # y, z, x
        angle = torch.atan2(rotated[:, 0], rotated[:, 2])[:, None] * self.frames.m(onto_z)
        flipped = onto_z.index_select(1, self.frames.flip(onto_z))
        harmonic = onto_z * angle.cos()[..., None] + flipped * angle.sin()[..., None]
        return self.to_features(harmonic), self.to_basis(harmonic)

    def vectors(self, nodes: Tensor) -> LocalVectors:
        """Two vectors of each atom: its polar vectors, summed over half of the channels each.

        Args:
            nodes: (N, K, C) stage 1's node features.
        """
        features = nodes.double()
        half = features.shape[2] // 2
        polar = features.index_select(1, self._polar(features))  # (N, 3, C)
        squares = features.square().sum((1, 2))
        return LocalVectors(polar[:, :, :half].sum(2), polar[:, :, half:].sum(2), squares)

    def of_atoms(self, local_vectors: LocalVectors) -> tuple[Tensor, BlockRotation, Tensor]:
        """Local frames of the atoms.

        Returns:
            Wigner matrices (N, K, K) of features, N rotations of blocks, and the confidence (N,)
            of the frames, from 0 to 1.
        """
        area = torch.linalg.cross(local_vectors.first, local_vectors.second).norm(dim=1)
        confidence = _confidence(area / local_vectors.squares, WELL_DEFINED_ATOM)
        return *self(*_non_zero(local_vectors.first, local_vectors.second)), confidence

    def of_pairs(
        self,
        local_vectors: LocalVectors,
        onto_z: Tensor,
        vectors: Tensor,
        row: Tensor,
        column: Tensor,
    ) -> tuple[Tensor, BlockRotation, Tensor]:
        """Local frames of the pairs: z along the pair, x given by the vectors of both atoms.

        Args:
            local_vectors: of the atoms.
            onto_z: Wigner matrices that rotate the pairs onto z, see `rotate_about_z`.
            vectors: (P, 3) from atom i to atom j.
            row: (P,) atom i.
            column: (P,) atom j.

        Returns:
            Wigner matrices (P, K, K) of features, P rotations of blocks, and the confidence (P,)
            of the frames, from 0 to 1.
        """

        def second_vector(first: Tensor, second: Tensor) -> Tensor:
            of_rows, of_columns = first + second, first - second
            return of_rows.index_select(0, row) + of_columns.index_select(0, column)

        area = torch.linalg.cross(
            functional.normalize(vectors.double(), dim=1),
            second_vector(local_vectors.first, local_vectors.second),
        )
        squares = local_vectors.squares.index_select(0, row) + local_vectors.squares.index_select(
            0, column
        )
        confidence = _confidence(area.norm(dim=1) / squares.sqrt(), WELL_DEFINED_PAIR)
        second = second_vector(*_non_zero(local_vectors.first, local_vectors.second))
        return *self.rotate_about_z(onto_z, second), confidence


def _non_zero(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors plus 1e-9 along z and x: a frame of confidence 0 needs axes, any will do."""
    along_z = first.new_tensor([0.0, 0.0, _TINY]).expand_as(first)
    return first + along_z, second + along_z.roll(1, dims=1)


def _confidence(measure: Tensor, well_defined: float) -> Tensor:
    """``3 t^2 - 2 t^3`` with ``t = measure / well_defined``, and 1 from ``t = 1`` on."""
    share = (measure / well_defined).clamp(max=1.0)
    return share**2 * (3 - 2 * share)


def scale_non_scalars(features: Tensor, confidence: Tensor) -> Tensor:
    """Features (items, K, C) with non-scalar components times the confidence of the frame."""
    return torch.cat([features[:, :1], scale_by_confidence(features[:, 1:], confidence)], dim=1)


def scale_by_confidence(values: Tensor, confidence: Tensor | None) -> Tensor:
    """Values (items, ...) times the confidence (items,); unchanged if that is None."""
    if confidence is None:
        return values
    return values * confidence.view(-1, *(1,) * (values.ndim - 1))


def to_local(blocks: Tensor, rotation: BlockRotation, confidence: Tensor) -> Tensor:
    """Blocks (items, ..., M, M) rotated into local frames, times the frames' confidence."""
    return scale_by_confidence(rotate_blocks(blocks, rotation), confidence)
