"""How can any network be made equivariant? In local frames, which rotate with the structure.

An alternative to stage 2's global frame. With ``R`` the rotation from the global frame into a local
frame, stage 2 reads ``D(R) x`` and its correction is ``D(R)^T h D(R)``. This is exactly equivariant
under rotations, and under inversion where the correction is averaged over both inverted copies;
rotated training data add nothing. At a site of high symmetry a local frame is undefined, since the
symmetry maps any axes onto others. The confidence of the frame decreases smoothly to zero there. It
multiplies all non-scalar inputs and the correction, so that only stage 1's prediction remains.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.edge_frames import (
    Constant,
    Degree,
    EdgeFrames,
    Layout,
    basis_frames,
    component_orders,
)
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

    def __init__(self, features: Layout, irreps: BlockIrreps) -> None:
        """``features``: irreps of stage 1's features; ``irreps``: of the blocks."""
        super().__init__()
        degrees = features.degrees
        ls, of_blocks = [degree.l for degree in degrees], (*irreps.basis.layout, *irreps.spins)
        lmax = max(*ls, *of_blocks)
        y = sum(2 * degree.l + 1 for degree in degrees[: degrees.index(Degree(1, pseudo=False))])
        self._polar = Constant(np.array([y + 2, y, y + 1]))  # components come as y, z, x
        self.frames = EdgeFrames(lmax)
        self.to_features = basis_frames(ls, lmax)
        self.to_basis = BlockFrames(irreps, max(of_blocks))
        self._harmonics = (max(of_blocks) + 1) ** 2  # that `to_basis` reads
        self.reflection = Reflection(degrees, irreps)
        source, sign = features.frame_order
        m, flip = component_orders(ls)
        place = np.argsort(source)  # of each component in frame order
        self._m = Constant(m.astype(float))
        self._place, self._flipped_place = Constant(place), Constant(place[flip])
        self._sign, self._flipped_sign = Constant(sign[place]), Constant(sign[place[flip]])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, BlockRotation]:
        """The rotation that brings ``first`` onto z and ``second`` into the xz plane, x > 0.

        Args:
            first: (items, 3) vectors, components x, y, z; float64.
            second: (items, 3), not parallel to ``first``.

        Returns:
            (items, K, K) Wigner matrices of the features, and the rotation of blocks, float64.
        """
        onto_z = self.frames(first)
        harmonic = self.frames.rotate_about_z(onto_z, _angle(onto_z, second))
        of_blocks = harmonic[:, : self._harmonics, : self._harmonics]
        return self.to_features(harmonic), self.to_basis(of_blocks)

    def from_edge_frame(self, features: Tensor, angle: Tensor) -> Tensor:
        """Pair features (P, K, C) in local frames, from those in edge frames in frame order.

        Args:
            features: in edge frames.
            angle: (P,) of the rotation about z from an edge frame to the local frame.
        """
        phase = angle[:, None] * self._m(angle)
        cosine = (phase.cos() * self._sign(phase)).to(features)
        sine = (phase.sin() * self._flipped_sign(phase)).to(features)
        plain = features.index_select(1, self._place(features))
        flipped = features.index_select(1, self._flipped_place(features))
        return plain * cosine[..., None] + flipped * sine[..., None]

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
            onto_z: Wigner matrices of ``EdgeFrames`` that rotate the pairs onto z.
            vectors: (P, 3) from atom i to atom j.
            row: (P,) atom i.
            column: (P,) atom j.

        Returns:
            Angle (P,) of the rotation about z from the edge frame to the local frame, P rotations
            of blocks, global frame -> local frame, and the confidence (P,) of the frames, from 0
            to 1.
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
        angle = _angle(onto_z, second_vector(*_non_zero(local_vectors.first, local_vectors.second)))
        harmonic = onto_z[:, : self._harmonics, : self._harmonics]
        rotation = self.to_basis(self.frames.rotate_about_z(harmonic, angle))
        return angle, rotation, confidence


def _angle(onto_z: Tensor, second: Tensor) -> Tensor:
    """(items,) angle of the rotation about z that brings second vectors (items, 3) to y = 0, x > 0.

    ``onto_z``: Wigner matrices of the rotations that are applied before.
    """
    rotated = (onto_z[:, 1:4, 1:4] @ second[:, [1, 2, 0], None])[:, :, 0]  # y, z, x
    return torch.atan2(rotated[:, 0], rotated[:, 2])


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
