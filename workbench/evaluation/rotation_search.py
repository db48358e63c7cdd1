"""Which axes to try, and where a predictor breaks the law of turning most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from workbench.evaluation.rotation_errors import Measure, RotationErrors, in_mev
from workbench.hamiltonians.rotations import random_rotations

__all__ = ["CUBE", "SearchStep", "axes", "worst_rotation"]

CUBE = 26
"""Directions through the faces (6), corners (8) and edges (12) of a cube; the first of `axes`."""

_FIRST_STEP, _LAST_STEP = 20.0, 0.5  # degrees, of the local search


@dataclass(frozen=True, eq=False)
class SearchStep:
    """One evaluation of a search.

    Attributes:
        evaluations: how many there were, this one included.
        phase: "random" or "refining".
        R: (3, 3), the operation just tried.
        error: its error, meV.
        worst_R: (3, 3), the operation with the largest error so far.
        worst: that error, meV.
        drawn: the largest error of the random operations so far, meV.
    """

    evaluations: int
    phase: Literal["random", "refining"]
    R: NDArray[np.float64]
    error: float
    worst_R: NDArray[np.float64]
    worst: float
    drawn: float


@cache
def axes(count: int) -> NDArray[np.float64]:
    """Unit vectors (count, 3) spread over the sphere, in an order of which every part is spread.

    First come the directions of a cube (`CUBE`), since integration grids and many models of a
    global frame are symmetric about these; then a Fibonacci lattice, whose points stand at equal
    steps of z, each turned by the golden angle from the last (Swinbank and Purser, Q. J. R.
    Meteorol. Soc. 132, 1769, 2006), each time the one farthest from all before.

    Args:
        count: at least 6; fewer than 26 are the first of the cube's.

    Raises:
        ValueError: for less than 6.
    """
    if count < 6:
        raise ValueError(f"{count} axes say little of a sphere: take 6 or more.")
    corners = np.array([v for v in product((0, 1, -1), repeat=3) if any(v)], dtype=float)
    cube = corners[np.argsort([_cube_rank(v) for v in corners], kind="stable")]
    cube /= np.linalg.norm(cube, axis=1, keepdims=True)
    if count <= CUBE:
        found = cube[:count]
    else:
        found = np.concatenate([cube, _between(cube, count)])
        found = found[_farthest_first(found, CUBE)[:count]]
    found.setflags(write=False)
    return found


def worst_rotation(
    errors: RotationErrors,
    name: str,
    *,
    samples: int = 30,
    seed: int = 0,
    starts: int = 2,
    measure: Measure = "mean",
    improper: bool = False,
) -> Iterator[SearchStep]:
    """Search SO(3), or its improper half, for the operation with the largest error.

    Random operations first; from the worst of them then steps about six axes, of 20 degrees,
    halved whenever none leads uphill and at an end below half a degree (a compass search: Kolda,
    Lewis, Torczon, SIAM Rev. 45, 385, 2003). What is found is therefore never below the worst
    random one, and is a local maximum. To stop early, leave the loop: the last step holds all.

    Args:
        errors: of the structure; only the predictor searched for is evaluated.
        name: of the predictor.
        samples: random operations, from the Haar measure.
        seed: of their draw.
        starts: how many of the worst of them are refined.
        measure: what is made large.
        improper: search among the operations with an inversion.

    Raises:
        ValueError: for an unknown predictor, or fewer samples than one.
    """
    if name not in errors.names:
        raise ValueError(f"There is no predictor {name!r}: there is {', '.join(errors.names)}.")
    if samples < 1 or starts < 0:
        raise ValueError("A search draws at least one operation, and refines none or more.")
    step = SearchStep(0, "random", np.eye(3), 0.0, np.eye(3), -1.0, 0.0)

    def tried(R: NDArray[np.float64], phase: Literal["random", "refining"]) -> SearchStep:
        error = in_mev(errors.under([R], [name])[0][name], measure)
        new = replace(step, evaluations=step.evaluations + 1, phase=phase, R=R, error=error)
        if error > step.worst:
            new = replace(new, worst_R=R, worst=error)
        return replace(new, drawn=new.worst) if phase == "random" else new

    found = []
    for R in random_rotations(samples, seed, "all" if improper else "none"):
        step = tried(R, "random")
        found.append((step.error, R))
        yield step
    best = sorted(found, key=lambda pair: -pair[0])[:starts]
    for error, R in best:
        for step in _uphill(R, error, lambda R: tried(R, "refining")):
            yield step


def _uphill(
    R: NDArray[np.float64], error: float, tried: Callable[[NDArray[np.float64]], SearchStep]
) -> Iterator[SearchStep]:
    """Every evaluation of a compass search from R, whose error is known."""
    size = _FIRST_STEP
    while size > _LAST_STEP:
        higher = False
        for direction in np.vstack([np.eye(3), -np.eye(3)]):
            step = tried(Rotation.from_rotvec(np.deg2rad(size) * direction).as_matrix() @ R)
            yield step
            if step.error > error:
                R, error, higher = step.R, step.error, True
                break
        if not higher:
            size /= 2


def _cube_rank(v: NDArray[np.float64]) -> int:
    """Faces first, then corners, then edges."""
    return {1: 0, 3: 1, 2: 2}[int(np.abs(v).sum())]


def _fibonacci(count: int) -> NDArray[np.float64]:
    k = np.arange(count)
    z = 1 - (2 * k + 1) / count
    phi = k * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(phi), across * np.sin(phi), z], axis=1)


def _between(cube: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Points of the sparsest lattice that leaves enough of them clear of the cube's directions."""
    clear = np.cos(0.55 * np.sqrt(4 * np.pi / count))  # about half of the mean spacing
    for size in range(count - CUBE, 2 * count):
        points = _fibonacci(size)
        points = points[(points @ cube.T).max(axis=1) < clear]
        if len(points) >= count - CUBE:
            return points
    raise AssertionError("a lattice of twice the points always leaves enough")


def _farthest_first(points: NDArray[np.float64], kept: int) -> list[int]:
    """An order of points: the first ones as they are, then always the one farthest from these."""
    order = list(range(kept))
    nearest = (points @ points[:kept].T).max(axis=1)  # cosine to the nearest one taken
    nearest[:kept] = np.inf
    for _ in range(len(points) - kept):
        k = int(nearest.argmin())
        order.append(k)
        nearest = np.maximum(nearest, points @ points[k])
        nearest[k] = np.inf
    return order
