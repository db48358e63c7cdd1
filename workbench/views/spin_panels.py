"""The real parts of a matrix with spin, and colours for modulus and phase.

A block with spin is ``X_0 1 + sum_a A_a (i sigma_a)`` plus, only in magnetic systems, four parts
that are odd under time reversal (`workbench.hamiltonians.spin_parts`). Each part is a real matrix
between the orbitals without spin, so any picture of a matrix without spin can show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.spin_parts import EVEN, odd_part, to_parts
from workbench.views.style import log_strength

COMPLEX = "complex"
"""Name of the whole complex matrix, shown as modulus and phase."""

_ODD_FROM = 1e-7  # relative to the largest element; smaller odd parts are rounding errors


@dataclass(frozen=True)
class Part:
    """One of the real parts of a spinor matrix.

    Attributes:
        index: index in `workbench.hamiltonians.spin_parts.FACTORS`.
        factor: the factor of the part, as text.
        family: parts of similar size, which share their colour scale.
    """

    index: int
    factor: str
    family: str

    @property
    def title(self) -> str:
        """Family and factor, for captions."""
        return f"{self.family} part · {self.factor}"


PARTS = {
    "scalar": Part(0, "1", "scalar"),
    "x": Part(3, "iσx", "spin-orbit"),
    "y": Part(1, "iσy", "spin-orbit"),
    "z": Part(2, "iσz", "spin-orbit"),
    "imaginary": Part(4, "i", "imaginary"),
    "magnetic x": Part(7, "σx", "magnetic"),
    "magnetic y": Part(5, "σy", "magnetic"),
    "magnetic z": Part(6, "σz", "magnetic"),
}
"""Name -> part; the first four are even under time reversal."""


def parts_of(matrices: BlockMatrix | Iterable[BlockMatrix]) -> list[str]:
    """Names of the parts: four, or all eight if a part is odd under time reversal.

    The list is empty for matrices without spin.
    """
    every = [matrices] if isinstance(matrices, BlockMatrix) else list(matrices)
    spinors = [m for m in every if m.basis.spinor]
    odd = any(odd_part(m.values) > _ODD_FROM * max(m.max_abs(), 1e-12) for m in spinors)
    names = list(PARTS) if spinors else []
    return names if odd else names[:EVEN]


def shown(matrix: BlockMatrix, part: str) -> BlockMatrix:
    """A part of a spinor matrix as a real matrix; matrices without spin are returned unchanged.

    Args:
        matrix: with or without spin.
        part: a key of `PARTS`, or `COMPLEX` for the whole matrix.

    Raises:
        ValueError: for an unknown part.
    """
    if part == COMPLEX or not matrix.basis.spinor:
        return matrix
    if part not in PARTS:
        raise ValueError(
            f"A matrix with spin has no part '{part}': choose {', '.join(PARTS)} or {COMPLEX}."
        )
    index = PARTS[part].index
    values = np.ascontiguousarray(to_parts(matrix.values, index + 1)[..., index, :, :])
    return replace(matrix, basis=replace(matrix.basis, spinor=False), values=values)


def spin_parts(matrix: BlockMatrix) -> dict[str, BlockMatrix]:
    """The real parts of a spinor matrix by title, in the unit of the matrix.

    Raises:
        ValueError: for a matrix without spin.

    >>> from workbench import views
    >>> H = wb.Dataset("bs-mini")[0].H  # spinors of a crystal
    >>> list(views.spin_parts(H))
    ['scalar part · 1', 'spin-orbit part · iσx', 'spin-orbit part · iσy', 'spin-orbit part · iσz']
    """
    if not matrix.basis.spinor:
        raise ValueError("This matrix has no spin, so it has no spin parts: use the matrix itself.")
    return {PARTS[name].title: shown(matrix, name) for name in parts_of(matrix)}


# Phase 0 is the red and 180 degrees the blue of the diverging map, so that real numbers have the
# same colours in both. The imaginary axis goes from light (+i) to dark (-i), so that colour-blind
# readers can distinguish the phases by lightness.
_CYCLE = (
    *("#b2182b", "#d9681d", "#e8b92e", "#5aa46a", "#2166ac", "#2a3f8f", "#351257", "#7a1650"),
    "#b2182b",
)
CYCLIC = [[k / (len(_CYCLE) - 1), colour] for k, colour in enumerate(_CYCLE)]
"""Colours of phases from 0 to 360 degrees, at full modulus."""


def phase_colours(values: ArrayLike, limit: float, scale: str) -> NDArray[np.uint8]:
    """Colours (..., 3) of complex numbers: hue by phase, white at zero, saturated at the limit.

    Args:
        values: (...), complex.
        limit: modulus at which colours are saturated.
        scale: "linear", or "log", which is linear below a thousandth of the limit.
    """
    v = np.asarray(values)
    ratio = np.minimum(np.abs(v) / limit, 1)
    strength = log_strength(ratio, 1.0) if scale == "log" else ratio
    place = np.mod(np.angle(v, deg=True), 360) / 360 * (len(_CYCLE) - 1)
    anchors = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in _CYCLE])
    stops = np.arange(len(_CYCLE))
    hue = np.stack([np.interp(place, stops, anchors[:, c]) for c in range(3)], axis=-1)
    return np.rint(255 + strength[..., None] * (hue - 255)).astype(np.uint8)
