"""The moving picture of the README: ``python benchmarks/animation.py``.

Drags the water molecule in the rotation lab of a real JupyterLab and photographs the lab whenever
its maps have caught up: what moves in the picture is what moved on the page. A mouse pointer is
drawn where the mouse was, as photographs of a page have none.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from live import SETTLED, SETUP, SHOW, open_lab  # noqa: E402

from tests.support.jupyter import LabPage, browser_page, jupyter_server, write_notebook  # noqa: E402

FRAMES = 48
WIDTH = 880  # pixels; what GitHub gives a README is about as wide
HEIGHT = 628  # of the lab on the page: structure, maps, levels and errors
SHARP = 2  # pixels of a photograph for one of the page
MILLISECONDS = 80
POINTER = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))


def photograph(page: LabPage, at: tuple[float, float]) -> Image.Image:
    """The upper part of the lab, with the pointer."""
    box = page.page.locator(".wb-lab").bounding_box()
    assert box is not None
    clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": HEIGHT}
    picture = Image.open(io.BytesIO(page.page.screenshot(clip=clip))).convert("RGB")
    corner = at[0] - box["x"], at[1] - box["y"]
    shape = [(SHARP * (corner[0] + x), SHARP * (corner[1] + y)) for x, y in POINTER]
    ImageDraw.Draw(picture).polygon(shape, fill="#14181f", outline="#ffffff", width=SHARP)
    scale = WIDTH / picture.width
    return picture.resize((WIDTH, round(scale * picture.height)), Image.Resampling.LANCZOS)


def dragged(page: LabPage, frames: int) -> list[Image.Image]:
    """Drag the molecule once around a loop, which brings the mouse back to where it began."""
    view = page.page.locator(".wb-structure").bounding_box()
    assert view is not None
    x, y = view["x"] + 0.86 * view["width"], view["y"] + 0.55 * view["height"]
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    taken = []
    for k in range(frames):
        angle = 2 * math.pi * (k + 1) / frames
        at = x + 70 * (math.cos(angle) - 1), y + 62 * math.sin(angle)
        page.page.mouse.move(*at)
        page.page.wait_for_timeout(60)  # the position leaves at the next animation frame
        page.page.wait_for_function(SETTLED)
        page.page.wait_for_timeout(120)  # numbers beside the maps are painted
        taken.append(photograph(page, at))
    page.page.mouse.up()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "rotation_lab.webp")
    parser.add_argument("--frames", type=int, default=FRAMES)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        setup = SETUP.format(source="water", model="water")
        write_notebook(Path(folder) / "live.ipynb", setup, SHOW)
        with (
            jupyter_server(Path(folder)) as address,
            browser_page(address, width=1280, height=900, scale=SHARP) as page,
        ):
            open_lab(page, "live.ipynb")
            pictures = dragged(page, chosen.frames)
    first, *others = pictures
    how = {"duration": MILLISECONDS, "loop": 0, "quality": 50, "method": 6}
    first.save(chosen.out, save_all=True, append_images=others, **how)
    print(f"{chosen.out}: {len(pictures)} pictures, {chosen.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
