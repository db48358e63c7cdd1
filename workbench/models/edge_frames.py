"""In which frame does the equivariance of a pair become linear algebra? In its edge frame.

Every pair is rotated so that it points along z. The symmetry that remains in this edge frame
consists of rotations about the pair and of reflections in planes that contain it. A rotation by
``t`` multiplies the components of order m, as one complex number, by ``exp(i m t)``. The components
of each |m| are sorted into a part A that the reflection y -> -y leaves unchanged and a part B whose
sign it changes. Every linear map that mixes components of equal |m|, with the same matrix for A as
for B, is equivariant under O(3). This is the SO(2) convolution of Passaro & Zitnick 2023 (arXiv
2302.03655), with parity. For spherical harmonics A is the cosine and B the sine; for pseudo-tensors
A is the sine and B minus the cosine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """A fixed array, stored in float64 and returned in the dtype and on the device of a tensor.

    Not a buffer: a buffer that was rounded to float32 stays rounded after ``module.double()``.
    """

    def __init__(self, array: NDArray[np.float64] | NDArray[np.intp]) -> None:
        self._exact = torch.as_tensor(np.ascontiguousarray(array))
        self._copies: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def __call__(self, like: Tensor) -> Tensor:
        """The array in the dtype (integers stay integers) and on the device of ``like``."""
        dtype = like.dtype if self._exact.is_floating_point() else self._exact.dtype
        key = (dtype, like.device)
        if key not in self._copies:
            with torch.inference_mode(False):  # else training could not use a prediction's copy
                self._copies[key] = self._exact.to(device=like.device, dtype=dtype)
        return self._copies[key]


@dataclass(frozen=True)
class Degree:
    """One irrep of the features: 2l+1 components, each in C channels; parity (-1)^l or -(-1)^l."""

    l: int
    pseudo: bool


@dataclass(frozen=True)
class Layout:
    """The irreps of the features, and the order of their components by |m| in an edge frame.

    Features are tensors (items, K, C): component outside, channel inside, K = sum of 2l+1.
    """

    degrees: tuple[Degree, ...]

    @classmethod
    def of(cls, config: ModelConfig, basis: Basis) -> Layout:
        """Harmonic irreps 0..lmax and pseudo-tensor irreps 1..pseudo_lmax; with spin from 0."""
        natural = [Degree(l, False) for l in range(config.lmax + 1)]
        first = 0 if basis.spinor else 1
        return cls((*natural, *(Degree(l, True) for l in range(first, config.pseudo_lmax + 1))))

    @cached_property
    def dim(self) -> int:
        """K, the number of components."""
        return sum(2 * d.l + 1 for d in self.degrees)

    @cached_property
    def degree_of(self) -> NDArray[np.intp]:
        """(K,) index of the irrep of each component."""
        return np.repeat(np.arange(len(self.degrees)), [2 * d.l + 1 for d in self.degrees])

    @cached_property
    def frame_order(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Source component (K,) and sign (K,) of each component in frame order.

        Frame order is A_0, then A_m and B_m for m = 1.., then B_0.
        """
        starts = np.cumsum([0, *(2 * d.l + 1 for d in self.degrees)])[:-1]
        centres = [(int(s) + d.l, d) for s, d in zip(starts, self.degrees, strict=True)]  # m = 0
        natural = [(c, d.l) for c, d in centres if not d.pseudo]
        pseudo = [(c, d.l) for c, d in centres if d.pseudo]
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
        """Sizes of A_0, of each A_m (B_m has the same) and of B_0, for a number of channels."""
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
        start, irreps = 0, []
        for d in self.degrees:
            irreps.append(features[:, start : start + 2 * d.l + 1].transpose(1, 2).flatten(1))
            start += 2 * d.l + 1
        return torch.cat(irreps, dim=1)

    def from_irreps(self, flat: Tensor, channels: int) -> Tensor:
        """(items, K*C) in e3nn's order -> (items, K, C)."""
        start, irreps = 0, []
        for d in self.degrees:
            width = 2 * d.l + 1
            irrep = flat[:, start : start + width * channels]
            irreps.append(irrep.reshape(-1, channels, width).transpose(1, 2))
            start += width * channels
        return torch.cat(irreps, dim=1)


def highest_l(config: ModelConfig, irreps: BlockIrreps) -> int:
    """Highest l of the Wigner matrices that rotate features, orbitals and spin."""
    return max(config.lmax, config.pseudo_lmax, *irreps.basis.layout, *irreps.spins)


def block_layout(irreps: BlockIrreps) -> Layout:
    """The irreps of a block as a layout of one channel, which defines their frame order."""
    return Layout(tuple(Degree(p.l, p.pseudo) for p in irreps.paths))


