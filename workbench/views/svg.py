"""SVG elements of live and static pictures, as text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

__all__ = ["Drawing", "across", "down", "picture", "text"]


@dataclass(frozen=True)
class Drawing:
    """A picture for notebooks, widgets and reports.

    Attributes:
        svg: an SVG element that needs no style sheet.
        alt: its text equivalent, one or two sentences.
    """

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        return f'<div style="font: 13px system-ui, sans-serif">{self.svg}</div>'


def text(x: float, y: float, content: str, anchor: str = "middle", style: str = "") -> str:
    """A line of text that starts, ends or is centred at x, on the base line y.

    `style` is a class of the style sheet: "wb-strong", or "wb-halo" for text over lines.
    """
    named = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(content)}</text>'


def across(x: float, end: float, y: float, colour: str, thickness: float = 1) -> str:
    """A horizontal line."""
    return (
        f'<line x1="{x:.1f}" x2="{end:.1f}" y1="{y:.2f}" y2="{y:.2f}" stroke="{colour}" '
        f'stroke-width="{thickness}"/>'
    )


def down(x: float, y: float, end: float, colour: str) -> str:
    """A vertical line."""
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{end:.1f}" stroke="{colour}"/>'


def picture(content: str, width: float, height: float, label: str) -> str:
    """The whole picture with its text equivalent; it scales with the available width."""
    return (
        f'<svg class="wb-levels" font-size="13" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'style="max-width: {1.1 * width:.0f}px" aria-label="{escape(label)}">{content}</svg>'
    )
