"""How time and memory of a prediction grow: twisted bilayer graphene, and chains of alkanes.

    python benchmarks/scale.py [--alkanes] [--model NAME] [--threads N] [--most ATOMS] [--json]

Each size runs in a process of its own. Without a model the networks for graphene are untrained, of
default sizes, in the 13 orbitals of a polarised double-zeta basis: the cost is that of a trained
one. Alkanes, up to C200H402, are predicted by `organic`, whose initial guess diagonalises matrices.
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
import warnings
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import graphene

import workbench as wb
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.scaling import Scaling
from workbench.models.twostage import TwoStageModel
from workbench.structures.bilayers import twist_angle, twisted_bilayer

TWISTS = ((1, 2), (2, 3), (4, 5), (8, 9), (15, 16), (31, 32))
"""28, 76, 244, 868, 2,884 and 11,908 atoms."""

ALKANES = (25, 50, 100, 200)
"""Carbon atoms; 77, 152, 302 and 602 atoms."""

CUTOFF = 7.0
CARBON = wb.Basis("double zeta, polarised", {6: (0, 0, 1, 1, 2)})
LEAST = 244  # atoms from which exponents are fitted


def structure_of(size: str) -> tuple[str, Atoms]:
    """Name and atoms of a size: "m,n" of a twisted bilayer, or the carbons of an alkane."""
    if "," not in size:
        return f"C{size}", alkane(int(size))
    m, n = (int(i) for i in size.split(","))
    return f"{twist_angle(m, n):.2f} degrees", twisted_bilayer(graphene(a=2.46), m, n, 3.35)


def alkane(n: int) -> Atoms:
    """The stretched chain of n carbon atoms with bonds of 1.54 and 1.09 A."""
    up = 0.44 * (-1.0) ** np.arange(n)
    carbon = np.stack([1.27 * np.arange(n), up, 0 * up], axis=1)
    pairs = [carbon + np.stack([0 * up, 1.44 * up, 0 * up + s], axis=1) for s in (0.89, -0.89)]
    ends = carbon[[0, -1]] + [[-0.9, -1.4 * up[0], 0], [0.9, -1.4 * up[-1], 0]]
    return Atoms(f"C{n}H{2 * n + 2}", np.concatenate([carbon, *pairs, ends]))


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


def measure(name: str | None, size: str) -> dict[str, Any]:
    """One prediction: seconds, and MiB beyond those of a process that has all but the structure."""
    warnings.simplefilter("ignore")  # a long chain is unlike the training set of small molecules
    model, idle = model_of(name), _peak_mib()
    model.predict(graphene(a=2.46, vacuum=5.0) if "," in size else alkane(2))  # warm
    described, atoms = structure_of(size)
    started = time.perf_counter(), time.process_time()
    found = model.predict(atoms).refined
    return {
        "atoms": len(atoms),
        "structure": described,
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
    parser.add_argument("--alkanes", action="store_true", help="Molecules, by `organic`.")
    parser.add_argument("--model", help="Bundled name or file; else untrained.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most", type=int, default=12_000, help="Atoms of the largest.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        torch.set_num_threads(chosen.threads)
        print(json.dumps(measure(chosen.model, chosen.one)))
        return
    if chosen.alkanes and not chosen.model:
        chosen.model = "organic"
    sizes = ALKANES if chosen.alkanes else (f"{m},{n}" for m, n in TWISTS)
    rows = []
    for size in (str(s) for s in sizes if len(structure_of(str(s))[1]) <= chosen.most):
        command = [sys.executable, __file__, "--one", size, "--threads", str(chosen.threads)]
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
        f"{row['atoms']:6d} atoms ({row['structure']}), {row['blocks']:9,d} blocks: "
        f"{row['wall_s']:7.1f} s, CPU {row['cpu_s']:7.1f} s, {row['peak_mib'] / 1024:.2f} GiB"
    )


if __name__ == "__main__":
    main()
