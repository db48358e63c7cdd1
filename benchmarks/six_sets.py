"""Both stages on our small counterparts of the six published sets of crystals, on their tests.

    python benchmarks/six_sets.py [--only MG MM] [--limit 10] [--raw] [--json]

The table has the raw errors, as the literature gives them, and the errors that do not depend on the
zero of energy; with --raw only the former. A set is measured where a dataset and a checkpoint of
its name, such as mg-mini, are bundled. The noise of its labels is read from the row "noise floor,
meV" of the dataset's card.
"""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

import torch

import workbench as wb
from workbench.datasets.published_sets import LITERATURE, SYSTEMS, BenchmarkSystem, benchmark_system
from workbench.evaluation.reproduction import COLUMNS, RAW_COLUMNS, TESTED, table
from workbench.storage.bundled import data_path

FLOOR = re.compile(r"^\| noise floor, meV \| *([-+.\de]+)", re.MULTILINE)


def noise_floor(name: str) -> float | None:
    """Mean ``|H(R x) - D H(x) D^T|`` of a set's labels in meV, None if no card tells."""
    card = data_path("datasets", f"{name}.md")
    found = FLOOR.search(card.read_text()) if card.is_file() else None
    return float(found[1]) if found else None


def measured(system: BenchmarkSystem, limit: int | None, progress: bool) -> dict[str, Any] | None:
    """Results by split, None for a set that is not bundled with its model."""
    dataset = data_path("datasets", f"{system.mini}.h5")
    checkpoint = data_path("checkpoints", f"{system.mini}.safetensors")
    if not (dataset.is_file() and checkpoint.is_file()):
        return None
    model = wb.load_model(checkpoint)
    with wb.Dataset(dataset) as data:
        return {
            split: wb.evaluate(model, data, split, limit, progress)
            for split in TESTED
            if split in data.splits
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(SYSTEMS), help="codes of sets")
    parser.add_argument("--limit", type=int, help="only so many structures of each split")
    parser.add_argument("--raw", action="store_true", help="only errors of the literature's kind")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"note": LITERATURE, "systems": {}}
    for system in map(benchmark_system, chosen.only):
        found, floor = measured(system, chosen.limit, not chosen.json), noise_floor(system.mini)
        report["systems"][system.code] = {
            "shipped": found is not None,
            "measured": found,
            "noise_floor_mev": floor,
            "literature_mae_all_mev": system.literature,
        }
        if not chosen.json:
            absent = f"{system.code}, {system.name}: not shipped"
            columns = RAW_COLUMNS if chosen.raw else COLUMNS
            print(absent if found is None else table(system, found, floor, columns), end="\n\n")
    if chosen.json:
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
