"""A page without Python in Chromium: its numbers, its errors, and its requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.support.jupyter import CHROMIUM_FLAGS, chromium_path

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
SCREEN = {"viewport": {"width": 1280, "height": 900}}

_TURN = """q => {
    workbenchPage.turnTo(q);
    const { predictions, levels, reference } = workbenchPage.snapshot;
    return JSON.stringify({
        predictions: predictions.map(({ name, H, error, gaugeFree, symmetry, inversion, shift }) =>
            ({ name, H: [...H], error, gaugeFree, symmetry, inversion, shift })),
        levels: [...levels].map(([name, energies]) => [name, [...energies]]),
        reference: reference && [...reference],
        cells: [...document.querySelectorAll('#errors td')].map((cell) => cell.textContent),
        quaternion: JSON.parse(document.querySelector('.wb-structure').dataset.quaternion),
    });
}"""


@dataclass
class OwnPage:
    """A page that was opened as a file; it may make no request at all."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def turn_to(self, quaternion: list[float]) -> dict[str, Any]:
        """Turn the molecule; the page's numbers there: matrices, errors and levels in eV."""
        return json.loads(self.page.evaluate(_TURN, quaternion))  # as text, which is faster

    def drag(self, dx: int, dy: int, steps: int = 20) -> None:
        """Drag the structure, from a spot without atoms, and wait until all is painted."""
        box = self.page.locator(".wb-structure").bounding_box()
        assert box is not None
        x, y = box["x"] + 0.75 * box["width"], box["y"] + 0.75 * box["height"]
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=steps)
        self.page.mouse.up()
        self.settled()

    def settled(self) -> None:
        """Wait until the newest orientation is on all pictures."""
        self.page.wait_for_function(
            """() => {
                const { settled, sent } = document.querySelector('.wb-structure').dataset;
                const { tick } = document.querySelector('.wb-heat').dataset;
                return settled === 'true' && tick === sent;
            }"""
        )


@contextmanager
def own_page(path: Path, **settings: Any) -> Iterator[OwnPage]:
    """Open a file as a page, on a screen by default; ``settings`` are those of a new context."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        try:
            page = browser.new_page(**(settings or SCREEN))
            opened = OwnPage(page)
            page.on("pageerror", lambda error: opened.errors.append(str(error)))
            page.on("request", lambda request: opened.requests.append(request.url))
            page.goto(path.as_uri())
            page.wait_for_selector(".wb-structure canvas")
            yield opened
        finally:
            browser.close()
