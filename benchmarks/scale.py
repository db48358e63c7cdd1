"""How time and memory of a prediction grow with the crystal: twisted bilayer graphene.

    python benchmarks/scale.py [--model NAME] [--threads N] [--most ATOMS] [--json]

Each size runs in a process of its own. Without a model the networks are untrained, of default
sizes, in the 13 orbitals of a polarised double-zeta basis: the cost is that of a trained one.
The printed exponents are slopes of a least-squares line through log(time) and log(memory beyond an
idle process) against log(atoms), from 244 atoms on, where fixed costs no longer count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from ase.build import graphene

import workbench as wb
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.scaling import Scaling
from workbench.models.twostage import TwoStageModel
from workbench.structures.bilayers import twist_angle, twisted_bilayer

TWISTS = ((1, 2), (2, 3), (4, 5), (8, 9), (15, 16), (31, 32))
"""28, 76, 244, 868, 2,884 and 11,908 atoms."""

CUTOFF = 7.0
CARBON = wb.Basis("double zeta, polarised", {6: (0, 0, 1, 1, 2)})
LEAST = 244  # atoms from which exponents are fitted


def atoms_of(m: int, n: int) -> int:
    return 4 * (m * m + m * n + n * n)


def model_of(name: str | None) -> TwoStageModel:
    if name is not None:
        return wb.load_model(name)
    torch.manual_seed(0)
    size = BlockIrreps(CARBON).size
    ones = torch.ones(1, size, dtype=torch.float64)
    zeros = torch.zeros_like(ones)
    scaling = Scaling(zeros, ones, zeros, ones, ones, ones, torch.zeros(1, 0, dtype=torch.float64))
    model = TwoStageModel(CARBON, wb.ModelConfig(guess="none", cutoff=CUTOFF), scaling)
    model.baseline.double()  # as after its readouts are solved
    return model


def measure(name: str | None, m: int, n: int) -> dict[str, Any]:
    """One prediction: seconds, and MiB beyond those of a process that has all but the structure."""
    model, idle = model_of(name), _peak_mib()
    model.predict(graphene(a=2.46, vacuum=5.0))  # warm
    atoms = twisted_bilayer(graphene(a=2.46), m, n, 3.35)
    started = time.perf_counter(), time.process_time()
    found = model.predict(atoms).refined
    return {
        "atoms": len(atoms),
        "degrees": round(twist_angle(m, n), 3),
        "blocks": len(found.shifts),
        "wall_s": time.perf_counter() - started[0],
        "cpu_s": time.process_time() - started[1],
        "peak_mib": _peak_mib(),
        "beyond_idle_mib": _peak_mib() - idle,
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def exponent(rows: list[dict[str, Any]], key: str) -> float | None:
    used = [row for row in rows if row["atoms"] >= LEAST and row[key] > 0]
    if len(used) < 2:
        return None
    return float(np.polyfit(*np.log([[r["atoms"] for r in used], [r[key] for r in used]]), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="Bundled name or file; else untrained.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most", type=int, default=12_000, help="Atoms of the largest.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        torch.set_num_threads(chosen.threads)
        m, n = (int(i) for i in chosen.one.split(","))
        print(json.dumps(measure(chosen.model, m, n)))
        return
    rows = []
    for m, n in (t for t in TWISTS if atoms_of(*t) <= chosen.most):
        command = [sys.executable, __file__, "--one", f"{m},{n}", "--threads", str(chosen.threads)]
        command += ["--model", chosen.model] if chosen.model else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
        if not chosen.json:
            print(line(rows[-1]), flush=True)
    result = {
        "model": chosen.model or "untrained",
        "threads": chosen.threads,
        "rows": rows,
        "exponent_of_time": exponent(rows, "wall_s"),
        "exponent_of_memory": exponent(rows, "beyond_idle_mib"),
    }
    if chosen.json:
        print(json.dumps(result, indent=1))
    elif result["exponent_of_time"] is not None:
        print(
            "time ~ atoms^{exponent_of_time:.2f}, memory ~ atoms^{exponent_of_memory:.2f}".format(
                **result
            )
        )


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['atoms']:6d} atoms ({row['degrees']:.2f} degrees), {row['blocks']:9,d} blocks: "
        f"{row['wall_s']:7.1f} s, CPU {row['cpu_s']:7.1f} s, {row['peak_mib'] / 1024:.2f} GiB"
    )


if __name__ == "__main__":
    main()
