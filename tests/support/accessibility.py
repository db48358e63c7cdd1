"""Accessibility violations of the widgets on a page, from axe-core: names, roles, contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.support.jupyter import settled

AXE = Path(__file__).parent / "axe" / "axe.min.js"
OURS = ".jp-OutputArea-output:not(.jp-RenderedText, .jp-RenderedPlotly)"
"""Cell outputs of this project: widgets and HTML, but not plotly's figures."""

SEVERE = ("serious", "critical")

_WHOLE = """async () => {  // JupyterLab removes cells out of sight from the page: keep all of them
    const { content } = window.jupyterapp.shell.currentWidget;
    content.notebookConfig = { ...content.notebookConfig, windowingMode: 'none' };
    await new Promise((resolve) => setTimeout(resolve, 500));
    return content.node.querySelector('.jp-WindowedPanel-inner').scrollHeight;
}"""
_IN_SIGHT = """() => {
    const { node } = window.jupyterapp.shell.currentWidget.content;
    node.querySelector('.jp-WindowedPanel-outer').scrollTop = 0;
    return [...node.querySelectorAll('.jp-Cell')].every((cell) => {
        const { top, bottom } = cell.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
    });
}"""
# The body of JupyterLab has height zero, and clipped content counts as hidden: without this style
# axe-core would check no colours.
_UNCUT = "body { overflow: visible !important }"
_AXE = """async ([roots, severe]) => {
    const { violations } = await axe.run({ include: [roots] }, { resultTypes: ['violations'] });
    return violations.filter(({ impact }) => severe.includes(impact)).map(
        ({ id, impact, help, nodes }) => ({
            id, impact, help, nodes: nodes.map(({ target, html, any, all, none }) => ({
                target: target.join(' '), html,
                why: [...any, ...all, ...none].map(({ message }) => message).join('; '),
            })),
        }));
}"""


def show_whole(page: Page) -> None:
    """Make the window as high as the notebook: axe-core checks colours inside it only."""
    page.set_viewport_size({"width": 1280, "height": settled(page, _WHOLE) + 400})
    page.wait_for_function(_IN_SIGHT)


def violations(page: Page, roots: str = OURS) -> list[dict[str, Any]]:
    """Serious and critical findings of axe-core inside the elements of a selector."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE.read_text())
        page.add_style_tag(content=_UNCUT)
    return settled(page, _AXE, [roots, SEVERE])


def described(found: list[dict[str, Any]]) -> str:
    """One line per violating element, for the message of a failing test."""
    return "\n".join(
        f"{rule['id']} ({rule['impact']}): {node['target']}: {node['why']}: {node['html'][:160]}"
        for rule in found
        for node in rule["nodes"]
    )
