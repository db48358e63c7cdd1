"""Test error against the number of training geometries, for both stages.

    python benchmarks/learning_curve.py --system water [--seeds 3] [--stage1 0] [--stage2 4000]
        [--set refiner_frame=local]

The training split is cut after its first geometries, whole trajectories first; validation and test
stay as they are. Results are kept in runs/learning_curve as they come.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import workbench as wb
from workbench.cli.settings import budget, configured, second_budget
from workbench.datasets.writing import write_part
from workbench.storage.atomic_write import atomic_write
from workbench.storage.bundled import data_path

PUBLISHED = {  # MD17 geometries of others, days of a GPU; 1e-6 Hartree: for scale only
    "water": "QHNet, 500 geometries: 10.4 to 10.8; Xia et al. (ICML 2025), 500: 5.6",
    "ethanol": "QHNet, 25,000 geometries: 12.8 to 20.9; PhiSNet, 25,000: about 12",
    "malondialdehyde": "QHNet, 25,000 geometries: 12.0 to 21.5; PhiSNet, 25,000: about 12",
    "uracil": "QHNet, 25,000 geometries: 10.0 to 20.1; PhiSNet, 25,000: about 11",
}


def point(whole: wb.Dataset, count: int, seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Train on the first ``count`` geometries and test."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {split: len(whole.split(split)) for split in whole.splits} | {"train": count}
        path = Path(folder) / "part.h5"
        write_part(whole, path, sizes)
        first, second = budget(chosen.stage1), second_budget(chosen.stage2)
        how = wb.TrainConfig(stage1=first, stage2=second, seed=seed)
        config, how = configured(chosen.set, wb.ModelConfig(), how)
        with wb.Dataset(path) as part:
            *_, last = wb.train(config, part, how)
            found = wb.evaluate(last.model, part, chosen.split, chosen.limit)
    return {stage: found[stage]["mae_hartree"] * 1e6 for stage in ("baseline", "refined")}


def kept(folder: Path, name: str, make: Any) -> dict[str, Any]:
    """A result, measured only if it is not on disk."""
    path = folder / f"{name}.json"
    if not path.is_file():
        atomic_write(path, json.dumps(make()))
    return json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="water")
    parser.add_argument("--dataset", help="file; the bundled one of the system's name unless given")
    parser.add_argument("--stage1", default="0")
    parser.add_argument("--stage2", default="4000")
    parser.add_argument("--set", nargs="+", default=[], help="name=value, as of `train`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 100, 200, 500, 1000, 1500])
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, help="only the first so many structures of the split")
    parser.add_argument("--out", default="runs/learning_curve")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    whole = wb.Dataset(chosen.dataset or data_path("datasets", f"{chosen.system}.h5"))
    named = [chosen.system, chosen.stage1, chosen.stage2, *chosen.set, chosen.split]
    folder = Path(chosen.out) / "-".join(named)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{chosen.system}, {chosen.split} MAE in 1e-6 Hartree, {chosen.seeds} seeds")
    print("geometries          stage 1      both stages")
    for count in (c for c in chosen.counts if c <= len(whole.split("train"))):
        runs = [
            kept(folder, f"{count}-{s}", lambda c=count, s=s: point(whole, c, s, chosen))
            for s in range(chosen.seeds)
        ]
        cells = []
        for stage in ("baseline", "refined"):
            values = np.array([r[stage] for r in runs])
            spread = f" +- {values.std(ddof=1):.2g}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3g}{spread}".rjust(17))
        print(f"{count:10d}{''.join(cells)}", flush=True)
    if chosen.system in PUBLISHED:
        print(f"Published: {PUBLISHED[chosen.system]}")


if __name__ == "__main__":
    main()
