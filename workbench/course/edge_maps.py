"""Linear maps along one edge: what SO(2) frames allow, and what a full tensor product costs.

Every map that commutes with turns about an edge and with mirrors through it mixes, in the frame of
the edge, components of equal |m| only (`workbench.models.edge_frames`). A tensor product with the
harmonics of the edge is such a map, written in the frame of the laboratory.
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
_MIRROR = np.diag([1.0, -1.0, 1.0])  # its plane holds z

GROUPS: dict[str, NDArray[np.float64]] = {
    "all turns": Rotation.create_group("I").as_matrix(),
    "about z, mirrors": np.concatenate([_ABOUT_Z, _ABOUT_Z @ _MIRROR]),
}
"""Finite groups whose means are those of the whole group for features up to l = 2.

The icosahedron's first invariant beyond l = 0 has l = 6; 8 turns average all |m| below 8 away.
"""

_WARM_UP, _CALLS = 3, 15  # torch compiles e3nn's products during their first calls


def edge_frames(vectors: ArrayLike, lmax: int) -> NDArray[np.float64]:
    """(P, K, K) matrices that take components l = 0..lmax to the frames of edges (P, 3).

    Rows are sorted by |m|: m = 0 of each l; then of each l cosine 1, then sine 1; then 2 and so on.
    """
    along = torch.from_numpy(np.array(vectors, dtype=float))
    return feature_frames(_harmonic(lmax), lmax)(EdgeFrames(lmax)(along)).numpy()


def commuting(W: ArrayLike, group: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a map (9, 9) of s, p, d that commutes with a group: the mean of ``D^T W D``.

    Args:
        W: (9, 9).
        group: (n, 3, 3), of `GROUPS`.
    """
    D = wigner_blocks([0, 1, 2], group)
    return (D.mT @ np.asarray(W) @ D).mean(axis=0)


def so2_maps(lmax: int) -> NDArray[np.float64]:
    """(n, K, K) one map for each free number of ``O2Linear`` on one copy of l = 0..lmax."""
    layout = _harmonic(lmax)
    orders = layout.orders(1)
    linear, unit = O2Linear(orders, orders).double(), torch.eye(layout.dim, dtype=torch.float64)
    found = []
    with torch.no_grad():
        for weight in linear.weights:
            weight.zero_()
        for entry in (w.view(-1)[k : k + 1] for w in linear.weights for k in range(w.numel())):
            entry.fill_(1.0)
            found.append(joined(linear(by_order(unit, orders))).numpy().T)
            entry.zero_()
    return np.array(found)


def so2_weights(matrix: ArrayLike, vector: ArrayLike) -> NDArray[np.float64]:
    """(n,) weights of `so2_maps` that come nearest to a map (K, K) along an edge (3,)."""
    given = np.asarray(matrix, dtype=float)
    lmax = round(len(given) ** 0.5) - 1
    frame = edge_frames(np.asarray(vector, dtype=float)[None], lmax)[0]
    units = so2_maps(lmax).reshape(-1, given.size)
    return np.linalg.lstsq(units.T, (frame @ given @ frame.T).ravel(), rcond=None)[0]


def so2_map(weights: ArrayLike, vectors: ArrayLike, lmax: int) -> NDArray[np.float64]:
    """(P, K, K) the map of these weights along edges (P, 3), in the laboratory's frame."""
    frames = edge_frames(vectors, lmax)
    return frames.mT @ np.tensordot(np.asarray(weights), so2_maps(lmax), axes=1) @ frames


def map_of_product(product: o3.TensorProduct, vector: ArrayLike) -> NDArray[np.float64]:
    """(K, K) an e3nn product with the harmonics of an edge (3,), as a matrix upon features.

    Args:
        product: features x harmonics -> features, made with ``compile_right=True``.
        vector: the edge, x, y, z.
    """
    permuted = torch.as_tensor(np.asarray(vector, dtype=float)[list(E3NN_AXES)])
    like = next(product.parameters())
    harmonics = cast("o3.Irreps", product.irreps_in2)
    edge = o3.spherical_harmonics(harmonics, permuted.to(like), True)
    return cast("Any", product).right(edge).detach().numpy().T


def shell_axis(lmax: int) -> dict[str, object]:
    """Names and borders of components l = 0..lmax, m = -l..l, for a heat map."""
    names = [orbital_name(l, m) or "s" for l in range(lmax + 1) for m in range(-l, l + 1)]
    borders = [l * l for l in range(lmax + 2)]
    return {"atoms": list(SHELL_LETTERS[: lmax + 1]), "borders": borders, "orbitals": names}


def frame_axis(lmax: int) -> dict[str, object]:
    """Names and borders of components sorted by |m|, for a heat map."""
    counts = [lmax + 1, *(lmax + 1 - m for m in range(1, lmax + 1) for _ in range(2))]
    parts = ["m = 0", *(f"{kind} {m}" for m in range(1, lmax + 1) for kind in ("cos", "sin"))]
    names = [f"l = {l}" for n in counts for l in range(lmax + 1 - n, lmax + 1)]
    return {"atoms": parts, "borders": [0, *np.cumsum(counts).tolist()], "orbitals": names}


def costs(lmax: int, channels: int, pairs: int) -> tuple[float, float]:
    """CPU-milliseconds of one linear map on all edges: as full tensor product, and in edge frames.

    Both mix all channels with all, and both begin at the edges' vectors: one makes their harmonics,
    the other their frames, turns the features into them and back. One thread.

    Args:
        lmax: highest l of features; harmonics go up to it as well.
        channels: copies of each l.
        pairs: edges.
    """
    features = o3.Irreps([(channels, (l, (-1) ** l)) for l in range(lmax + 1)])
    harmonics = o3.Irreps.spherical_harmonics(lmax)
    product = o3.FullyConnectedTensorProduct(features, harmonics, features)
    layout = _harmonic(lmax)
    orders = layout.orders(channels)
    make, turn, linear = EdgeFrames(lmax), feature_frames(layout, lmax), O2Linear(orders, orders)
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(pairs, 3, dtype=torch.float64, generator=draw)
    x = torch.randn(pairs, layout.dim, channels, generator=draw)
    flat = layout.to_irreps(x)

    def full() -> Tensor:
        edges = vectors[:, list(E3NN_AXES)].to(x)
        return product(flat, o3.spherical_harmonics(harmonics, edges, True, "component"))

    def framed() -> Tensor:
        frames = turn(make(vectors).to(x))
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
    """The fastest of some calls: what disturbs them only ever makes them slower."""
    found = []
    for _ in range(_WARM_UP + _CALLS):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return 1000 * min(found[_WARM_UP:])


def _harmonic(lmax: int) -> Layout:
    return Layout(tuple(Degree(l, False) for l in range(lmax + 1)))
