"""Linear maps along one edge: SO(2) frames, and the cost of a full tensor product.

A map that commutes with rotations about an edge and with mirror planes through it mixes only
components of equal |m| in the frame of the edge (`workbench.models.edge_frames`). A tensor product
with the harmonics of the edge is such a map, written in the laboratory frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from e3nn import o3
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from workbench.hamiltonians.conventions import E3NN_AXES, SHELL_LETTERS, orbital_name
from workbench.hamiltonians.wigner import wigner_blocks
from workbench.models.edge_frames import Degree, EdgeFrames, Layout, feature_frames
from workbench.models.equivariant_layers import O2Linear, by_order, joined

__all__ = [
    "GROUPS",
    "commuting",
    "costs",
    "edge_frames",
    "frame_axis",
    "map_of_product",
    "shell_axis",
    "so2_map",
    "so2_maps",
    "so2_weights",
]

_ABOUT_Z = Rotation.create_group("C8").as_matrix()
_MIRROR = np.diag([1.0, -1.0, 1.0])  # mirror plane contains z

GROUPS: dict[str, NDArray[np.float64]] = {
    "all turns": Rotation.create_group("I").as_matrix(),
    "about z, mirrors": np.concatenate([_ABOUT_Z, _ABOUT_Z @ _MIRROR]),
}
"""Finite groups whose averages are those of the continuous group for features up to l = 2.

The first invariant of the icosahedron beyond l = 0 has l = 6; 8 rotations average out all |m| below
8 except m = 0.
"""

_WARM_UP, _CALLS = 3, 15  # torch compiles e3nn's products during their first calls


def edge_frames(vectors: ArrayLike, lmax: int) -> NDArray[np.float64]:
    """(P, K, K) matrices that transform components l = 0..lmax to the frames of edges (P, 3).

    Rows are sorted by |m|: m = 0 of each l; then cosine 1 of each l, sine 1 of each l, and so on.

    >>> from workbench.course import edge_maps
    >>> F = edge_maps.edge_frames([[1.0, 2.0, 3.0]], lmax=2)[0]
    >>> bool(np.allclose(F @ F.T, np.eye(9)))
    True
    """
    directions = torch.from_numpy(np.array(vectors, dtype=float))
    return feature_frames(_harmonic(lmax), lmax)(EdgeFrames(lmax)(directions)).numpy()


def commuting(W: ArrayLike, group: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a map (9, 9) of s, p, d that commutes with a group: the mean of ``D^T W D``.

    Args:
        W: (9, 9).
        group: (n, 3, 3), one of `GROUPS`.

    >>> from workbench.course import edge_maps
    >>> W = np.random.default_rng(0).normal(size=(9, 9))
    >>> part = edge_maps.commuting(W, edge_maps.GROUPS["all turns"])
    >>> int((abs(part) > 1e-9).sum())  # a multiple of 1 for each l: Schur's lemma
    9
    """
    D = wigner_blocks([0, 1, 2], group)
    return (D.mT @ np.asarray(W) @ D).mean(axis=0)


def so2_maps(lmax: int) -> NDArray[np.float64]:
    """(n, K, K) one map per free parameter of ``O2Linear`` on one copy of l = 0..lmax.

    >>> from workbench.course import edge_maps
    >>> edge_maps.so2_maps(2).shape  # 3^2 + 2^2 + 1^2 parameters
    (14, 9, 9)
    """
    layout = _harmonic(lmax)
    orders = layout.orders(1)
    linear, unit = O2Linear(orders, orders).double(), torch.eye(layout.dim, dtype=torch.float64)
    maps = []
    with torch.no_grad():
        for weight in linear.weights:
            weight.zero_()
        for entry in (w.view(-1)[k : k + 1] for w in linear.weights for k in range(w.numel())):
            entry.fill_(1.0)
            maps.append(joined(linear(by_order(unit, orders))).numpy().T)
            entry.zero_()
    return np.array(maps)


def so2_weights(matrix: ArrayLike, vector: ArrayLike) -> NDArray[np.float64]:
    """(n,) weights of `so2_maps` that approximate a map (K, K) along an edge (3,) best.

    >>> from workbench.course import edge_maps
    >>> weights, edge = edge_maps.so2_weights(np.eye(9), [1, 2, 3]), [[1.0, 2.0, 3.0]]
    >>> bool(np.allclose(edge_maps.so2_map(weights, edge, lmax=2)[0], np.eye(9)))
    True
    """
    target = np.asarray(matrix, dtype=float)
    lmax = round(len(target) ** 0.5) - 1
    frame = edge_frames(np.asarray(vector, dtype=float)[None], lmax)[0]
    units = so2_maps(lmax).reshape(-1, target.size)
    return np.linalg.lstsq(units.T, (frame @ target @ frame.T).ravel(), rcond=None)[0]


def so2_map(weights: ArrayLike, vectors: ArrayLike, lmax: int) -> NDArray[np.float64]:
    """(P, K, K) the map with these weights along edges (P, 3), in the laboratory frame.

    >>> from workbench.course import edge_maps
    >>> W = edge_maps.so2_map(np.arange(14.0), [[0.0, 0.0, 1.0]], lmax=2)[0]
    >>> bool(np.allclose(edge_maps.so2_weights(W, [0, 0, 1]), np.arange(14.0)))
    True
    """
    frames = edge_frames(vectors, lmax)
    return frames.mT @ np.tensordot(np.asarray(weights), so2_maps(lmax), axes=1) @ frames


