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
BENCH = """
import workbench as wb
from workbench.course.bench import preferred_axis, without_parity
from workbench.course.blocks import misread
stage1 = wb.load_model("water").stage1
toys = {
    "d misread": lambda atoms: misread(stage1(atoms), "d"),
    "preferred axis": preferred_axis(stage1, strength=1.0),
    "no parity": without_parity(stage1, strength=1.0),
}
bench = wb.TestBench("water", None, toys)
bench.sphere.scale.value = "log"
bench.sphere.pick((1, 1, 1))
bench
"""
SLIDER = """
import workbench as wb
from workbench.course import stage_two
from workbench.training.monitor import ErrorMonitor, watch
data = stage_two.laid_alike("water", train=200, valid=40)
meter = ErrorMonitor.of(data, "valid", count=4, turns=4)
small = dict(guess="none", channels=8, layers=1, readout=24, pair_readout=12, refiner_width=64)
steps = dict(stage1=wb.Budget(steps=0), stage2=wb.Budget(steps=400))
how = wb.TrainConfig(**steps, refiner_learning_rate=6e-3, validations=1, keep_best=False, seed=1)
run = watch(wb.train(wb.ModelConfig(**small), data, how), meter)
slider = wb.SymmetriseSlider(run.model, meter)
for count in slider.slider.options:
    slider.slider.value = count
slider
"""
PICTURES = {
    "training_panel": (TRAINING, ".wb-training", "[data-state='finished']"),
    "rotation_bench": (BENCH, ".wb-bench", ".wb-sphere[data-known='100']"),
    "symmetrise_slider": (SLIDER, ".wb-lab", ".wb-turn tbody tr:nth-child(5)"),
}
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
        page.page.set_viewport_size({"width": 1280, "height": 1400})  # the highest widget fits
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
