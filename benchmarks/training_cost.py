"""What a training step costs, in process-CPU milliseconds on one thread, and how much memory.

    python benchmarks/training_cost.py [--json]

A step is forward, backward and optimiser on ten molecules of random geometry; stage 2's includes
turning its cached tokens. Peak memory is what a process that only trains holds at most.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import workbench as wb
from workbench.datasets.dataset import Sample
from workbench.datasets.writing import write
from workbench.engines.pyscf_molecules import basis_of
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.training.cutoff import with_cutoff
from workbench.training.initial_model import guess_charges, untrained
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.stage2_objective import Stage2Objective
from workbench.training.training_set import TrainingSet

SYSTEMS = ("water", "ethanol")
PEERS_MS = {  # ten molecules a step; measured earlier on one x86 core, torch 2.13
    "QHNet (MD17 settings), float32, 20.4 M": {"water": 733, "ethanol": 6474},
    "DeepH-E3 (default), float32, 0.7 M": {"water": 395, "ethanol": 1241},
    "DeePTB-E3 SLEM, float32, 3.0 M": {"water": 214, "ethanol": 1374},
    "graph2mat + MACE, float32, 2.6 M": {"water": 1021},
}
MOLECULES = 10


def random_dataset(system: str, path: Path, count: int) -> wb.Dataset:
    """Shaken molecules with random symmetric matrices: a step costs the same on any label."""
    rng, samples = np.random.default_rng(0), []
    for k in range(count + 1):
        atoms = wb.load(system).copy()
        atoms.rattle(0.05, seed=k)
        basis = basis_of("def2-svp", atoms.numbers)
        size = sum(basis.n_orbitals(int(z)) for z in atoms.numbers)
        dense = rng.normal(size=(size, size))
        H = BlockMatrix.from_dense(basis, atoms.numbers, dense + dense.T)
        samples.append(Sample(atoms, H, 0.0, int(atoms.numbers.sum()), k))
    splits = {"train": range(count), "valid": [count]}
    write(path, samples, splits, {"made_by": "benchmarks/training_cost.py"})
    return wb.Dataset(path)


def measure(system: str, steps: int) -> dict[str, float]:
    """Median CPU milliseconds of a step of each stage, and peak memory in MiB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        dataset = random_dataset(system, Path(folder) / "random.h5", MOLECULES)
        config = with_cutoff(wb.ModelConfig(), dataset)
        charges = guess_charges(dataset, dataset.split("train"), config)
        labelled = TrainingSet.read(dataset, dataset.split("train"), config, dataset.basis, charges)
    model = untrained(dataset.basis, config, labelled, charges)
    result = {}
    for name, objective in (("stage 1", Stage1Objective), ("stage 2", Stage2Objective)):
        stage = objective(model, labelled, labelled)
        parameters = list(stage.module.parameters())
        optimizer = torch.optim.AdamW(parameters, fused=True)
        times = []
        for step in range(steps):
            started = time.process_time()
            stage.loss(stage.module, torch.arange(MOLECULES), (step,)).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            times.append(time.process_time() - started)
        result[f"{name}_ms"] = 1e3 * float(np.median(times[2:]))
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def measured_apart(system: str, steps: int) -> dict[str, float]:
    """``measure`` in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--system", system, "--steps", str(steps), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(found: dict[str, dict[str, float]]) -> str:
    """The result as text."""
    lines = [f"One training step on {MOLECULES} molecules, CPU ms on one thread"]
    for system, numbers in found.items():
        lines.append(
            f"{system}: stage 1 {numbers['stage 1_ms']:.0f}, stage 2 {numbers['stage 2_ms']:.0f}; "
            f"peak memory {numbers['peak_mib']:.0f} MiB"
        )
        for name, times in PEERS_MS.items():
            if system in times:
                ratio = times[system] / numbers["stage 1_ms"]
                lines.append(f"  {times[system]:5d}  {name}: {ratio:.1f} times our stage 1")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", help="one system, measured in this very process")
    parser.add_argument("--steps", type=int, default=22)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found: Any
    if chosen.system:
        found = measure(chosen.system, chosen.steps)
    else:
        found = {system: measured_apart(system, chosen.steps) for system in SYSTEMS}
    print(json.dumps(found, indent=1) if chosen.json or chosen.system else table(found))


if __name__ == "__main__":
    main()
