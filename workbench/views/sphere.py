"""The grid over the sphere on which functions of direction are drawn, still or turning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMNS", "ROWS", "directions"]

ROWS, COLUMNS = 37, 60
"""Circles of latitude from pole to pole, and points on each: five and six degrees apart."""


def directions() -> NDArray[np.float64]:
    """Unit vectors (ROWS * COLUMNS, 3), rows from +z to -z, columns from +x towards +y."""
    theta = np.linspace(0, np.pi, ROWS)[:, None]
    phi = 2 * np.pi * np.arange(COLUMNS) / COLUMNS
    z = np.broadcast_to(np.cos(theta), (ROWS, COLUMNS))
    grid = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), z], axis=-1)
    return grid.reshape(-1, 3)
