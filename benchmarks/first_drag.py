"""From nothing to the first drag, in seconds: ``python benchmarks/first_drag.py``.

What a new user does: clone the repository, `make lab`, open the start page, run it, drag the
molecule. Everything is installed into a folder of its own, which is deleted afterwards; pip takes
what it has cached. Needs Chromium, and Playwright in the Python that runs this.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.support.jupyter import LabPage, browser_page, free_port  # noqa: E402

PAGE = "notebooks/00_start_here.ipynb"
RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
LAB_CELL = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .findIndex((cell) => cell.model.sharedModel.getSource().includes('RotationLab('))"""
PAINTED = "() => document.querySelectorAll('.wb-lab .wb-heat')[1]?.dataset.sequence"
FOLLOWED = """() => {
    const { sent, acknowledged } = document.querySelector('.wb-structure').dataset;
    const { tick } = document.querySelector('.wb-lab .wb-heat').dataset;
    return sent && sent === acknowledged && tick === sent;
}"""


class Watch:
    """Seconds of each step, printed as it is done."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def done(self, step: str) -> None:
        """A step has ended, and the next begins."""
        now = time.monotonic()
        self.seconds[step], self._last = now - self._last, now
        print(f"{self.seconds[step]:7.1f} s  {step}", file=sys.stderr, flush=True)


@contextmanager
def lab_server(clone: Path, port: int) -> Iterator[str]:
    """What `make lab` starts, without a token and without opening a browser of its own."""
    command = [clone / ".venv" / "bin" / "python", "-m", "workbench", "lab", "--no-browser"]
    options = [
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
    ]
    options += ["--LabApp.expose_app_in_browser=True"]
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    environment = os.environ | {name: str(clone / f".{part}") for name, part in own.items()}
    server = subprocess.Popen(
        [*command, *options], cwd=clone, env=environment, stderr=subprocess.DEVNULL
    )
    address = f"http://localhost:{port}"
    try:
        while server.poll() is None:
            try:
                urlopen(f"{address}/api", timeout=1).read()
                break
            except (URLError, OSError):
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def first_drag(page: LabPage, watch: Watch) -> None:
    """Open the start page, run it, and drag its molecule as soon as its maps are there."""
    page.page.set_default_timeout(300_000)
    page.open(PAGE)
    page.hide_sidebar()
    watch.done("JupyterLab shows the start page")
    page.page.evaluate(RUN_ALL)
    page.scroll_to(page.page.evaluate(LAB_CELL))
    page.page.wait_for_function(PAINTED)
    view = page.page.locator(".wb-structure").first
    view.locator("canvas").first.wait_for()
    view.scroll_into_view_if_needed()
    watch.done("its cells run until the lab is shown")
    box = view.bounding_box()
    assert box is not None
    x, y = box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"]
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    for k in range(1, 21):
        page.page.mouse.move(x - 4 * k, y + 10 * math.sin(k / 3))
    page.page.mouse.up()
    page.page.wait_for_timeout(50)  # the last position leaves at the next animation frame
    page.page.wait_for_function(FOLLOWED)
    watch.done("first drag: all maps have followed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default=str(REPOSITORY), help="what is cloned")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-first-") as folder:
        clone, watch = Path(folder) / "hamiltonian-workbench", Watch()
        subprocess.run(["git", "clone", "--quiet", chosen.source, clone], check=True)
        watch.done("git clone")
        subprocess.run(["make", "--silent", ".venv/installed-lab"], cwd=clone, check=True)
        watch.done("make lab installs")
        with lab_server(clone, free_port()) as address:
            watch.done("make lab starts JupyterLab")
            with browser_page(address) as page:
                first_drag(page, watch)
        total = sum(watch.seconds.values())
    print(json.dumps(watch.seconds) if chosen.json else f"{total:7.1f} s  from nothing to a drag")


if __name__ == "__main__":
    main()
