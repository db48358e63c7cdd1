"""The numbers that HarmonicsLab shows at one orientation, computed without a widget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from workbench.hamiltonians.conventions import SHELL_LETTERS, orbital_name
from workbench.hamiltonians.rotations import rotation
from workbench.hamiltonians.wigner import Rule, group_error, harmonics, harmonics_error
from workbench.views.sphere import directions
from workbench.views.style import number

MIX = "a mix"

_ANOTHER = rotation((3, -1, 2), 70)  # second rotation of the group law
_ROUNDING = 1e-12
_BARS = {True: "#92c5de", False: "#f4a582"}  # colour by "is negative", as in Heat


@dataclass(frozen=True)
class Shells:
    """The shells of a function, e.g. "spd".

    Raises:
        ValueError: if a letter is not a shell, or there is none.
    """

    letters: str

    def __post_init__(self) -> None:
        if not self.letters or not set(self.letters) <= set(SHELL_LETTERS):
            raise ValueError(f"Name shells by their letters, e.g. 'spd'; got {self.letters!r}.")

    @property
    def ls(self) -> list[int]:
        """The l of each shell."""
        return [SHELL_LETTERS.index(letter) for letter in self.letters]

    @property
    def borders(self) -> list[int]:
        """Index of the first component of each shell, and the number of components."""
        return [0, *np.cumsum([2 * l + 1 for l in self.ls]).tolist()]

    @property
    def orbitals(self) -> list[str]:
        """Names of the components, e.g. "xy"; the s orbital is named by its letter."""
        names = [orbital_name(l, m) for l in self.ls for m in range(-l, l + 1)]
        return [name or "s" for name in names]

    @property
    def axis(self) -> dict[str, Any]:
        """Names and borders of the rows or columns of a `Heat`."""
        return {"atoms": list(self.letters), "borders": self.borders, "orbitals": self.orbitals}

    def split(self, components: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The components of each shell."""
        return np.split(components, self.borders[1:-1])

    @cached_property
    def on_grid(self) -> NDArray[np.float64]:
        """(points, components): the harmonics at `views.sphere.directions()`."""
        values = harmonics(max(self.ls), directions())
        return np.concatenate([values[:, l * l : (l + 1) ** 2] for l in self.ls], axis=1)

    def start(self, choice: int | str) -> NDArray[np.float64]:
        """Components of one orbital (its index), or of a fixed mix with norm 1 in each shell."""
        n = self.borders[-1]
        if choice != MIX:
            return np.eye(n)[int(choice)]
        drawn = np.random.default_rng(5).normal(size=n)
        return np.concatenate([c / np.linalg.norm(c) for c in self.split(drawn)])


def matrix_of(rule: Rule, ls: Sequence[int], R: NDArray[np.float64]) -> NDArray[np.float64]:
    """Block diagonal D(R) of several shells by any rule."""
    return np.asarray(block_diag(*(rule(l, R) for l in ls)))


def checks(
    rule: Rule, shells: Shells, R: NDArray[np.float64], c: NDArray[np.float64]
) -> dict[str, float]:
    """Law that a rule for D must obey -> its error at R, the largest of all shells."""
    after = shells.split(matrix_of(rule, shells.ls, R) @ c)
    norms = zip(shells.split(c), after, strict=True)
    return {
        "norm of each l is kept": max(
            abs(float(np.linalg.norm(a) - np.linalg.norm(b))) for a, b in norms
        ),
        "D(R R₁) = D(R) D(R₁)": max(group_error(rule, l, R, _ANOTHER) for l in shells.ls),
        "Y(R x) = D(R) Y(x)": max(harmonics_error(rule, l, R) for l in shells.ls),
    }


def component_table(shells: Shells, before: NDArray[np.float64], after: NDArray[np.float64]) -> str:
    """HTML table of the components before and after the rotation, and of each shell's norm."""
    rows = []
    by_shell = zip(shells.letters, shells.split(before), shells.split(after), strict=True)
    names = iter(shells.orbitals)
    for letter, old, new in by_shell:
        for a, b in zip(old, new, strict=True):
            name = next(names)
            label = letter if name == letter else f"{letter} {name}"
            rows.append(f'<tr><th scope="row">{escape(label)}</th>{_cell(a)}{_cell(b)}</tr>')
        norms = "".join(f"<td>{np.linalg.norm(x):.3f}</td>" for x in (old, new))
        rows.append(f'<tr class="wb-floor"><th scope="row">norm of {letter}</th>{norms}</tr>')
    head = "<thead><tr><td></td><th>before: c</th><th>after: D c</th></tr></thead>"
    return f'<table class="wb-errors wb-components">{head}<tbody>{"".join(rows)}</tbody></table>'


def check_table(errors: dict[str, float]) -> str:
    """HTML table of `checks`."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{_off(error)}</td></tr>'
        for name, error in errors.items()
    )
    return (
        '<table class="wb-errors"><caption>errors of the laws of D (no unit)</caption>'
        f"<tbody>{rows}</tbody></table>"
    )


def sentence(
    shells: Shells, where: str, after: NDArray[np.float64], errors: dict[str, float]
) -> str:
    """Text equivalent of the pictures, for `aria-live`."""
    norms = [
        f"norm of {letter} {np.linalg.norm(c):.3f}"
        for letter, c in zip(shells.letters, shells.split(after), strict=True)
    ]
    k = int(np.abs(after).argmax())
    violated = [f"{law} has error {number(e)}" for law, e in errors.items() if e >= _ROUNDING]
    return (
        f"Function {where}. {', '.join(norms)}. Largest component: {shells.orbitals[k]}, "
        f"{_signed(after[k])}. {'; '.join(violated) or 'D obeys every law'}."
    )


def _off(error: float) -> str:
    return "✓ 0" if error < _ROUNDING else f"✗ {number(error)}"


def _signed(value: float) -> str:
    return f"{value + 0.0:.3f}".replace("-0.000", "0.000").replace("-", "−")


def _cell(value: float) -> str:
    """A number on a bar that starts in the middle and extends to the left below zero."""
    ends = sorted((50.0, 50.0 + 48.0 * float(np.clip(value, -1, 1))))
    colour, (low, high) = _BARS[value < 0], ends
    bar = f"transparent {low:.1f}%,{colour} {low:.1f}%,{colour} {high:.1f}%,transparent {high:.1f}%"
    return f'<td style="background:linear-gradient(90deg,{bar})">{_signed(value)}</td>'
