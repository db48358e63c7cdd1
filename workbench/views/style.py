"""Common style of all figures: colours, fonts, scales, and text equivalents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # live widgets use this module and should appear before plotly is loaded
    import plotly.graph_objects as go

INK = "#14181f"
MUTED = "#55606e"
GRID = "#e3e7ec"
COLOURS = ("#0b5394", "#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d", "#4b5563")
"""Colours of curves and bars, in this order; contrast to white of at least 4.5 : 1."""

OCCUPIED, VIRTUAL = COLOURS[:2]  # colours of orbital energies

WIDEST = 1100  # px, width of a notebook cell on a screen of 1280 px
FONT_SIZE = 14  # px

# ColorBrewer RdBu, as in the live Heat: blue below zero, exactly white at zero, red above.
_NEGATIVE = ("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0")
_POSITIVE = ("#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f")
_STOPS = (*_NEGATIVE, "#ffffff", *_POSITIVE)
DIVERGING = [[k / (len(_STOPS) - 1), colour] for k, colour in enumerate(_STOPS)]

LEGEND_ABOVE = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}

_DECADES = 1000.0  # a logarithmic colour scale is linear below a thousandth of its limit


def finished(
    figure: go.Figure, title: str, alt: str, width: int, height: int, **layout: Any
) -> go.Figure:
    """Give a new figure the common style, a title and a text equivalent; return the figure.

    Args:
        alt: one or two sentences that describe the picture, with numbers and units.
        width: width in pixels, at most `WIDEST`.
    """
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "x": 0.02, "xanchor": "left", "font": {"size": 17}},
        font={"size": FONT_SIZE, "color": INK, "family": "system-ui, sans-serif"},
        hoverlabel={"font": {"size": FONT_SIZE}},
        margin={"l": 80, "r": 30, "t": 76, "b": 70},
        width=min(width, WIDEST),
        height=height,
        meta={"alt": alt},
    )
    figure.update_layout(**layout)
    return figure


def alt_text(figure: go.Figure) -> str:
    """The text equivalent of a figure of this package, one or two sentences.

    >>> from workbench import views
    >>> figure = views.learning_curves([10, 100], {"model": [3.0, 0.3]})
    >>> views.alt_text(figure) == figure.layout.meta["alt"]
    True
    """
    return figure.to_dict()["layout"]["meta"]["alt"]


def round_limit(largest: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `largest`.

    >>> from workbench.views.style import round_limit
    >>> round_limit(3.1)
    5.0
    """
    if not largest > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(largest))
    return next(float(f"{s * power:.3g}") for s in (1, 2, 5, 10) if s * power >= largest * 0.999)


def log_strength(values: ArrayLike, limit: float) -> NDArray[np.float64]:
    """Signed position on a logarithmic colour scale: 0 at zero, +-1 at +-limit, odd."""
    v = np.asarray(values, dtype=float)
    return np.sign(v) * np.log1p(_DECADES * np.abs(v) / limit) / np.log1p(_DECADES)


def number(value: float) -> str:
    """A number with three significant digits and a true minus sign, e.g. 12.3, 0.0421 or 3e−07."""
    if value == 0:
        return "0"
    if 1000 <= abs(value) < 1e5:
        text = f"{value:.0f}"
    elif 1e-3 <= abs(value) < 1000:
        text = f"{value:#.3g}".rstrip(".")
    else:
        mantissa, _, power = f"{value:.3g}".partition("e")
        text = f"{mantissa}e{int(power)}" if power else mantissa
    return text.replace("-", "−")


def listed(parts: Sequence[str]) -> str:
    """Words as an enumeration: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """Settings of a logarithmic axis over [low, high]: ticks at 1, or 1, 2 and 5, of a decade."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    step = max(1, -(-(last - first) // 8))
    heads = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [float(f"{s}e{k}") for k in range(first, last + 1, step) for s in heads]
    text = [number(t) if t < 1e-3 or t >= 1e5 else f"{t:g}" for t in ticks]
    return {
        "type": "log",
        "range": [np.log10(low), np.log10(high)],
        "tickvals": ticks,
        "ticktext": text,
        "gridcolor": GRID,
    }


def shade(value: float, limit: float) -> str:
    """Colour of a non-negative number: white at zero, darkest red at the limit and above."""
    stops = ["#ffffff", *_POSITIVE]
    place = min(max(value / limit, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    pair = ([int(stop[k : k + 2], 16) for k in (1, 3, 5)] for stop in stops[low : low + 2])
    mixed = (round(a + (place - low) * (b - a)) for a, b in zip(*pair, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
