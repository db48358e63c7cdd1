"""Makes pictures of widgets for docs/ in a real JupyterLab: ``python benchmarks/pictures.py``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.support.jupyter import browser_page, jupyter_server, write_notebook  # noqa: E402

TRAINING = """
import workbench as wb
steps = wb.Budget(steps=100)
how = wb.TrainConfig(stage1=steps, stage2=steps, batch_size=8)
panel = wb.TrainingPanel(wb.ModelConfig(), "water", how, directory="runs/water")
panel.start()
panel
"""
PICTURES = {"training_panel": (TRAINING, ".wb-training", "[data-state='finished']")}
"""Name -> code of a cell, selector of its widget, and of what appears in it when it is done."""


def take(name: str, folder: Path) -> None:
    """Run a cell, wait until it is done, and photograph its widget."""
    code, widget, done = PICTURES[name]
    with (
        tempfile.TemporaryDirectory() as root,
        jupyter_server(Path(root)) as address,
        browser_page(address) as page,
    ):
        page.page.set_default_timeout(600_000)
        write_notebook(Path(root) / "picture.ipynb", code)
        page.open("picture.ipynb")
        page.hide_sidebar()
        page.run_all()
        page.page.locator(f"{widget} {done}").wait_for()
        page.page.locator(widget).screenshot(path=folder / f"{name}.png")
    shorten(folder / f"{name}.png")


def shorten(picture: Path) -> None:
    """Give a picture a palette of 256 colours: a third of the bytes, as good to look at."""
    with Image.open(picture) as image:
        colours = image.convert("RGB").quantize(
            256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    colours.save(picture, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PICTURES), help=", ".join(PICTURES))
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "docs")
    chosen = parser.parse_args()
    for name in chosen.names:
        take(name, chosen.folder)


if __name__ == "__main__":
    main()
