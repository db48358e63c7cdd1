"""Edge frames: turn every pair so that it points along z, where symmetry becomes plain algebra.

In the frame of a pair only rotations about the pair and mirrors through it are left. A component
of order m turns there as one complex number. Sorting components by |m| into a part A that
mirrors leave alone and a part B that they flip, any linear map that treats A and B alike is
equivariant under O(3): the SO(2) convolution of Passaro & Zitnick 2023 (arXiv 2302.03655), with
parity kept. For harmonics A is the cosine and B the sine; for pseudo-tensors A is the sine and B
minus the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from e3nn import o3
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.rotations import rotation
from workbench.hamiltonians.wigner import wigner_d
from workbench.models.config import ModelConfig


class Constant:
    """A fixed array kept in float64 and handed out in the type and on the device of a tensor.

    Not a buffer: ``module.double()`` would otherwise inherit the rounding of float32.
    """

    def __init__(self, array: NDArray[np.float64] | NDArray[np.intp]) -> None:
        self._exact = torch.as_tensor(np.ascontiguousarray(array))
        self._copies: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def __call__(self, like: Tensor) -> Tensor:
        """The array as ``like``'s dtype (integers stay integers) and device."""
        dtype = like.dtype if self._exact.is_floating_point() else self._exact.dtype
        key = (dtype, like.device)
        if key not in self._copies:
            with torch.inference_mode(False):  # a copy made while predicting serves training, too
                self._copies[key] = self._exact.to(device=like.device, dtype=dtype)
        return self._copies[key]


@dataclass(frozen=True)
class Degree:
    """One irrep of the features, all of whose components come in C channels."""

    l: int
    pseudo: bool