def coefficients_by_degree(
    layout: Layout, irreps: BlockIrreps, count: int = 1
) -> dict[Degree, list[int]]:
    """Irrep of a layout -> positions of its m = -l among the coefficients of ``count`` blocks."""
    of_degree: dict[Degree, list[int]] = {d: [] for d in layout.degrees}
    first = 0
    for p in irreps.paths * count:
        if (degree := Degree(p.l, p.pseudo)) in of_degree:
            of_degree[degree].append(first)
        first += 2 * p.l + 1
    return of_degree


def component_orders(ls: Iterable[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of each component of irreps: its m, and the place of the component -m of the same irrep."""
    m = np.concatenate([np.arange(-l, l + 1) for l in ls])
    return m, np.arange(len(m)) - 2 * m


class EdgeFrames(nn.Module):
    """Wigner matrices that rotate each pair onto z, computed once per geometry."""

    def __init__(self, lmax: int) -> None:
        super().__init__()
        size = (lmax + 1) ** 2
        tilt = np.zeros((size, size))  # rotates z onto y: Dy(t) = tilt Dz(t) tilt^T
        for l in range(lmax + 1):
            shell = slice(l * l, (l + 1) ** 2)
            tilt[shell, shell] = wigner_d(l, rotation((1, 0, 0), -90))
        m, flip = component_orders(range(lmax + 1))
        of_order = np.abs(m) == np.arange(lmax + 1)[:, None]
        about_y = np.concatenate(
            [
                np.einsum("kr,ar,br->kab", of_order, tilt, tilt),  # times cos(k theta)
                np.einsum("kr,ar,br->kab", of_order * np.sign(m), tilt, tilt[:, flip]),  # sin
            ]
        )
        then_about_z = np.concatenate([about_y, -np.sign(m) * about_y[:, :, flip]], axis=2)
        self.harmonics = Constant(then_about_z.reshape(len(about_y), -1))
        self.orders = Constant(np.arange(lmax + 1.0))
        self.order_of = Constant(np.abs(m).astype(np.intp))
        self.m, self.flip = Constant(m.astype(float)), Constant(flip)

    def forward(self, vectors: Tensor) -> Tensor:
        """Wigner matrices of ``R_y(-theta) R_z(-phi)`` for vectors (P, 3).

        The angle of rotation about the pair itself is arbitrary: no equivariant map depends on it.

        Returns:
            (P, (lmax+1)^2, (lmax+1)^2), block-diagonal in l.
        """
        orders, order_of = self.orders(vectors), self.order_of(vectors)
        x, y, z = vectors.unbind(-1)
        phi = torch.atan2(y, x)[:, None] * orders  # (P, lmax+1)
        theta = torch.atan2(torch.hypot(x, y), z)[:, None] * orders
        about_y = torch.cat([theta.cos(), theta.sin()], dim=1) @ self.harmonics(vectors)
        cosine, sine = about_y.unflatten(1, (len(order_of), 2, -1)).unbind(2)
        cos_phi, sin_phi = (f(phi).index_select(1, order_of) for f in (torch.cos, torch.sin))
        return cosine * cos_phi[:, None] + sine * sin_phi[:, None]

    def rotate_about_z(self, harmonic: Tensor, angle: Tensor) -> Tensor:
        """Wigner matrices (P, K, K) of these rotations, then one about z by an angle (P,).

        K is that of this object or of a lower l.
        """
        phase = angle[:, None] * self.m(angle)[: harmonic.shape[1]]
        flipped = harmonic.index_select(1, self.flip(harmonic)[: harmonic.shape[1]])
        return harmonic * phase.cos()[..., None] + flipped * phase.sin()[..., None]


class _Gather(nn.Module):
    """Copies entries of the harmonics' Wigner matrices into a larger block matrix, with signs."""

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
    """From the harmonics' Wigner matrices to those of a layout, rows in frame order."""
    ls = [d.l for d in layout.degrees]
    source = _shell_entries(ls, lmax)
    order, sign = layout.frame_order
    return _Gather(source[order], np.broadcast_to(sign[:, None], source.shape))


def basis_frames(shells: Sequence[int], lmax: int) -> _Gather:
    """From the harmonics' Wigner matrices to the orbitals' in the padded basis, plain order."""
    source = _shell_entries(shells, lmax)
    return _Gather(source, np.ones(source.shape))


def _shell_entries(ls: Sequence[int], lmax: int) -> NDArray[np.intp]:
    """Flat index into a harmonic matrix for each entry of a block-diagonal one; -1: zero."""
    size, full = sum(2 * l + 1 for l in ls), (lmax + 1) ** 2
    result = np.full((size, size), -1, dtype=np.intp)
    start = 0
    for l in ls:
        harmonics = np.arange(l * l, (l + 1) ** 2)
        shell = slice(start, start + 2 * l + 1)
        result[shell, shell] = harmonics[:, None] * full + harmonics
        start += 2 * l + 1
    return result
