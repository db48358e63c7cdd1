"""The model `organic` on forty molecules that everyone knows: ``python benchmarks/familiar.py``.

No dataset but the test set `familiar` contains them. Printed are, for each molecule, the errors of
matrix, occupied levels and gap, and with ``--cycles`` how many cycles PySCF needs from its own
initial guess and from the prediction (density fitting, grid level 1; half an hour of one core).
Counted cycles are kept in ``--out``: a stopped run goes on there.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

import workbench as wb
from workbench.engines.warm_start import DEFAULT
from workbench.models.twostage import TwoStageModel
from workbench.storage.atomic_write import atomic_write
from workbench.storage.bundled import data_path


def names() -> list[str]:
    """SMILES of the molecules, in the order of the dataset."""
    with data_path("structures", "familiar.csv").open() as file:
        return [row["smiles"] for row in csv.DictReader(file)]


def cycles(model: TwoStageModel, data: wb.Dataset, kept: Path) -> list[dict[str, int]]:
    """Cycles from both starts for every molecule."""
    done = json.loads(kept.read_text()) if kept.is_file() else []
    for i in tqdm(range(len(done), len(data)), desc="SCF", initial=len(done), total=len(data)):
        atoms = data.atoms(i)
        counts = wb.scf_cycles(atoms, {"model": model(atoms)}, grid=1, density_fitting=True)
        done.append({name: found.cycles for name, found in counts.items()})
        atomic_write(kept, json.dumps(done).encode())
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="organic")
    parser.add_argument(
        "--without-kappa", action="store_true", help="the network alone, with ghost levels"
    )
    parser.add_argument("--cycles", action="store_true", help="also count SCF cycles")
    parser.add_argument("--out", type=Path, default=Path("familiar-cycles.json"))
    chosen = parser.parse_args()
    model = wb.load_model(chosen.model)
    if chosen.without_kappa:
        model.scaling = replace(model.scaling, kappa=torch.zeros_like(model.scaling.kappa))
    with wb.Dataset("familiar") as data:
        report = wb.evaluate(model, data, each=True)
        counts = cycles(model, data, chosen.out) if chosen.cycles else None
    lines = [f"{'':36}  matrix, 1e-6 Hartree  levels, meV  gap, meV" + "  cycles" * bool(counts)]
    for k, (smiles, entry) in enumerate(zip(names(), report["each"], strict=True)):
        errors = entry["refined"]
        line = f"{smiles:36}  {1e6 * errors['mae_hartree']:20.0f}"
        line += f"  {errors['occupied_level_mae_mev']:11.0f}  {errors['gap_mae_mev']:8.0f}"
        if counts:
            line += f"  {counts[k]['model']:2d} of {counts[k][DEFAULT]:2d}"
        lines.append(line)
    errors = report["refined"]
    lines.append(
        f"gap: median {errors['median_structure_gap_mae_mev']:.0f} meV, worst "
        f"{errors['worst_structure_gap_mae_mev']:.0f}; ghost levels in "
        f"{errors['ghost_share']:.0%} of {report['structures']} molecules"
    )
    if counts:
        ratios = np.array([c["model"] / c[DEFAULT] for c in counts])
        lines.append(f"SCF cycles: {ratios.mean():.2f} of the default, at most {ratios.max():.2f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