def map_of_product(product: o3.TensorProduct, vector: ArrayLike) -> NDArray[np.float64]:
    """(K, K) an e3nn product with the harmonics of an edge (3,), as a matrix on features.

    Args:
        product: features x harmonics -> features, made with ``compile_right=True``.
        vector: the edge, x, y, z.

    >>> from e3nn import o3
    >>> from workbench.course import edge_maps
    >>> s_and_p = o3.Irreps("0e + 1o")
    >>> full = o3.FullyConnectedTensorProduct(s_and_p, s_and_p, s_and_p, compile_right=True)
    >>> W = edge_maps.map_of_product(full, [0, 0, 1])  # s, p_y, p_z, p_x along an edge on z
    >>> bool(abs(W[[0, 2]][:, [1, 3]]).max() < 1e-6)  # m = 0 and |m| = 1 do not mix
    True
    """
    permuted = torch.as_tensor(np.asarray(vector, dtype=float)[list(E3NN_AXES)])
    like = next(product.parameters())
    harmonics = cast("o3.Irreps", product.irreps_in2)
    edge = o3.spherical_harmonics(harmonics, permuted.to(like), True)
    return cast("Any", product).right(edge).detach().numpy().T


def shell_axis(lmax: int) -> dict[str, object]:
    """Names and borders of components l = 0..lmax, m = -l..l, for a heat map.

    >>> from workbench.course import edge_maps
    >>> edge_maps.shell_axis(1)["borders"]  # s, and three components of p
    [0, 1, 4]
    """
    names = [orbital_name(l, m) or "s" for l in range(lmax + 1) for m in range(-l, l + 1)]
    borders = [l * l for l in range(lmax + 2)]
    return {"atoms": list(SHELL_LETTERS[: lmax + 1]), "borders": borders, "orbitals": names}


def frame_axis(lmax: int) -> dict[str, object]:
    """Names and borders of components sorted by |m|, for a heat map.

    >>> from workbench.course import edge_maps
    >>> edge_maps.frame_axis(1)["atoms"], edge_maps.frame_axis(1)["borders"]
    (['m = 0', 'cos 1', 'sin 1'], [0, 2, 3, 4])
    """
    counts = [lmax + 1, *(lmax + 1 - m for m in range(1, lmax + 1) for _ in range(2))]
    groups = ["m = 0", *(f"{kind} {m}" for m in range(1, lmax + 1) for kind in ("cos", "sin"))]
    names = [f"l = {l}" for n in counts for l in range(lmax + 1 - n, lmax + 1)]
    return {"atoms": groups, "borders": [0, *np.cumsum(counts).tolist()], "orbitals": names}


def costs(lmax: int, channels: int, pairs: int) -> tuple[float, float]:
    """CPU milliseconds of a linear map on all edges: full tensor product, and edge frames.

    Both mix all channels and start from the edge vectors: the first computes their harmonics, the
    second computes their frames and transforms the features to them and back. One thread.

    Args:
        lmax: highest l of the features and of the harmonics.
        channels: number of copies of each l.
        pairs: number of edges.

    >>> from workbench.course import edge_maps
    >>> full, framed = edge_maps.costs(lmax=1, channels=2, pairs=10)  # ms
    >>> full > 0 and framed > 0
    True
    """
    features = o3.Irreps([(channels, (l, (-1) ** l)) for l in range(lmax + 1)])
    harmonics = o3.Irreps.spherical_harmonics(lmax)
    product = o3.FullyConnectedTensorProduct(features, harmonics, features)
    layout = _harmonic(lmax)
    orders = layout.orders(channels)
    make, transform = EdgeFrames(lmax), feature_frames(layout, lmax)
    linear = O2Linear(orders, orders)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(pairs, 3, dtype=torch.float64, generator=generator)
    x = torch.randn(pairs, layout.dim, channels, generator=generator)
    flat = layout.to_irreps(x)

    def full() -> Tensor:
        edges = vectors[:, list(E3NN_AXES)].to(x)
        return product(flat, o3.spherical_harmonics(harmonics, edges, True, "component"))

    def framed() -> Tensor:
        frames = transform(make(vectors).to(x))
        mixed = joined(linear(by_order(torch.bmm(frames, x).flatten(1), orders)))
        return torch.bmm(frames.mT, mixed.view_as(x))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _milliseconds(full), _milliseconds(framed)
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def _milliseconds(call: Callable[[], Tensor]) -> float:
    """CPU time of the fastest call, since disturbances can only make a call slower."""
    durations = []
    for _ in range(_WARM_UP + _CALLS):
        start = time.process_time()
        call()
        durations.append(time.process_time() - start)
    return 1000 * min(durations[_WARM_UP:])


def _harmonic(lmax: int) -> Layout:
    return Layout(tuple(Degree(l, False) for l in range(lmax + 1)))
