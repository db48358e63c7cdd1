"""The grid on the sphere for pictures of functions of direction, static or live."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMNS", "ROWS", "directions"]

ROWS, COLUMNS = 37, 60
"""Number of circles of latitude, and of points on each: spacings of 5 and 6 degrees."""


def directions() -> NDArray[np.float64]:
    """Unit vectors (ROWS * COLUMNS, 3), rows from +z to -z, columns from +x towards +y."""
    theta = np.linspace(0, np.pi, ROWS)[:, None]
    phi = 2 * np.pi * np.arange(COLUMNS) / COLUMNS
    z = np.broadcast_to(np.cos(theta), (ROWS, COLUMNS))
    grid = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), z], axis=-1)
    return grid.reshape(-1, 3)
