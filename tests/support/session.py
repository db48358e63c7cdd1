"""An hour with the widgets, in short: cells run again, structures change, things are dragged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.support.jupyter import LabPage, write_notebook
from workbench.views.structure import SCRIPT

SETUP = """
import gc, json, os
import psutil
from itertools import cycle
from ipywidgets.widgets.widget import _instances
import workbench as wb
from workbench.widgets.structure_view import StructureView

def held():
    gc.collect()
    observers = sum(
        len(calls) for widget in list(_instances.values())
        for kinds in widget._trait_notifiers.values() for calls in kinds.values()
    )
    return json.dumps({
        "widgets": len(_instances),
        "comms": len(get_ipython().kernel.comm_manager.comms),
        "observers": observers,
        "kernel_bytes": psutil.Process().memory_info().rss,
    })
"""
LABS = (
    "atoms, ref, model = next(systems)\nlab = wb.RotationLab(atoms, model, ref)\nlab",
    "inspector = wb.BlockInspector(atoms, ref)\ninspector",
    'harmonics = wb.HarmonicsLab("d")\nharmonics',
    "view = wb.StructureView(atoms)\nview",
    'wb.Heat(ref.H, ["H"])',
    'wb.Quiz("1 + 1?", {"2": "one more", "11": "side by side"}, right="2")',
)
"""Each is run again in every round."""

VIEW = 1 + 3  # the cell of the bare view, whose structure is changed without running it
_COUNT_CONTEXTS = """() => {
    window.contexts = [];
    for (const { prototype } of [HTMLCanvasElement, OffscreenCanvas]) {
        const original = prototype.getContext;
        prototype.getContext = function (kind, ...settings) {
            const made = original.call(this, kind, ...settings);
            if (made && kind.includes('webgl') && !contexts.some((ref) => ref.deref() === made))
                contexts.push(new WeakRef(made));
            return made;
        };
    }
}"""
_LIVE = "() => contexts.filter((ref) => ref.deref() && !ref.deref().isContextLost()).length"
_SELECT = "k => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = k; }"


class Session:
    """A notebook of all widgets that is used again and again.

    Args:
        page: a browser page; its contexts are counted from here on.
        folder: the server's, for the notebook.
        systems: code that gives the name `systems` to an iterator of (atoms, reference, model).
    """

    def __init__(self, page: LabPage, folder: Path, systems: str):
        self.lab, self.page = page, page.page
        write_notebook(folder / "session.ipynb", f"{SETUP}\n{systems}", *LABS)
        self.page.add_init_script(f"({_COUNT_CONTEXTS})()")
        self.browser = self.page.context.new_cdp_session(self.page)
        self.browser.send("Performance.enable")
        page.open("session.ipynb")
        page.hide_sidebar()
        self.run(0)
        self.angles: Iterator[float] = cycle(0.7 * k for k in range(9))

    def run(self, cell: int) -> None:
        """Run a cell, and fail if it does."""
        self.page.evaluate(_SELECT, cell)
        self.lab.command("notebook:run-cell")
        self.lab.scroll_to(cell)
        assert self.lab.cell_errors() == []

    def round(self, drags: int) -> None:
        """Run each cell of widgets again, drag what can be turned, and show other structures."""
        for cell in range(1, 1 + len(LABS)):
            self.use(cell, drags)

    def use(self, cell: int, drags: int) -> None:
        """Run a cell of widgets again, and drag what it shows."""
        self.run(cell)
        here = f".jp-Cell[data-windowed-list-index='{cell}']"
        self.page.locator(f"{here} :is(.wb-turnable, .wb-heat, .wb-quiz)").first.wait_for()
        if not self.page.locator(f"{here} .wb-turnable").count():
            return
        self.page.locator(f"{here} .wb-turnable canvas").first.wait_for()
        for _ in range(drags):
            if cell == VIEW:
                self.lab.run_code("view.show(next(systems)[0])")
            self.drag(f"{here} .wb-turnable")

    def drag_until(self, when: float) -> None:
        """Go on dragging the bare view until a moment of `time.monotonic`."""
        self.lab.scroll_to(VIEW)
        while time.monotonic() < when:
            self.drag(f".jp-Cell[data-windowed-list-index='{VIEW}'] .wb-turnable")

    def drag(self, where: str) -> None:
        """Draw a loop with the mouse button held down; wait until the kernel has followed."""
        view = self.page.locator(where).first
        view.scroll_into_view_if_needed()
        box = view.bounding_box()
        assert box is not None
        start = next(self.angles)
        x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
        for k in range(41):
            angle = start + k * math.pi / 20
            at = x + 60 * math.cos(angle), y + 60 * math.sin(angle)
            self.page.mouse.move(*at)
            if k == 0:
                self.page.mouse.down()
        self.page.mouse.up()
        self.lab.wait_until_turned(where)

    def copies(self) -> int:
        """How often the page holds 3Dmol.js: modules of widgets of more than half its length."""
        modules: list[int] = []

        def note(script: dict[str, Any]) -> None:
            if script["url"].startswith("blob:"):
                modules.append(script["length"])

        self.browser.on("Debugger.scriptParsed", note)
        self.browser.send("Debugger.enable")  # tells of every script there is
        self.browser.send("Debugger.disable")
        self.browser.remove_listener("Debugger.scriptParsed", note)
        return sum(length > SCRIPT.stat().st_size / 2 for length in modules)

    def listeners(self) -> int:
        """Event listeners on the window and on the body, where what is gone could leave them."""
        found = 0
        for target in ("window", "document.body"):
            made = self.browser.send("Runtime.evaluate", {"expression": target})["result"]
            asked = {"objectId": made["objectId"]}
            found += len(self.browser.send("DOMDebugger.getEventListeners", asked)["listeners"])
        return found

    def held(self) -> dict[str, Any]:
        """What is held now: counts in kernel and browser, and bytes of memory."""
        self.browser.send("HeapProfiler.collectGarbage")
        metrics = self.browser.send("Performance.getMetrics")["metrics"]
        heap = {entry["name"]: entry["value"] for entry in metrics}
        kernel = json.loads(self.lab.evaluate("held()"))
        return {
            "contexts": self.page.evaluate(_LIVE),
            "copies": self.copies(),
            **kernel,
            "browser_bytes": int(heap["JSHeapUsedSize"]),
            "nodes": int(heap["Nodes"]),
            "listeners": self.listeners(),
        }
