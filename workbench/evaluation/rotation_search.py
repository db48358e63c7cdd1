"""Axes spread over the sphere, and the search for the rotation with the largest error."""

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

Phase = Literal["random", "refining", "inverted"]

_FIRST_STEP, _LAST_STEP = 20.0, 0.5  # degrees, of the local search


@dataclass(frozen=True, eq=False)
class SearchStep:
    """One evaluation of a search.

    Attributes:
        evaluations: number of evaluations so far, including this one.
        phase: "random", "refining", or "inverted" for the last evaluation.
        R: (3, 3), the operation just tried.
        error: at this operation, meV.
        worst_R: (3, 3), the operation with the largest error so far.
        worst: that error, meV.
        drawn: the largest error of the random operations so far, meV.
        inverted: the error at -worst_R, the worst operation and an inversion, meV; None before the
            last evaluation.
    """

    evaluations: int
    phase: Phase
    R: NDArray[np.float64]
    error: float
    worst_R: NDArray[np.float64]
    worst: float
    drawn: float
    inverted: float | None = None


@cache
def axes(count: int) -> NDArray[np.float64]:
    """Unit vectors spread over the sphere; the first ones of the list are spread as well.

    The list begins with the directions of a cube (`CUBE`), since integration grids and many models
    in a global frame are symmetric about them. The points of a Fibonacci lattice follow: equal
    steps in z, each point rotated by the golden angle from the previous one (Swinbank and Purser,
    Q. J. R. Meteorol. Soc. 132, 1769, 2006). They are ordered so that each point is the farthest
    from all before it.

    Args:
        count: at least 6; up to 26, directions of the cube only.

    Returns:
        (count, 3), read-only.

    Raises:
        ValueError: if ``count`` is below 6.

    >>> from workbench.evaluation.rotation_search import axes
    >>> axes(50).shape
    (50, 3)
    >>> bool(np.allclose(np.linalg.norm(axes(50), axis=1), 1))
    True
    """
    if count < 6:
        raise ValueError(f"{count} axes do not cover a sphere: take 6 or more.")
    corners = np.array([v for v in product((0, 1, -1), repeat=3) if any(v)], dtype=float)
    cube = corners[np.argsort([_cube_rank(v) for v in corners], kind="stable")]
    cube /= np.linalg.norm(cube, axis=1, keepdims=True)
    if count <= CUBE:
        directions = cube[:count]
    else:
        directions = np.concatenate([cube, _between(cube, count)])
        directions = directions[_farthest_first(directions, CUBE)[:count]]
    directions.setflags(write=False)
    return directions


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

    First come random operations. From the worst of them a compass search follows (Kolda, Lewis,
    Torczon, SIAM Rev. 45, 385, 2003): steps of 20 degrees about six axes, halved whenever none of
    them raises the error, until they are below half a degree. The result is a local maximum and at
    least as large as the worst random error. The last evaluation is that of the worst operation
    with an inversion. To stop early, leave the loop: each step holds the result so far.

    Args:
        errors: of the structure; only the named predictor is evaluated.
        name: of the predictor.
        samples: number of random operations, from the Haar measure.
        seed: of the random operations.
        starts: number of random operations, the worst ones, from which the search starts.
        measure: the error to be maximised, "mean" or "largest" over the matrix elements.
        improper: search among rotations followed by an inversion.

    Yields:
        One step per evaluation.

    Raises:
        ValueError: for an unknown predictor, or if ``samples`` is below one or ``starts`` below 0.

    >>> from workbench.evaluation.rotation_errors import RotationErrors
    >>> from workbench.evaluation.rotation_search import worst_rotation
    >>> errors = RotationErrors(wb.load("water"), wb.load_model("water"))
    >>> *_, last = worst_rotation(errors, "refined", samples=4, starts=0)
    >>> last.evaluations, last.worst == last.drawn
    (5, True)
    >>> last.inverted is not None
    True
    >>> bool(np.allclose(last.worst_R @ last.worst_R.T, np.eye(3)))
    True
    """
    if name not in errors.names:
        raise ValueError(f"There is no predictor {name!r}: choose {', '.join(errors.names)}.")
    if samples < 1 or starts < 0:
        raise ValueError("A search needs at least one random operation, and starts >= 0.")
    step = SearchStep(0, "random", np.eye(3), 0.0, np.eye(3), -1.0, 0.0)

    def evaluate(R: NDArray[np.float64], phase: Phase) -> SearchStep:
        error = in_mev(errors.under([R], [name])[0][name], measure)
        new = replace(step, evaluations=step.evaluations + 1, phase=phase, R=R, error=error)
        if phase == "inverted":
            return replace(new, inverted=error)
        if error > step.worst:
            new = replace(new, worst_R=R, worst=error)
        return replace(new, drawn=new.worst) if phase == "random" else new

    random_results = []
    for R in random_rotations(samples, seed, "all" if improper else "none"):
        step = evaluate(R, "random")
        random_results.append((step.error, R))
        yield step
    worst = sorted(random_results, key=lambda pair: -pair[0])[:starts]
    for error, R in worst:
        for step in _uphill(R, error, lambda R: evaluate(R, "refining")):
            yield step
    yield evaluate(-step.worst_R, "inverted")


def _uphill(
    R: NDArray[np.float64], error: float, evaluate: Callable[[NDArray[np.float64]], SearchStep]
) -> Iterator[SearchStep]:
    """The evaluations of a compass search that starts from R with this error."""
    size = _FIRST_STEP
    while size > _LAST_STEP:
        higher = False
        for direction in np.vstack([np.eye(3), -np.eye(3)]):
            step = evaluate(Rotation.from_rotvec(np.deg2rad(size) * direction).as_matrix() @ R)
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
    """Points of the sparsest lattice with enough points clear of the cube's directions."""
    clear = np.cos(0.55 * np.sqrt(4 * np.pi / count))  # about half of the mean spacing
    for size in range(count - CUBE, 2 * count):
        points = _fibonacci(size)
        points = points[(points @ cube.T).max(axis=1) < clear]
        if len(points) >= count - CUBE:
            return points
    raise AssertionError("a lattice of twice the points always leaves enough")


def _farthest_first(points: NDArray[np.float64], kept: int) -> list[int]:
    """An order of points: the kept ones first, then each time the farthest from those taken."""
    order = list(range(kept))
    nearest = (points @ points[:kept].T).max(axis=1)  # cosine to the nearest point taken
    nearest[:kept] = np.inf
    for _ in range(len(points) - kept):
        k = int(nearest.argmin())
        order.append(k)
        nearest = np.maximum(nearest, points @ points[k])
        nearest[k] = np.inf
    return order
