"""Milliseconds of one prediction, both stages, on one thread: ``python benchmarks/latency.py``.

Every run sees a geometry it has not seen before (the molecule, turned at random), so nothing that
depends on positions can be cached. Beside it stand other networks on the same work, which we
measured once with their published settings; they are printed as such and not run here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import numpy as np
import torch

import workbench as wb

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PEERS_ON = "one x86 core, torch 2.13, process-CPU ms, median, noise 15 %; measured earlier"
PEERS_MS = {  # forward pass of one molecule in def2-SVP; each predicts in a single stage
    "QHNet (MD17 settings), float32, 20.4 M parameters": {"water": 76, "ethanol": 275},
    "DeepH-E3 (default settings), float32, 0.7 M": {"water": 53, "ethanol": 123},
    "DeePTB-E3 SLEM 2.2.1, float32, 3.0 M": {"water": 32, "ethanol": 91},
    "graph2mat 0.0.13 + MACE, float32, 2.6 M": {"water": 82},
}


def measure(model: Any, source: str, runs: int, warm_up: int = 20) -> dict[str, Any]:
    """Wall and process-CPU milliseconds of ``model.predict``."""
    atoms, rng = wb.load(source), np.random.default_rng(0)
    wall, cpu = [], []
    for run in range(warm_up + runs):
        turned = wb.rotate(atoms, wb.random_rotation(rng))
        started = time.perf_counter(), time.process_time()
        model.predict(turned)
        if run >= warm_up:
            wall.append(time.perf_counter() - started[0])
            cpu.append(time.process_time() - started[1])
    return {
        "median_ms": 1e3 * float(np.median(wall)),
        "p95_ms": 1e3 * float(np.quantile(wall, 0.95)),
        "median_cpu_ms": 1e3 * float(np.median(cpu)),
        "p95_cpu_ms": 1e3 * float(np.quantile(cpu, 0.95)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water")
    parser.add_argument("--source", default="water")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):  # read when libraries load
        environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    result = {
        "source": chosen.source,
        "model": chosen.model,
        "runs": chosen.runs,
        "torch_threads": torch.get_num_threads(),
        "both_stages": measure(wb.load_model(chosen.model), chosen.source, chosen.runs),
        "peers_one_stage_cpu_ms": {
            name: times[chosen.source] for name, times in PEERS_MS.items() if chosen.source in times
        },
        "peers_measured_on": PEERS_ON,
    }
    print(json.dumps(result, indent=1) if chosen.json else table(result))


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    ours = result["both_stages"]
    lines = [
        f"predict({result['source']}), both stages, one thread, {result['runs']} runs: "
        f"median {ours['median_ms']:.1f} ms, p95 {ours['p95_ms']:.1f} ms "
        f"(CPU {ours['median_cpu_ms']:.1f} and {ours['p95_cpu_ms']:.1f} ms)",
        f"Others, their one stage ({result['peers_measured_on']}):",
    ]
    lines += [f"  {ms:5d} ms  {name}" for name, ms in result["peers_one_stage_cpu_ms"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
