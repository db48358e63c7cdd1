"""What do labels with arbitrary zeros of energy cost, and what does training free of gauge gain?

    python benchmarks/gauge_free_training.py [--size 0.05] [--seeds 3]

The zero of energy of a crystal is a gauge, different in each cell, and no local network can know
it. Here the labels of 160 water molecules imitate this: mu S is added to each H, with a random mu.
Both stages are trained on the original labels, on the shifted ones, and on the shifted ones with
``gauge_free=true``, and are tested on 40 molecules. The errors are without the shift.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import workbench as wb
from workbench.datasets.writing import write
from workbench.evaluation.errors import aligned_rows

COUNTS = {"train": 160, "valid": 20, "test": 40}
KEYS = {"gauge_free_mae_mev": "matrix", "gap_mae_mev": "gap"}
CONFIG = wb.ModelConfig(
    guess="none",
    channels=8,
    layers=1,
    readout=48,
    pair_readout=48,
    refiner_frame="local",
    refiner_width=32,
    refiner_heads=2,
    refiner_layers=1,
)


def labelled(path: Path, size: float, seed: int) -> Path:
    """Random structures of the bundled water, each H with a random shift of this size in eV."""
    rng, chosen, splits = np.random.default_rng(seed), [], {}
    with wb.Dataset("water") as water:
        for split, count in COUNTS.items():
            splits[split] = list(range(len(chosen), len(chosen) + count))
            chosen += rng.permutation(water.split(split))[:count].tolist()
        mus = size * rng.normal(size=len(chosen))
        samples = (water[i] for i in chosen)
        shifted = (replace(s, H=s.H + float(mu) * s.S) for s, mu in zip(samples, mus, strict=True))
        write(path, shifted, splits, {})
    return path


def errors(path: Path, seed: int, gauge_free: bool) -> dict[str, float]:
    """Errors in meV of both stages, without the shift of the zero of energy."""
    settings = wb.TrainConfig(
        stage1=wb.Budget(steps=60),
        stage2=wb.Budget(steps=100),
        batch_size=8,
        seed=seed,
        gauge_free=gauge_free,
    )
    with wb.Dataset(path) as dataset:
        *_, last = wb.train(CONFIG, dataset, settings)
        report = wb.evaluate(last.model, dataset, progress=False)
    return {
        f"{name}, {stage}": report[key][of]
        for key, stage in (("baseline", "stage 1"), ("refined", "both"))
        for of, name in KEYS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=0.05, help="of the shifts, eV")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cases = {
        "original labels": (0.0, False),
        f"shifted by {chosen.size} eV": (chosen.size, False),
        "the same, gauge_free=true": (chosen.size, True),
    }
    rows: list[list[str]] = []
    with TemporaryDirectory() as folder:
        for case, (size, gauge_free) in cases.items():
            found = [
                errors(labelled(Path(folder, "water.h5"), size, seed), seed, gauge_free)
                for seed in range(chosen.seeds)
            ]
            rows = rows or [["errors without the shift, meV", *found[0]]]
            values = ([of[key] for of in found] for key in found[0])
            rows.append([case, *(f"{np.mean(v):.3g} +- {np.std(v):.2g}" for v in values)])
    print("\n".join(aligned_rows(rows)))


if __name__ == "__main__":
    main()
