"""Irreps of a block as inline SVG: invariant norms, and components that rotate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.hamiltonians.conventions import shell_rank
from workbench.views.style import COLOURS, GRID, INK, MUTED, number
from workbench.views.svg import across, down, picture, text

if TYPE_CHECKING:  # irreps need torch, and the page should not wait for it
    from workbench.hamiltonians.irreps import Key

__all__ = ["Group", "Irreps", "bar_groups", "component_bars", "norm_bars", "ordered", "plain"]

Irreps = Mapping["Key", NDArray[np.float64]]

WIDTH = 780  # px, width of both pictures
SMALLEST = 1e-3  # eV; smaller norms are rounding errors and noise
_LEFT, _TOP, _HEIGHT = 58, 26, 150
_CHOSEN, _BEFORE = "#fdf0c4", "#8a94a3"
_SLOT, _GAP = 58, 22  # px; largest width of a component, gap between two irreps
_NARROW = 24  # px; narrower slots have labels only for the first, middle and last m


@dataclass(frozen=True)
class Group:
    """One irrep, drawn by components.

    Attributes:
        title: text above the irrep.
        now: (2l+1,) m = -l..l.
        before: the components at R = 1.
        size: absolute value at both ends of the scale.
    """

    title: str
    now: NDArray[np.float64]
    before: NDArray[np.float64]
    size: float


def ordered(keys: Mapping[Key, object]) -> list[Key]:
    """Irreps sorted by shell pair, then l."""
    return sorted(keys, key=lambda key: (shell_rank(key[0]), shell_rank(key[1]), key[2]))


def plain(value: float) -> str:
    """A number as text; below 1e-10 it is a rounding error and shown as 0."""
    return number(value if abs(value) > 1e-10 else 0.0)


def norm_bars(now: Irreps, before: Irreps, chosen: tuple[str, str], pseudo: set[Key]) -> str:
    """Norm of every irrep of a block on a logarithmic scale from 1 meV to 1 keV.

    Args:
        now: irrep -> components (2l+1,), eV.
        before: the components at R = 1; their norms are black lines.
        chosen: the shell pair that is highlighted.
        pseudo: irreps with hollow bars.

    Returns:
        An SVG element as text.
    """
    keys = ordered(now)
    slot = (WIDTH - _LEFT - 6) / len(keys)
    parts, x = [_legend(keys), _decades()], float(_LEFT)
    for pair, group in groupby(keys, key=lambda key: key[:2]):
        members = list(group)
        wide = slot * len(members)
        parts.append(_shell_pair(pair, x, wide, pair == chosen))
        for key in members:
            norm, initial = (float(np.linalg.norm(irreps[key])) for irreps in (now, before))
            parts.append(
                _norm(norm, initial, x, slot, COLOURS[key[2] % len(COLOURS)], key in pseudo)
            )
            x += slot
    label = f"Norm of each of {len(keys)} irreps in eV"
    return picture("".join(parts), WIDTH, _TOP + _HEIGHT + 58, label)


def component_bars(now: Irreps, before: Irreps, chosen: tuple[str, str], limit: float) -> str:
    """The components m = -l..l of the irreps of one shell pair, upwards if positive.

    Args:
        now: irrep -> components (2l+1,), eV.
        before: the components at R = 1, drawn as dashed outlines.
        chosen: row shell and column shell.
        limit: absolute value at both ends of the scale, eV.

    Returns:
        An SVG element as text.
    """
    keys = [key for key in ordered(now) if key[:2] == chosen]
    groups = [Group(f"l = {key[2]}", now[key], before[key], limit) for key in keys]
    label = f"Components in eV of the irreps of {chosen[0]} with {chosen[1]}"
    return bar_groups(groups, limit, label, "eV")


def bar_groups(groups: Sequence[Group], limit: float, label: str, unit: str = "") -> str:
    """Components of several irreps side by side, upwards if positive, with the norm above.

    Args:
        groups: the irreps.
        limit: number at the ends of the scale.
        label: text equivalent of the picture.
        unit: unit of components and norms.

    Returns:
        An SVG element as text.
    """
    count = sum(len(group.now) for group in groups)
    slot = min(_SLOT, (WIDTH - _LEFT - 6 - _GAP * (len(groups) - 1)) / count)
    top, half = 40, 58
    after = f" {unit}" if unit else ""
    parts, x = [_zero(top, half, limit, after)], float(_LEFT)
    for group in groups:
        l = len(group.now) // 2
        middle = x + slot * (2 * l + 1) / 2
        parts.append(text(middle, 14, group.title, style="wb-strong"))
        parts.append(text(middle, 30, plain(float(np.linalg.norm(group.now)))))
        for m, value, initial in zip(range(-l, l + 1), group.now, group.before, strict=True):
            share, colour = value / group.size, COLOURS[l % len(COLOURS)]
            parts.append(_component(share, initial / group.size, x, slot, top + half, half, colour))
            if slot >= _NARROW or m in (-l, 0, l):
                m_name = f"{m:+d}".replace("-", "−") if m else "0"
                parts.append(text(x + slot / 2, top + 2 * half + 18, m_name))
            if slot >= 44:
                below = top + half + (15 if value < 0 else -6) - share * half
                y = float(np.clip(below, top + 11, top + 2 * half - 3))
                parts.append(
                    text(x + slot / 2, y, _fixed(value, 3 if slot > 52 else 2), style="wb-halo")
                )
            x += slot
        x += _GAP
    parts.append(text(0, 30, f"norm, {unit}" if unit else "norm", anchor="start"))
    parts.append(text(0, top + 2 * half + 18, "m", anchor="start"))
    return picture("".join(parts), WIDTH, top + 2 * half + 26, label)


def _fixed(value: float, decimals: int) -> str:
    """A number with fixed decimals, so that the digits do not move when it changes."""
    rounded = round(value, decimals) + 0.0  # no negative zero
    return f"{rounded:.{decimals}f}".replace("-", "−")


def _height(norm: float) -> float:
    """Height of a bar in pixels, on a scale of six decades."""
    decades = np.log10(max(norm, SMALLEST)) - np.log10(SMALLEST)
    return float(np.clip(decades / 6, 0, 1)) * _HEIGHT


def _norm(norm: float, initial: float, x: float, slot: float, colour: str, hollow: bool) -> str:
    tall, base, wide = _height(norm), _TOP + _HEIGHT, max(slot - 3, 2)
    fill = "#ffffff" if hollow else colour
    bar = (
        f'<rect x="{x + 1.5:.1f}" width="{wide:.1f}" y="{base - tall:.2f}" height="{tall:.2f}" '
        f'fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
        if tall
        else ""
    )
    return bar + across(x, x + slot, base - _height(initial), INK, 2)


def _component(
    part: float, initial: float, x: float, slot: float, zero: float, half: float, colour: str
) -> str:
    def box(share: float, style: str) -> str:
        tall = min(abs(share), 1.0) * half
        y = zero - tall if share > 0 else zero
        place = f'x="{x + 4:.1f}" width="{slot - 8:.1f}" y="{y:.2f}" height="{tall:.2f}"'
        return f"<rect {place} {style}/>"

    outline = f'fill="none" stroke="{_BEFORE}" stroke-width="1.5" stroke-dasharray="4 3"'
    return box(part, f'fill="{colour}"') + box(initial, outline)


def _shell_pair(pair: tuple[str, str], x: float, wide: float, chosen: bool) -> str:
    """Background, border and name of the irreps of a shell pair."""
    base = _TOP + _HEIGHT
    fill = _CHOSEN if chosen else "none"
    middle = x + wide / 2 + 4
    weight = ' class="wb-strong"' if chosen else ""
    return (
        f'<rect x="{x:.1f}" y="{_TOP}" width="{wide:.1f}" height="{_HEIGHT + 54}" fill="{fill}"/>'
        f"{down(x, _TOP, base, GRID)}"
        f'<text transform="translate({middle:.1f} {base + 6}) rotate(-90)" text-anchor="end"'
        f"{weight}>{escape(pair[0])}–{escape(pair[1])}</text>"
    )


def _legend(keys: list[Key]) -> str:
    parts, x = [text(0, 12, "norm, eV", anchor="start")], 90.0
    for l in sorted({key[2] for key in keys}):
        colour = COLOURS[l % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="2" width="12" height="12" fill="{colour}"/>')
        parts.append(text(x + 17, 12, f"l = {l}", anchor="start"))
        x += 62
    parts.append(
        f'<rect x="{x + 10}" y="3" width="11" height="11" fill="#fff" stroke="{MUTED}" '
        'stroke-width="1.5"/>' + text(x + 27, 12, "hollow: pseudo", anchor="start")
    )
    return (
        "".join(parts)
        + across(x + 138, x + 152, 8, INK, 2)
        + text(x + 158, 12, "at R = 1", anchor="start")
    )


def _decades() -> str:
    parts = []
    for power in range(-3, 4):
        y = _TOP + _HEIGHT - _height(10.0**power)
        parts.append(across(_LEFT, WIDTH, y, GRID))
        parts.append(text(_LEFT - 6, y + 4.5, f"{10.0**power:g}", anchor="end"))
    return "".join(parts)


def _zero(top: float, half: float, limit: float, after: str) -> str:
    """The scale of the components: both ends and zero."""
    parts = []
    for y, value in ((top, limit), (top + half, 0.0), (top + 2 * half, -limit)):
        colour = MUTED if value == 0 else GRID
        parts.append(across(_LEFT, WIDTH, y, colour))
        name = f"{value:+g}".replace("-", "−") if value else f"0{after}"
        parts.append(text(_LEFT - 6, y + 4.5, name, anchor="end"))
    return "".join(parts)
