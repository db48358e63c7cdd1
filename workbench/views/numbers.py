"""Numbers as text, with a fixed number of digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.rotations import axis_angle


def milli(value: float) -> str:
    """A number, usually of meV, as text: 12.3, 0.187, 0.042; a tiny one as 3e−7."""
    if value >= 999.5:  # three digits would be written as 1.00e+03
        return f"{value:,.0f}".replace(",", "\u202f")
    if value >= 0.001:
        return f"{value:#.{3 if value >= 0.1 else 2}g}".rstrip(".")
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−") if value else "0"


def milli_signed(value: float) -> str:
    """A difference, usually of meV, with its sign, e.g. "+12.3"."""
    sign = "" if value == 0 else "+" if value > 0 else "−"
    return sign + milli(abs(value))


def seconds(value: float) -> str:
    """A duration, e.g. "3 s" or "2 min"."""
    return f"{max(value, 1):.0f} s" if value < 90 else f"{value / 60:.0f} min"


def orientation(R: NDArray[np.float64]) -> str:
    """A rotation in words, e.g. "40.0° about (0.71, 0.71, 0.00)"."""
    axis, degrees = axis_angle(R)
    if degrees < 0.05:
        return "not rotated"
    numbers = ", ".join(f"{c + 0.0:.2f}".replace("-0.00", "0.00") for c in axis)
    return f"{degrees:.1f}° about ({numbers})".replace("-", "−")
