"""Choose the part of matrices with spin that is shown: a real part, or modulus and phase."""

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

_ROUNDING = 1e-6  # smallest limit relative to the largest: full colours would show noise

_TOOLTIPS = {
    "scalar": "The part without spin-orbit coupling and magnetisation",
    "spin-orbit": "Spin-orbit coupling along one axis; the three parts rotate as an axial vector",
    "imaginary": "Odd under time reversal: only in magnetic systems",
    "magnetic": "Magnetisation along one axis; odd under time reversal",
    COMPLEX: "The whole matrix, spin up first: colour by phase, white at zero",
}


def family_of(part: str) -> str:
    """The family of parts that share their colour limits with this part."""
    return PARTS[part].family if part in PARTS else part


def limits_of(
    matrices: Sequence[BlockMatrix], names: Sequence[str], factor: float = 1.0
) -> dict[str, float]:
    """Round colour limits by family of parts, above the largest elements of all matrices.

    Args:
        matrices: with or without spin; without matrices the limits are 1.
        names: names of the parts, without the whole matrix.
        factor: factor of the elements, e.g. 1000 from eV to meV.
    """
    limits: dict[str, float] = {}
    for part in [*names, COMPLEX]:
        largest = max((shown(m, part).max_abs() for m in matrices), default=0.0)
        family = family_of(part)
        limits[family] = max(round_limit(factor * largest), limits.get(family, 0.0))
    least = round_limit(_ROUNDING * max(limits.values()))
    return {family: max(limit, least) for family, limit in limits.items()}


class SpinChoice:
    """Buttons for the parts of matrices with spin, and a description of the chosen part.

    Args:
        matrices: all matrices to show; without spin the buttons are hidden.

    Attributes:
        names: names of the parts, without `COMPLEX`.
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
        """The chosen part, a key of `views.spin_panels.PARTS`, or `COMPLEX` (no spin: always)."""
        return str(self.buttons.value)

    @property
    def block_parts(self) -> list[str]:
        """The parts that a single block shows: the chosen part and those of the same symmetry."""
        if self.part == COMPLEX:
            return [COMPLEX]
        odd = self.names.index(self.part) >= EVEN
        return self.names[EVEN:] if odd else self.names[:EVEN]

    def describe(self, name: str, matrix: BlockMatrix) -> None:
        """Describe the chosen part of a matrix, eV, as the text equivalent of the colours."""
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
    """An energy given in eV as text, in meV below 0.1 eV."""
    return f"{number(value)} eV" if abs(value) >= 0.1 else f"{number(MEV * value)} meV"