@dataclass(frozen=True)
class Layout:
    """Which irreps the features hold, and how their components sort by |m| in an edge frame.

    Features are tensors (items, K, C): component outside, channel inside, K = sum of 2l+1.
    """

    degrees: tuple[Degree, ...]

    @classmethod
    def of(cls, config: ModelConfig, basis: Basis) -> Layout:
        """Harmonic irreps 0..lmax, pseudo-tensor irreps 1..pseudo_lmax, with spin from 0 on."""
        natural = [Degree(l, False) for l in range(config.lmax + 1)]
        first = 0 if basis.spinor else 1
        return cls((*natural, *(Degree(l, True) for l in range(first, config.pseudo_lmax + 1))))

    @cached_property
    def dim(self) -> int:
        """K, the number of components."""
        return sum(2 * d.l + 1 for d in self.degrees)

    @cached_property
    def degree_of(self) -> NDArray[np.intp]:
        """(K,) which irrep a component belongs to."""
        return np.repeat(np.arange(len(self.degrees)), [2 * d.l + 1 for d in self.degrees])

    @cached_property
    def frame_order(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Source component (K,) and sign (K,) of each component in frame order.

        Frame order is A_0, then A_m and B_m for m = 1.., then B_0.
        """
        starts = np.cumsum([0, *(2 * d.l + 1 for d in self.degrees)])[:-1]
        placed = [(int(s) + d.l, d) for s, d in zip(starts, self.degrees, strict=True)]
        natural = [(c, d.l) for c, d in placed if not d.pseudo]
        pseudo = [(c, d.l) for c, d in placed if d.pseudo]
        order = [(c, 1.0) for c, _ in natural]
        for m in range(1, self.lmax + 1):
            order += [(c + m, 1.0) for c, l in natural if l >= m]  # A: cosine
            order += [(c - m, 1.0) for c, l in pseudo if l >= m]
            order += [(c - m, 1.0) for c, l in natural if l >= m]  # B: sine
            order += [(c + m, -1.0) for c, l in pseudo if l >= m]
        order += [(c, -1.0) for c, _ in pseudo]
        source, sign = zip(*order, strict=True)
        return np.array(source, dtype=np.intp), np.array(sign)

    def orders(self, channels: int) -> tuple[int, ...]:
        """How many numbers A_0, each A_m and B_0 hold when there are so many channels."""
        even = [
            sum(d.l >= m and (m > 0 or not d.pseudo) for d in self.degrees)
            for m in range(self.lmax + 1)
        ]
        return (*(n * channels for n in even), sum(d.pseudo for d in self.degrees) * channels)

    @property
    def lmax(self) -> int:
        """Highest l."""
        return max(d.l for d in self.degrees)

    def irreps(self, channels: int) -> o3.Irreps:
        """The features as e3nn irreps."""
        terms = [(channels, (d.l, (-1) ** (d.l + d.pseudo))) for d in self.degrees]
        return cast("o3.Irreps", o3.Irreps(terms))

    def to_irreps(self, features: Tensor) -> Tensor:
        """(items, K, C) -> (items, K*C) in e3nn's order: per irrep, channel outside, m inside."""
        at, parts = 0, []
        for d in self.degrees:
            parts.append(features[:, at : at + 2 * d.l + 1].transpose(1, 2).flatten(1))
            at += 2 * d.l + 1
        return torch.cat(parts, dim=1)

    def from_irreps(self, flat: Tensor, channels: int) -> Tensor:
        """(items, K*C) in e3nn's order -> (items, K, C)."""
        at, parts = 0, []
        for d in self.degrees:
            width = 2 * d.l + 1
            part = flat[:, at : at + width * channels]
            parts.append(part.reshape(-1, channels, width).transpose(1, 2))
            at += width * channels
        return torch.cat(parts, dim=1)


def highest_l(config: ModelConfig, irreps: BlockIrreps) -> int:
    """Of the harmonics that turn features, orbitals and spin."""
    return max(config.lmax, config.pseudo_lmax, *irreps.basis.layout, *irreps.spins)


def block_layout(irreps: BlockIrreps) -> Layout:
    """A block's irrep coefficients as a layout of one channel, so that they have a frame order."""
    return Layout(tuple(Degree(p.l, p.pseudo) for p in irreps.paths))


def coefficients_by_degree(
    layout: Layout, irreps: BlockIrreps, count: int = 1
) -> dict[Degree, list[int]]:
    """For each irrep of a layout the places of its m = -l among ``count`` blocks' coefficients."""
    of_degree: dict[Degree, list[int]] = {d: [] for d in layout.degrees}
    first = 0
    for p in irreps.paths * count:
        if (degree := Degree(p.l, p.pseudo)) in of_degree:
            of_degree[degree].append(first)
        first += 2 * p.l + 1
    return of_degree


class EdgeFrames(nn.Module):
    """Wigner matrices that turn each pair's direction onto z, once a geometry for all layers."""

    def __init__(self, lmax: int) -> None:
        super().__init__()
        size = (lmax + 1) ** 2
        tilt = np.zeros((size, size))  # turns z onto y, so that Dy(t) = tilt Dz(t) tilt^T
        for l in range(lmax + 1):
            shell = slice(l * l, (l + 1) ** 2)
            tilt[shell, shell] = wigner_d(l, rotation((1, 0, 0), -90))
        m = np.concatenate([np.arange(-l, l + 1) for l in range(lmax + 1)])
        centre = np.concatenate([[l * l + l] * (2 * l + 1) for l in range(lmax + 1)])
        self.tilt = Constant(tilt)
        self.m = Constant(m.astype(float))
        self.flip = Constant((centre - m).astype(np.intp))

    def forward(self, vectors: Tensor) -> Tensor:
        """Matrices (P, (lmax+1)^2, (lmax+1)^2) of ``R_y(-theta) R_z(-phi)`` for vectors (P, 3).

        The turn about the pair itself is a free choice, which no equivariant map can see.
        """
        tilt, m, flip = self.tilt(vectors).T, self.m(vectors), self.flip(vectors)
        x, y, z = vectors.unbind(-1)
        phi = torch.atan2(y, x)[:, None] * m  # (P, K)
        theta = torch.atan2(torch.hypot(x, y), z)[:, None] * m
        about_z = tilt * phi.cos()[:, None] - tilt[:, flip] * phi.sin()[:, None]
        flipped = about_z.index_select(1, flip)
        about_y = about_z * theta.cos()[..., None] + flipped * theta.sin()[..., None]
        return tilt.T @ about_y


class _Gather(nn.Module):
    """Picks entries of the harmonic matrices into a larger block matrix, with signs."""

    def __init__(self, source: NDArray[np.intp], factor: NDArray[np.float64]) -> None:
        super().__init__()
        self.shape = source.shape
        self.source = Constant(np.maximum(source, 0).ravel())
        self.factor = Constant(np.where(source >= 0, factor, 0.0))

    def forward(self, matrices: Tensor) -> Tensor:
        """(P, n, n) -> (P, rows, columns)."""
        picked = matrices.flatten(1).index_select(1, self.source(matrices))
        return picked.view(-1, *self.shape) * self.factor(matrices)


def feature_frames(layout: Layout, lmax: int) -> _Gather:
    """Takes harmonic matrices to those of a layout, with rows already in frame order."""
    ls = [d.l for d in layout.degrees]
    source = _shell_entries(ls, lmax)
    order, sign = layout.frame_order
    return _Gather(source[order], np.broadcast_to(sign[:, None], source.shape))


def basis_frames(shells: Sequence[int], lmax: int) -> _Gather:
    """Takes harmonic matrices to those of a basis's padded frame, in plain order."""
    source = _shell_entries(shells, lmax)
    return _Gather(source, np.ones(source.shape))


def _shell_entries(ls: Sequence[int], lmax: int) -> NDArray[np.intp]:
    """Flat index into a harmonic matrix of each entry of a block-diagonal one, -1 off blocks."""
    size, full = sum(2 * l + 1 for l in ls), (lmax + 1) ** 2
    result = np.full((size, size), -1, dtype=np.intp)
    at = 0
    for l in ls:
        own = np.arange(l * l, (l + 1) ** 2)
        result[at : at + 2 * l + 1, at : at + 2 * l + 1] = own[:, None] * full + own
        at += 2 * l + 1
    return result
