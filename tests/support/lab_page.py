"""What tests do on a page: answer a quiz, drag a structure, read pixels and orientations."""

from __future__ import annotations

import json

import numpy as np
from playwright.sync_api import Locator

from tests.support.jupyter import LabPage


def answer_quiz(quiz: Locator) -> None:
    """Choose every answer: the quiz explains each, and one is right."""
    quiz.wait_for()
    said: list[str] = []
    for answer in quiz.locator("input[type=radio]").all():
        answer.check()
        status = quiz.get_by_role("status")
        if said:
            status.filter(has_not_text=said[-1]).wait_for()
        else:
            status.wait_for()
        said.append(status.inner_text())
    assert len(set(said)) == len(said) > 1
    assert sum("Right:" in text for text in said) == 1
    assert sum("Not yet:" in text for text in said) == len(said) - 1


STRUCTURE = ".wb-structure"


PICTURE = f"{STRUCTURE} canvas"


def quaternion(lab: LabPage) -> np.ndarray:
    """Orientation that the structure shows, scalar last."""
    return np.array(json.loads(lab.page.locator(STRUCTURE).get_attribute("data-quaternion")))


def kernel_rotation(lab: LabPage) -> np.ndarray:
    """Orientation that the kernel has."""
    return np.array(json.loads(lab.evaluate("lab.rotation.tolist()")))


def pixels(lab: LabPage, heat: int, panel: int) -> int:
    """Sum over the canvas of one heat map."""
    canvas = lab.page.locator(".wb-heat").nth(heat).locator("figure canvas").nth(panel)
    return canvas.evaluate(
        """canvas => {
            const { width, height } = canvas;
            const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
            return data.reduce((sum, value) => sum + value, 0);
        }"""
    )


def drag(lab: LabPage, dx: int, dy: int, steps: int = 25) -> None:
    """Drag the structure from a spot without atoms."""
    box = lab.page.locator(STRUCTURE).bounding_box()
    x, y = box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"]
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    for k in range(1, steps + 1):
        lab.page.mouse.move(x + dx * k / steps, y + dy * k / steps)
    lab.page.mouse.up()


def wait_until_answered(lab: LabPage) -> None:
    """Until the kernel has answered the last position, and the first map shows it."""
    lab.wait_until_turned(STRUCTURE, ".wb-heat")
