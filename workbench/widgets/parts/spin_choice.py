"""Choosing what is shown of matrices with spin: one real part of them, or modulus and phase."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import ipywidgets as widgets
import numpy as np

from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.spin_parts import EVEN
from workbench.views.spin_panels import COMPLEX, PARTS, parts_of, shown
from workbench.views.style import number, round_limit

_ROUNDING = 1e-6  # of the largest element: what is smaller is noise, which full colours would hide

_TOOLTIPS = {
    "scalar": "What is left without spin-orbit coupling and magnetisation",
    "spin-orbit": "Spin-orbit coupling along one axis; the three turn as an axial vector",
    "imaginary": "Odd under time reversal: only of magnetic systems",
    "magnetic": "Magnetisation along one axis; odd under time reversal",
    COMPLEX: "The whole matrix, spin up first: colour by phase, white at zero",
}


def family_of(part: str) -> str:
    """Those parts that share their colours with this one."""
    return PARTS[part].family if part in PARTS else part


def limits_of(
    matrices: Sequence[BlockMatrix], names: Sequence[str], factor: float = 1.0
) -> dict[str, float]:
    """Round colour limits by family of parts, which hold the largest elements of all matrices.

    Args:
        matrices: with or without spin; none give limits of 1.
        names: of the parts, besides the whole matrix.
        factor: the elements are multiplied by it, e.g. 1000 from eV to meV.
    """
    limits: dict[str, float] = {}
    for part in [*names, COMPLEX]:
        largest = max((shown(m, part).max_abs() for m in matrices), default=0.0)
        family = family_of(part)
        limits[family] = max(round_limit(factor * largest), limits.get(family, 0.0))
    least = round_limit(_ROUNDING * max(limits.values()))
    return {family: max(limit, least) for family, limit in limits.items()}


class SpinChoice:
    """Buttons for the parts of matrices with spin, and in words what the chosen one holds.

    Args:
        matrices: all that will be shown; without spin there is nothing to choose.

    Attributes:
        names: the parts to choose from, without `COMPLEX`.
        box: the widget to show.
    """

    def __init__(self, matrices: Sequence[BlockMatrix]):
        self.names = parts_of(matrices)
        options = [(PARTS[name].factor, name) for name in self.names]
        self.buttons = widgets.ToggleButtons(
            options=[*options, ("modulus, phase", COMPLEX)],
            tooltips=[_TOOLTIPS[family_of(name)] for name in [*self.names, COMPLEX]],
            style={"button_width": "auto"},
        )
        self.text = widgets.HTML()
        label = widgets.Label("part of H = X₀ 1 + Σ Aₐ iσₐ")
        self.box = widgets.Box([label, self.buttons, self.text])
        self.box.add_class("wb-spin")
        if not self.names:
            self.box.layout.display = "none"

    @property
    def part(self) -> str:
        """What is shown: a key of `views.parts.PARTS`, or `COMPLEX`, always without spin."""
        return str(self.buttons.value)

    @property
    def block_parts(self) -> list[str]:
        """What a single block shows at once: the chosen part and those of the same symmetry."""
        if self.part == COMPLEX:
            return [COMPLEX]
        odd = self.names.index(self.part) >= EVEN
        return self.names[EVEN:] if odd else self.names[:EVEN]

    def describe(self, name: str, matrix: BlockMatrix) -> None:
        """Say in words what the chosen part of a matrix in eV holds, where the eye sees colours."""
        dense = shown(matrix, self.part).at_gamma()
        labels = shown(matrix, self.part).orbital_labels()
        row, column = np.unravel_index(np.abs(dense).argmax(), dense.shape)
        value = dense[row, column]
        phase = f" ∠ {number(float(np.angle(value, deg=True)))}°"
        signed = abs(value) if self.part == COMPLEX else float(np.real(value))
        largest = _energy(signed) + (phase if self.part == COMPLEX else "")
        title = "modulus and phase" if self.part == COMPLEX else PARTS[self.part].title
        sentence = (
            f"{title}, of the {name}: largest element {largest} between {labels[row]} and "
            f"{labels[column]}, mean modulus {_energy(float(np.abs(dense).mean()))}."
        )
        self.text.value = f'<p class="wb-note" aria-live="polite">{escape(sentence)}</p>'


def _energy(value: float) -> str:
    """A number of eV, small ones in meV."""
    return f"{number(value)} eV" if abs(value) >= 0.1 else f"{number(MEV * value)} meV"
