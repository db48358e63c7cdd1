"""Training throughput and peak memory on a GPU: ``python benchmarks/gpu.py``.

The data are shaken molecules with random matrices (a step costs the same on any label). float32
throughout; ``--precision bf16-mixed`` shows what mixed precision would gain in speed, which says
nothing about accuracy: Hamiltonians need more digits than bfloat16 has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from training_cost import random_dataset

import workbench as wb


def measure(system: str, batch_size: int, steps: int, precision: str) -> dict[str, float]:
    """Molecules a second in each stage, and peak GPU memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = random_dataset(system, Path(folder) / "random.h5", batch_size)
        how = wb.TrainConfig(
            stage1=wb.Budget(steps=steps),
            stage2=wb.Budget(steps=steps),
            batch_size=batch_size,
            validations=1,
            precision=precision,
        )
        torch.cuda.reset_peak_memory_stats()
        begun: dict[str, float] = {}
        spent: dict[str, float] = {}
        for record in wb.train(wb.ModelConfig(), dataset, how):
            if record.loss_ev is None:
                continue
            torch.cuda.synchronize()
            now = time.perf_counter()
            if record.step == steps // 2:  # the first half warms up
                begun[record.phase] = now
            elif record.step == steps - 1:  # the last step validates
                spent[record.phase] = now - begun[record.phase]
    timed = steps - 1 - steps // 2
    rates = {f"{name}_molecules_per_s": timed * batch_size / s for name, s in spent.items()}
    return rates | {"peak_mib": torch.cuda.max_memory_allocated() / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", default=["water", "ethanol", "uracil"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[16, 64, 256])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--precision", default="32-true")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("No CUDA device here: benchmarks/training_cost.py measures the CPU.")
    found = {
        system: {
            size: measure(system, size, chosen.steps, chosen.precision)
            for size in chosen.batch_sizes
        }
        for system in chosen.systems
    }
    print(json.dumps({"device": torch.cuda.get_device_name(), **found}, indent=1))


if __name__ == "__main__":
    main()
