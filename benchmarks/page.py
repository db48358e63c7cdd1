"""Milliseconds from mouse to picture on a page without Python: ``python benchmarks/page.py``.

Drags the molecule of a page in Chromium with software WebGL. A time runs from the mouse event that
made an orientation to the moment both rows of heat maps of that orientation are painted; the page
computes all matrices, levels and errors, and stage 2, in between.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.live import LISTEN  # noqa: E402
from tests.support.javascript_cases import experiment_of  # noqa: E402
from tests.support.own_page import PHONE, SCREEN, OwnPage, own_page  # noqa: E402
from workbench.views.page import write_page  # noqa: E402


def measure(page: OwnPage, moves: int) -> dict[str, Any]:
    """Latencies of one drag, after a short one to warm up."""
    page.drag(60, 30)
    page.page.evaluate(LISTEN)
    page.drag(-120, -60, steps=moves)
    moved, painted = page.page.evaluate("() => [moved, painted]")
    latencies = [painted[tick] - moved[tick] for tick in moved if tick in painted]
    return {
        "median_ms": float(np.median(latencies)),
        "p95_ms": float(np.quantile(latencies, 0.95)),
        "positions_painted": len(latencies),
        "page_errors": page.errors,
        "requests": page.requests[1:],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="water", help="bundled molecule and model")
    parser.add_argument("--moves", type=int, default=240)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = write_page(Path(folder) / "page.html", experiment_of(chosen.source))
        for name, settings in (("screen", SCREEN), ("phone", PHONE)):
            with own_page(path, **settings) as page:
                results[name] = measure(page, chosen.moves)
    if chosen.json:
        print(json.dumps(results, indent=1))
        return
    for name, result in results.items():
        print(
            f"{name}: median {result['median_ms']:.1f} ms, p95 {result['p95_ms']:.1f} ms, "
            f"{result['positions_painted']} positions, {len(result['requests'])} requests"
        )


if __name__ == "__main__":
    main()
