"""What a long session leaves behind: ``python benchmarks/long_session.py --minutes 30``.

Uses the widgets in real JupyterLab without a break: runs their cells again with another molecule,
drags what can be turned, shows other structures. After each round over all cells it counts what is
held: WebGL contexts, copies of 3Dmol.js, widgets, channels and observers, which must not grow at
all, and the memory of page and kernel, which must not grow by more than 100 MB after the first
round.

A round lasts two minutes at least, so that a cell runs again every 20 seconds; what is left of them
is spent dragging. The browser keeps the module of every widget that has ever been on a page, some
10 kB each. JupyterLab 4 itself keeps some 800 event listeners and 260 nodes each time that another
cell becomes the active one, in notebooks without a widget as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.support.jupyter import browser_page, jupyter_server  # noqa: E402
from tests.support.session import Session  # noqa: E402

SYSTEMS = """
import torch
torch.set_num_threads(1)
model = wb.load_model("organic")
def system(name):
    atoms = wb.load(name)
    return atoms, wb.reference(atoms), model
systems = cycle([system(name) for name in ("water", "ammonia", "methane")])
"""
COUNTED = ("contexts", "copies", "widgets", "comms", "observers")
MEMORY = ("kernel_bytes", "browser_bytes")
MOST_GROWTH = 100_000_000
SECONDS_A_ROUND = 120


def measure(minutes: float, drags: int) -> list[dict[str, Any]]:
    """What is held after each round, the first of them included."""
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyter_server(Path(folder)) as address,
        browser_page(address) as page,
    ):
        session = Session(page, Path(folder), SYSTEMS)
        start, held = time.monotonic(), []
        while not held or time.monotonic() - start < 60 * minutes:
            session.round(drags)
            session.drag_until(start + SECONDS_A_ROUND * (len(held) + 1))
            held.append({"minutes": (time.monotonic() - start) / 60, **session.held()})
            print(_line(held[-1]), flush=True)
        if page.errors:
            sys.exit(f"The page had errors: {page.errors[0]}")
        return held


def complaints(held: list[dict[str, Any]]) -> list[str]:
    """What has grown that must not."""
    first, last = held[0], held[-1]
    grown = [key for key in COUNTED if last[key] > first[key]]
    grown += [key for key in MEMORY if last[key] - first[key] > MOST_GROWTH]
    return [f"{key} grew from {first[key]} to {last[key]}" for key in grown]


def _line(held: dict[str, Any]) -> str:
    counts = "  ".join(f"{key} {held[key]}" for key in COUNTED)
    memory = "  ".join(f"{key.split('_')[0]} {held[key] / 1e6:.0f} MB" for key in MEMORY)
    return f"{held['minutes']:5.1f} min  {counts}  {memory}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--drags", type=int, default=8, help="of each view in a round")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    chosen = parser.parse_args()
    held = measure(chosen.minutes, chosen.drags)
    if chosen.json:
        chosen.json.write_text(json.dumps(held, indent=1))
    found = complaints(held)
    if found:
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
